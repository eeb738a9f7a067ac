"""Predictions for whole files, in chunks and in bounded memory: what S3's events, the batch machine and ``onnx-lambda batch`` share."""

from collections.abc import Callable, Iterator
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

    def size(self, name: str) -> int | None:
        """A file's bytes; None where there is none."""

    def create(self, name: str, content_type: str, *, replace: bool = False) -> AbstractContextManager[Output]:
        """A new file; leaving the context without a commit leaves nothing behind.

        :param replace: its commit takes the place of what is there, and is always True.
        """


class Chunk(NamedTuple):
    """A part of a file that is a request body by itself, of the content type that it says.

    ``first_row`` counts from 0 over the whole file, ``first_line`` from 1; a binary format's line is its row, from 1.
    """

    body: bytes
    rows: int
    first_row: int
    first_line: int
    content_type: str


class Format(Protocol):
    """One file of a format that can be cut into chunks. Pure but for the stream."""

    # What the answer is written as where nobody asks for another: an offer of :data:`app.batches.answers.OFFERS`.
    answer: str
    # False for a file that is one request: what is wrong with it is wrong with all of it.
    in_rows: bool

    def chunks(self, stream: BinaryIO, target_bytes: int) -> Iterator[Chunk]:
        """The file in parts of about so many bytes, at row borders.

        :raises Unreadable: where the file is not of this format, naming the place.
        :raises Invalid: where it is as a whole not what the model takes.
        """

    def part(self, chunk: Chunk, start: int, end: int) -> Chunk:
        """Some of a chunk's rows as a chunk; its ``first_line`` is the very line of its first row."""

    def told(self, detail: str, chunk: Chunk) -> str:
        """What a codec says of a chunk of one row, with the place in the file instead of that in the chunk."""


class Assembler(Protocol):
    """Puts the answers of chunks together, in their order."""

    # What each chunk is asked for.
    accept: str
    # What is written, of :data:`app.batches.answers.OFFERS`: known with the first byte.
    offer: str

    def add(self, body: bytes, rows: int) -> None:
        """The answer of the next rows.

        :raises NotAcceptable: where answers of several chunks are no one file.
        """

    def skip(self, rows: int) -> None:
        """The next rows have no answer."""

    def blank(self, example: Callable[[], bytes | None]) -> bool:
        """No row has an answer; whether it is known all the same what their places look like.

        :param example: the answer of a row that is none of the file's; None where there can be none.
        """

    def finish(self) -> None:
        """Write what is left."""

    def close(self) -> None:
        """Give back what it holds, finished or not."""
