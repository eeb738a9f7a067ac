"""Arrays of numbers that stay JSON text until they are read straight into a NumPy buffer.

A body of a million numbers spends its time making a million Python objects. So the numeric arrays of a large body are cut
out first (a run of bytes between two strings that holds nothing but digits and brackets), and each run is parsed by
simdjson into one buffer. See docs/decisions/0003-json-numbers-into-buffers.md.
"""

import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from app.codecs.json_text import MAX_DEPTH, parse
from app.tensors import Array

# Below this many bytes the cutting costs more than it saves.
CUT_FROM = 4096
# A body with more strings than this is no tensor document; orjson alone is the faster way.
MOST_STRINGS = 256
_NUMBER_BYTES = b"0123456789+-.eE \t\r\n"
_KEPT_PARSER_BYTES = 16 * 1024 * 1024
_kept = threading.local()


class NumberArray(NamedTuple):
    """A regular nested array of numbers, still as JSON text. ``shape`` was read off its brackets,
    and is -1 for a single row, whose length its numbers tell.
    """

    # a view of the body where it stands there: a copy of ten megabytes costs as much as the shape's check
    text: bytes | memoryview
    shape: tuple[int, ...]
    # where it stands in the body
    offset: int = 0

    def integers(self, *, unsigned: bool) -> Array | None:
        """The numbers as 64-bit integers, or None if one is no integer or does not fit."""
        return self._buffer("u" if unsigned else "i", np.dtype(np.uint64 if unsigned else np.int64))

    def doubles(self) -> Array | None:
        """The numbers as float64, or None if one overflows it."""
        return self._buffer("d", np.dtype(np.float64))

    def values(self) -> Any:
        """The nested Python lists, for the way that finds and names what is wrong."""
        return parse(bytes(self.text), self.offset)

    def _buffer(self, kind: str, dtype: np.dtype[np.generic]) -> Array | None:
        try:
            # An empty array leaves the same brackets as one of a single number: then the counts differ here.
            return np.frombuffer(_parser(len(self.text)).parse(self.text).as_buffer(of_type=kind), dtype).reshape(self.shape)
        except (ValueError, TypeError, RuntimeError):
            return None


def _parser(size: int) -> Any:
    """A parser for a text of ``size`` bytes. Each thread keeps one, whose memory is touched already (20 against 33 ms for a
    million numbers), unless keeping it would hold on to more than a few times a Lambda request.
    """
    import simdjson

    if size > _KEPT_PARSER_BYTES:
        return simdjson.Parser()
    if not hasattr(_kept, "parser"):
        _kept.parser = simdjson.Parser()
    return _kept.parser


def cut(body: bytes, mark: bytes, runs: list[NumberArray]) -> Iterator[bytes]:
    """The body with every long run of a regular numeric array replaced by a string of the mark and its number."""
    done = 0
    for start, end in _gaps(body):
        if end - start < CUT_FROM:
            continue
        first = body.find(b"[", start, end)
        # What follows the object that holds the array is another's: {"inputs": [{…, "data": [1, 2]}]}
        closed = body.find(b"}", start, end)
        last = body.rfind(b"]", start, end if closed < 0 else closed)
        if first < 0 or last < first:
            continue
        shape = _regular_shape(body, first, last + 1)
        if shape is None:
            continue
        yield body[done:first]
        yield b'"%s%d"' % (mark, len(runs))
        runs.append(NumberArray(memoryview(body)[first : last + 1], shape, first))
        done = last + 1
    yield body[done:]


def _gaps(body: bytes) -> Iterator[tuple[int, int]]:
    """The stretches outside strings."""
    at = 0
    for _ in range(MOST_STRINGS):
        start = body.find(b'"', at)
        if start < 0:
            yield at, len(body)
            return
        yield at, start
        end = body.find(b'"', start + 1)
        while end > 0 and _is_escaped(body, end):
            end = body.find(b'"', end + 1)
        if end < 0:
            return
        at = end + 1


def _is_escaped(body: bytes, quote: int) -> bool:
    backslashes = 0
    while body[quote - 1 - backslashes] == 0x5C:
        backslashes += 1
    return backslashes % 2 == 1


def _regular_shape(body: bytes, start: int, end: int) -> tuple[int, ...] | None:
    """The shape of the array of numbers from ``start`` to ``end``, whose brackets and commas form a regular grid, else None.

    What is left when the numbers are taken away is compared with what a tensor of that shape leaves; that the numbers
    between are whole is simdjson's to check.
    """
    if body.find(b"[", start + 1, end) < 0 and body.find(b"]", start, end) == end - 1:
        return (-1,)
    skeleton = body[start:end].translate(None, _NUMBER_BYTES)
    rank = len(skeleton) - len(skeleton.lstrip(b"["))
    if not 0 < rank <= MAX_DEPTH:
        return None
    width = skeleton.find(b"]") - rank + 1
    block = b"[" + b"," * (width - 1) + b"]"
    shape = [width]
    for closed in range(1, rank):
        # The first array of this level opens at rank - 1 - closed and ends with the first run of closed + 1 brackets.
        content = skeleton.find(b"]" * (closed + 1)) + 2 * closed - rank
        count, left = divmod(content + 1, len(block) + 1)
        if left or count < 1:
            return None
        block = b"[" + b",".join([block] * count) + b"]"
        shape.append(count)
    return tuple(reversed(shape)) if block == skeleton else None
