"""Files that are written to S3 once: whoever commits first has made it, and nobody overwrites it.

Both ways there end in a conditional write (S3 User Guide, "How to prevent object overwrites with conditional writes"). S3 compares
the SHA-256 of everything that is sent. What a killed process leaves of an upload in parts, the bucket's lifecycle has to end
(``AbortIncompleteMultipartUpload``).
"""

import secrets
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from app.errors import StoreUnavailable
from app.storage.aws_clients import unavailable, within
from app.storage.s3_requests import MISSING, Refused, ask, checked

# S3 takes parts of 5 MiB and more, and 10,000 of them ("Amazon S3 multipart upload limits"): these make 52 GB.
PART_BYTES = 5 * 1024 * 1024
# Says which of several writers has made an object.
_WRITER = "onnx-lambda-writer"
_IS_THERE = "PreconditionFailed"


class S3Output:
    """A file that is being written; what was not committed is not there.

    Up to a part it is one request, above it an upload in parts, of which one is in memory.

    :param replace: it takes the place of what is there.
    """

    def __init__(self, bucket: str, key: str, content_type: str, *, replace: bool = False) -> None:
        self._at = {"Bucket": bucket, "Key": key}
        self._condition = {} if replace else {"IfNoneMatch": "*"}
        self._token = secrets.token_hex(16)
        self._described = {"ContentType": content_type, "Metadata": {_WRITER: self._token}}
        self._buffer = bytearray()
        self._upload_id = ""
        self._parts: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        """Nothing is asked of S3 yet."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Leave nothing of what was not committed."""
        if self._upload_id:
            # The error that brought us here counts; the lifecycle of the bucket ends what is left.
            with suppress(StoreUnavailable), within():
                ask("abort_multipart_upload", frozenset(), **self._upload())
            self._upload_id = ""
        self._buffer.clear()

    def write(self, data: bytes) -> None:
        """Add bytes; every part that is full is sent."""
        view = memoryview(data)
        while view:
            room = PART_BYTES - len(self._buffer)
            self._buffer += view[:room]
            view = view[room:]
            if len(self._buffer) == PART_BYTES:
                self._send_part()

    def commit(self) -> bool:
        """Have the file there; False where there was one before.

        :raises StoreUnavailable: where it is not known to be there.
        """
        try:
            if self._upload_id:
                self._complete()
            else:
                self._put()
        except (Refused, StoreUnavailable) as error:
            return self._is_made_by_us(error)
        return True

    def _put(self) -> None:
        ask("put_object", frozenset({_IS_THERE}), **self._at, **self._described, **checked(bytes(self._buffer)), **self._condition)

    def _send_part(self) -> None:
        body = bytes(self._buffer)
        self._buffer.clear()
        if not self._upload_id:
            made = ask("create_multipart_upload", frozenset(), **self._at, **self._described, ChecksumAlgorithm="SHA256")
            self._upload_id = made["UploadId"]
        number, sealed = len(self._parts) + 1, checked(body)
        sent = ask("upload_part", frozenset(), **self._upload(), PartNumber=number, **sealed)
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": sealed["ChecksumSHA256"]})

    def _complete(self) -> None:
        if self._buffer:
            self._send_part()
        parts = {"Parts": self._parts}
        ask("complete_multipart_upload", frozenset({_IS_THERE}), **self._upload(), MultipartUpload=parts, **self._condition)
        self._upload_id = ""

    def _is_made_by_us(self, error: Refused | StoreUnavailable) -> bool:
        """Who made what is there, after an answer that did not say: an attempt whose answer was lost may have been ours."""
        try:
            found = ask("head_object", MISSING, **self._at)
        except Refused:
            if isinstance(error, StoreUnavailable):
                raise error from None
            raise unavailable("s3", "complete_multipart_upload" if self._parts else "put_object") from error
        return bool(found.get("Metadata", {}).get(_WRITER) == self._token)

    def _upload(self) -> dict[str, str]:
        return {**self._at, "UploadId": self._upload_id}
