"""Bodies that records refer to: objects of S3, of buckets that are allowed."""

from collections.abc import Callable, Collection
from typing import Protocol

from app.errors import BodyTooLarge, Invalid, Unreadable
from app.storage.aws_clients import within
from app.triggers.requests import Reference


class Found(Protocol):
    """An object: its size in bytes, and what reads it whole."""

    @property
    def size(self) -> int:
        """Bytes."""

    def read(self, start: int, length: int) -> bytes:
        """Some of it.

        :raises StoreUnavailable: where S3 does not give it.
        """


# Finds an object by bucket, key and version, which may be empty; None where there is none.
Find = Callable[[str, str, str], Found | None]


class References:
    """Reads what records refer to."""

    def __init__(self, find: Find, *, buckets: Collection[str], max_bytes: int) -> None:
        """:param buckets: the buckets that records may refer to: their senders are not to read with this function's rights."""
        self._find, self._buckets, self._max_bytes = find, frozenset(buckets), max_bytes

    def fetch(self, reference: Reference, deadline: float) -> bytes:
        """The bytes.

        :param deadline: ``time.monotonic()`` seconds until which all of it may take.
        :raises Invalid: for a bucket that is not allowed.
        :raises Unreadable: where there is no such object.
        :raises BodyTooLarge: before it is read.
        """
        bucket, _, key = reference.uri.removeprefix("s3://").partition("/")
        if bucket not in self._buckets:
            raise Invalid("The reference names an object of a bucket that is not among those of INPUT_BUCKETS.", pointer="/s3")
        # What the invocation has after that is for the results of the others.
        with within(deadline):
            found = self._find(bucket, key, reference.version_id)
            if found is None:
                raise Unreadable("There is no object of that key, or not of that version.", pointer="/s3")
            if found.size > self._max_bytes:
                raise BodyTooLarge(
                    f"The object has {found.size} bytes, but at most {self._max_bytes} are taken (MAX_UPLOAD_BYTES, and a 64th of the "
                    "function's memory); put it into the inbox, where files are read in parts."
                )
            return found.read(0, found.size) if found.size else b""
