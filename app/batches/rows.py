"""The rows of a chunk: answered all at once, or where that is refused, so that the bad ones among them are found and the rest is answered."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from app.batches import Chunk, Format
from app.errors import NotAcceptable, NotFound, Problem, UnknownOutput, UnsupportedContentType

# What no row can help.
_OF_THE_FILE = (NotFound, NotAcceptable, UnsupportedContentType, UnknownOutput)


class Failed(NamedTuple):
    """A row without an answer: its line and its row in the file, both from 1, and why."""

    line: int
    row: int
    error: str
    code: str


class Piece(NamedTuple):
    """The answer of rows that follow each other, or the one row that has none."""

    rows: int
    body: bytes
    failed: Failed | None = None


def answered(chunk: Chunk, form: Format, ask: Callable[[Chunk], bytes]) -> Iterator[Piece]:
    """The chunk's pieces in order. One bad row costs as many runs as the rows can be halved, over twice the rows in all.

    :param ask: answers a chunk, or raises.
    :raises Problem: what may succeed later, and what is wrong with more than rows.
    """
    try:
        yield Piece(chunk.rows, ask(chunk))
        return
    except _OF_THE_FILE:
        raise
    except Problem as problem:
        if problem.retryable or not form.in_rows:
            raise
        if chunk.rows == 1:
            alone = form.part(chunk, 0, 1)
            yield Piece(1, b"", Failed(alone.first_line, alone.first_row + 1, form.told(problem.detail, alone), problem.code))
            return
    half = chunk.rows // 2
    yield from answered(form.part(chunk, 0, half), form, ask)
    yield from answered(form.part(chunk, half, chunk.rows), form, ask)
