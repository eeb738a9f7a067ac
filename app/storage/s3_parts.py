"""Small objects under a prefix, each written once: whoever writes it again leaves the first one as it is."""

import hashlib
from collections.abc import Iterator

from app.storage.s3_requests import Refused, ask, checked, listed
from app.storage.s3_streams import S3Source

_IS_THERE = frozenset({"PreconditionFailed"})


class S3Parts:
    """Objects under a prefix of a bucket. Every method may raise :class:`app.errors.StoreUnavailable`."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = prefix

    def add(self, name: str, body: bytes, content_type: str) -> bool:
        """Keep an object unless one of this name is there; False where there was one.

        Conditional writes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        """
        try:
            self._put(name, body, content_type, IfNoneMatch="*")
        except Refused:
            # Also where the answer of an attempt before was lost: then it is this one.
            return False
        return True

    def replace(self, name: str, body: bytes, content_type: str) -> None:
        """Keep an object; what was there before is gone."""
        self._put(name, body, content_type)

    def names(self, begin: str) -> Iterator[str]:
        """Names that begin so, a page of a thousand at a time."""
        return (found["Key"].removeprefix(self._prefix) for found in listed(self._bucket, self._prefix + begin))

    def _put(self, name: str, body: bytes, content_type: str, **condition: str) -> None:
        ask("put_object", _IS_THERE, Bucket=self._bucket, Key=self._prefix + name, ContentType=content_type, **checked(body), **condition)


def version_of(bucket: str, key: str) -> str | None:
    """What names an object's very bytes: its version id, else its ETag; None where there is no such object."""
    found = S3Source.find(bucket, key)
    return None if found is None else found.version


def listing_version(bucket: str, prefix: str) -> str | None:
    """What names the objects under a prefix and their bytes: a digest of keys and ETags; None where there are none."""
    digest, found = hashlib.sha256(), False
    for entry in listed(bucket, prefix):
        found = True
        digest.update(f"{entry['Key']}\0{entry['ETag']}\n".encode())
    return digest.hexdigest()[:32] if found else None
