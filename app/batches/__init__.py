"""Predictions for whole files, in chunks and in bounded memory: what S3's events, the batch machine and ``onnx-lambda batch`` share."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, NamedTuple, Protocol


class Source(Protocol):
    """A file to read. Every method may raise :class:`app.errors.StoreUnavailable`."""

    @property
    def name(self) -> str:
        """How it is told of: a path, or ``s3://bucket/key``."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def version(self) -> str:
        """What names these very bytes: S3's version id, else its ETag; a local file's SHA-256."""

    def open(self) -> AbstractContextManager[BinaryIO]:
        """The bytes from their beginning. The stream can seek, as Parquet's table of contents is at its end; reading on is what is cheap."""


class Output(Protocol):
    """A file that is being written; what was not committed is not there."""

    def write(self, data: bytes) -> None:
        """Add bytes."""

    def commit(self) -> bool:
        """Have the file there, whole and durable; False where one of this name was there before, which is then left as it is."""


class Place(Protocol):
    """A folder or a prefix of a bucket to write to."""

    def read(self, name: str) -> bytes | None:
        """A small file; None where there is none."""

    def create(self, name: str, content_type: str) -> AbstractContextManager[Output]:
        """A new file; leaving the context without a commit leaves nothing behind."""


class Chunk(NamedTuple):
    """A part of a file that is a file of the same format by itself.

    ``first_row`` counts from 0 over the whole file, ``first_line`` from 1; a binary format's line is its row, from 1.
    """

    body: bytes
    rows: int
    first_row: int
    first_line: int


class Format(Protocol):
    """A file format that can be cut into chunks and whose answers can be put together again. Pure but for the stream."""

    content_type: str
    suffix: str

    def chunks(self, stream: BinaryIO, target_bytes: int) -> Iterator[Chunk]:
        """The file in parts of about so many bytes, at row borders.

        :raises Unreadable: where the file is not of this format, naming the place.
        """
