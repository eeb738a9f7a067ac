"""Files in S3: one that is read on in ranges of some megabytes, and a prefix to write to. Neither is ever whole in memory.

They are what :class:`app.batches.Source` and :class:`app.batches.Place` ask for.
"""

import io
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from app.errors import DeadlineExceeded, StoreUnavailable
from app.storage.aws_clients import CONNECT_S, attempts, unavailable, within
from app.storage.s3 import S3Storage
from app.storage.s3_outputs import S3Output
from app.storage.s3_requests import MISSING, Refused, ask, body_of, key_of

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Twice as much is in memory while a range comes. At 6 MB/s, which is what CSV is predicted at, asking for the next one costs 5 %.
RANGE_BYTES = 4 * 1024 * 1024
# After a jump, as in Parquet's table of contents, little may be wanted of the place.
_AFTER_JUMP_BYTES = 1024 * 1024
_BUFFER_BYTES = 64 * 1024
# What an attempt takes at the least, and a little.
_LAST_ATTEMPT_S = 2 * CONNECT_S
# What a bucket calls the version of what was put there before it had versions.
_NO_VERSION = "null"
# The bytes that were found are not there any more: others, fewer, none.
_CHANGED = MISSING | {"PreconditionFailed", "InvalidRange"}


class ObjectChanged(StoreUnavailable):
    """The object was overwritten or deleted while it was read."""


class S3Source(NamedTuple):
    """These very bytes of one object: they are read by version id where the bucket has versions, and otherwise by their ETag.

    ``metadata`` is what whoever put it there said beside it (``x-amz-meta-…``), by names in small letters. ``deadline`` ends every
    read (``time.monotonic()`` seconds).
    """

    bucket: str
    key: str
    size: int
    etag: str
    version_id: str = ""
    content_type: str = ""
    metadata: Mapping[str, str] = {}
    deadline: float | None = None

    @classmethod
    def find(cls, bucket: str, key: str, version_id: str = "", *, deadline: float | None = None) -> "S3Source | None":
        """What is there now, or that version of it; None where it is not there any more.

        The role needs ``s3:ListBucket``: without it S3 answers 403 for a key that is not there (HeadObject, "Permissions").
        """
        asked = {"VersionId": version_id} if version_id not in {"", _NO_VERSION} else {}
        try:
            with within(deadline):
                found = ask("head_object", MISSING | {"400"} if asked else MISSING, Bucket=bucket, Key=key, **asked)
        except Refused:
            return None
        version = found.get("VersionId", "")
        return cls(
            bucket,
            key,
            found["ContentLength"],
            found["ETag"],
            "" if version == _NO_VERSION else version,
            found.get("ContentType", ""),
            {name.lower(): value for name, value in found.get("Metadata", {}).items()},
            deadline,
        )

    @property
    def name(self) -> str:
        """The address, as AWS's command line has it."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def version(self) -> str:
        """The version id, or without one the ETag."""
        return self.version_id or self.etag.strip('"')

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The bytes from their beginning.

        :raises ObjectChanged: when a read finds other bytes than those that were found, or none.
        :raises DeadlineExceeded: see :meth:`read`.
        :raises StoreUnavailable: when S3 did not answer, or the body did not come.
        """
        with _Ranges(self) as ranges:
            yield cast(BinaryIO, io.BufferedReader(ranges, _BUFFER_BYTES))

    def read(self, start: int, length: int) -> bytes:
        """Some of the bytes; what came damaged or too slowly is asked for again.

        :raises ObjectChanged: see :meth:`open`.
        :raises DeadlineExceeded: when the deadline leaves no time for another attempt.
        """
        try:
            with within(self.deadline):
                return self._read(start, length)
        except StoreUnavailable as error:
            is_over = self.deadline is not None and time.monotonic() > self.deadline - _LAST_ATTEMPT_S
            if is_over and not isinstance(error, ObjectChanged):
                raise DeadlineExceeded("The time was up while the file was read.") from error
            raise

    def _read(self, start: int, length: int) -> bytes:
        pinned = {"VersionId": self.version_id} if self.version_id else {}
        asked = {"Bucket": self.bucket, "Key": self.key, "Range": f"bytes={start}-{start + length - 1}", "IfMatch": self.etag, **pinned}
        for _ in attempts():
            try:
                answer = ask("get_object", _CHANGED, **asked)
            except Refused as refused:
                raise ObjectChanged("The file was overwritten or deleted while it was read.") from refused
            body = body_of(answer["Body"], length)
            if body is not None:
                return body
        raise unavailable("s3", "get_object")


class _Ranges(io.RawIOBase):
    """A stream that has one range of its source in memory."""

    def __init__(self, source: S3Source) -> None:
        self._source = source
        self._place = 0
        self._start, self._range = 0, b""
        self._ahead = RANGE_BYTES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._source.size}[whence]
        if origin + offset < 0:
            raise ValueError("A stream has no place before its beginning.")
        self._place = origin + offset
        return self._place

    def readinto(self, target: "WriteableBuffer", /) -> int:
        if self._place >= self._source.size:
            return 0
        if not self._start <= self._place < self._start + len(self._range):
            self._read_on()
        view = memoryview(target).cast("B")
        from_here = self._place - self._start
        part = self._range[from_here : from_here + len(view)]
        view[: len(part)] = part
        self._place += len(part)
        return len(part)

    def _read_on(self) -> None:
        jumped = self._place != self._start + len(self._range)
        # Two ranges at a time would be twice the memory.
        self._start, self._range = self._place, b""
        self._ahead = _AFTER_JUMP_BYTES if jumped else min(2 * self._ahead, RANGE_BYTES)
        self._range = self._source.read(self._place, min(self._ahead, self._source.size - self._place))


class S3Place:
    """A prefix of a bucket. Names that are too long for S3 are :class:`app.errors.Invalid`."""

    def __init__(self, bucket: str, prefix: str = "") -> None:
        self._bucket = bucket
        self._prefix = prefix

    def read(self, name: str) -> bytes | None:
        """A small file, its checksum compared; None where there is none."""
        return S3Storage(self._bucket).get(key_of(self._prefix, name))

    def size(self, name: str) -> int | None:
        """A file's bytes; None where there is none."""
        found = S3Source.find(self._bucket, key_of(self._prefix, name))
        return None if found is None else found.size

    def create(self, name: str, content_type: str, *, replace: bool = False) -> S3Output:
        """A new file."""
        return S3Output(self._bucket, key_of(self._prefix, name), content_type, replace=replace)
