"""Small objects under a prefix, each written once: whoever writes it again leaves the first one as it is."""

import base64
import hashlib
from collections.abc import Iterator

from app.storage.aws_clients import call


class S3Parts:
    """Objects under a prefix of a bucket. Every method may raise :class:`app.errors.StoreUnavailable`."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = prefix

    def add(self, name: str, body: bytes, content_type: str) -> bool:
        """Keep an object unless one of this name is there; False where there was one.

        Conditional writes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        """
        from botocore.exceptions import ClientError

        try:
            self._put(name, body, content_type, IfNoneMatch="*")
        except ClientError:
            # Also where the answer of an attempt before was lost: then it is this one.
            return False
        return True

    def replace(self, name: str, body: bytes, content_type: str) -> None:
        """Keep an object; what was there before is gone."""
        self._put(name, body, content_type)

    def names(self, begin: str) -> Iterator[str]:
        """Names that begin so, a page of a thousand at a time."""
        asked = {"Bucket": self._bucket, "Prefix": self._prefix + begin}
        while True:
            page = call("s3", "list_objects_v2", **asked)
            yield from (found["Key"].removeprefix(self._prefix) for found in page.get("Contents", ()))
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def _put(self, name: str, body: bytes, content_type: str, **condition: str) -> None:
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        at = {"Bucket": self._bucket, "Key": self._prefix + name}
        call("s3", "put_object", **at, Body=body, ContentType=content_type, ChecksumSHA256=digest, **condition)


def version_of(bucket: str, key: str) -> str | None:
    """What names an object's very bytes: its version id, else its ETag; None where there is no such object."""
    from botocore.exceptions import ClientError

    try:
        answer = call("s3", "head_object", Bucket=bucket, Key=key)
    except ClientError:
        return None
    version = answer.get("VersionId", "null")
    return str(version) if version != "null" else str(answer["ETag"]).strip('"')


def listing_version(bucket: str, prefix: str) -> str | None:
    """What names the objects under a prefix and their bytes: a digest of keys and ETags; None where there are none."""
    digest, found = hashlib.sha256(), False
    asked = {"Bucket": bucket, "Prefix": prefix}
    while True:
        page = call("s3", "list_objects_v2", **asked)
        for entry in page.get("Contents", ()):
            found = True
            digest.update(f"{entry['Key']}\0{entry['ETag']}\n".encode())
        if not page.get("IsTruncated"):
            return digest.hexdigest()[:32] if found else None
        asked["ContinuationToken"] = page["NextContinuationToken"]
