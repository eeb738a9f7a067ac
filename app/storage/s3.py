"""Bytes in an S3 bucket: what :class:`app.storage.Storage` asks for. S3 itself checks the SHA-256 of what is put there.

The role needs ``s3:ListBucket`` beside the rights to the objects: without it S3 answers 403 for a key that is not there
(GetObject, "Permissions"). Encryption is the bucket's own default.
"""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

from app.storage import Found, Upload
from app.storage.aws_clients import attempts, call, client, unavailable, within
from app.storage.failures import damaged
from app.storage.s3_requests import body_of, listed


class S3Storage:
    """Bytes under a prefix of a bucket."""

    def __init__(self, bucket: str, prefix: str = "") -> None:
        self._bucket = bucket
        self._prefix = prefix

    def put(self, key: str, body: bytes) -> str:
        """Keep bytes in one request."""
        digest = hashlib.sha256(body).digest()
        call("s3", "put_object", **self._at(key), Body=body, **_checksum(digest))
        return digest.hex()

    def get(self, key: str, digest: str = "") -> bytes | None:
        """The bytes; what came damaged or too slowly is asked for again."""
        with within():
            for _ in attempts():
                answer = self._asked("get_object", key)
                if answer is None:
                    return None
                body = body_of(answer["Body"], answer["ContentLength"])
                if body is None:
                    continue
                if digest and hashlib.sha256(body).hexdigest() != digest:
                    # They came as S3 keeps them, so that asking again would not help.
                    raise damaged()
                return body
        raise unavailable("s3", "get_object")

    def find(self, key: str) -> Found | None:
        """Size and SHA-256, without the bytes."""
        answer = self._asked("head_object", key)
        return None if answer is None else Found(answer["ContentLength"], _hexadecimal(answer.get("ChecksumSHA256", "")))

    def copy(self, source: str, target: str) -> bool:
        """Keep the same bytes under another key; they do not pass through here."""
        from botocore.exceptions import ClientError

        try:
            call("s3", "copy_object", **self._at(target), CopySource=self._at(source), ChecksumAlgorithm="SHA256")
        except ClientError:
            return False
        return True

    def delete(self, key: str) -> None:
        """Forget the bytes."""
        call("s3", "delete_object", **self._at(key))

    def link(self, key: str, *, seconds: int, content_type: str) -> str:
        """A signed address; it ends earlier where the role's credentials do."""
        return self._signed("get_object", seconds, **self._at(key), ResponseContentType=content_type)

    def upload(self, key: str, *, size: int, digest: str, seconds: int) -> Upload:
        """A signed PUT. Size and checksum are signed headers: S3 refuses others, and bytes that are not of them."""
        checksum = _checksum(bytes.fromhex(digest))
        url = self._signed("put_object", seconds, **self._at(key), ContentLength=size, **checksum)
        return Upload("PUT", url, {"content-length": str(size), "x-amz-checksum-sha256": checksum["ChecksumSHA256"]})

    def older_than(self, prefix: str, before: float) -> Iterator[str]:
        """Keys by the time S3 had them."""
        for found in listed(self._bucket, self._prefix + prefix):
            if found["LastModified"].timestamp() < before:
                yield found["Key"].removeprefix(self._prefix)

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    def _asked(self, operation: str, key: str) -> dict[str, Any] | None:
        from botocore.exceptions import ClientError

        try:
            answer: dict[str, Any] = call("s3", operation, **self._at(key), ChecksumMode="ENABLED")
        except ClientError:
            # All that comes as itself is that there is no such key.
            return None
        return answer

    @staticmethod
    def _signed(operation: str, seconds: int, **arguments: Any) -> str:
        from botocore.exceptions import BotoCoreError

        try:
            return str(client("s3").generate_presigned_url(operation, Params=arguments, ExpiresIn=seconds))
        except BotoCoreError as error:
            raise unavailable("s3", operation) from error


def _checksum(digest: bytes) -> dict[str, str]:
    return {"ChecksumSHA256": base64.b64encode(digest).decode()}


def _hexadecimal(checksum: str) -> str:
    """A checksum as S3 writes it; that of an upload in parts is a checksum of checksums, and ends in ``-`` and their number."""
    return "" if "-" in checksum else base64.b64decode(checksum).hex()
