"""JSON bytes to Python values, with large arrays of numbers left as bytes and read straight into NumPy.

A body of a million numbers spends its time making a million Python objects. So the numeric arrays of a large body are cut
out first (a run of bytes between two strings that holds nothing but digits and brackets), the small rest is parsed by
orjson, and each run is parsed by simdjson into one buffer. See docs/decisions/0003-json-numbers-into-buffers.md.
"""

import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from app.errors import Invalid, NestedTooDeeply, UnreadableJson

MAX_DEPTH = 64
# Below this many bytes the cutting costs more than it saves (measured: break-even near 2 KB).
_CUT_FROM = 4096
# A body with more strings than this is no tensor document; orjson alone is the faster way.
_MOST_STRINGS = 256
_NUMBER_BYTES = b"0123456789+-.eE \t\r\n"
_BRACKETS_AND_STRINGS = bytes(set(range(256)) - set(b'[]{}"\\'))
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
# Stands for a run that was cut out; random, so that no caller can write it.
_MARK = f"\x7f{os.urandom(12).hex()}:"
_MARK_BYTES = _MARK.encode()
_KEPT_PARSER_BYTES = 16 * 1024 * 1024
_kept = threading.local()


@dataclass(frozen=True, slots=True)
class NumberArray:
    """A regular nested array of numbers, still as JSON text. ``shape`` was read off its brackets,
    and is -1 for a single row, whose length its numbers tell.
    """

    text: bytes
    shape: tuple[int, ...]

    def integers(self, *, unsigned: bool) -> npt.NDArray[np.generic] | None:
        """The numbers as 64-bit integers, or None if one is no integer or does not fit."""
        return self._buffer("u" if unsigned else "i", np.dtype(np.uint64 if unsigned else np.int64))

    def doubles(self) -> npt.NDArray[np.generic] | None:
        """The numbers as float64, or None if one overflows it."""
        return self._buffer("d", np.dtype(np.float64))

    def values(self) -> Any:
        """The nested Python lists, for the way that finds and names what is wrong."""
        return _parse(self.text)

    def _buffer(self, kind: str, dtype: np.dtype[np.generic]) -> npt.NDArray[np.generic] | None:
        try:
            # An empty array leaves the same brackets as one of a single number: then the counts differ here.
            return np.frombuffer(_parser(len(self.text)).parse(self.text).as_buffer(of_type=kind), dtype).reshape(self.shape)
        except (ValueError, TypeError):
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


def loads(body: bytes) -> Any:
    """Parse a body; large numeric arrays come back as :class:`NumberArray`.

    :raises UnreadableJson: with the offset of the first byte that is wrong, never with the body's content.
    :raises NestedTooDeeply: over 64 levels.
    :raises Invalid: an object that has the same key twice, which parsers are free to read either way (RFC 8259, section 4).
    """
    if len(body) < _CUT_FROM:
        return _checked(body)
    runs: list[NumberArray] = []
    rest = b"".join(_cut(body, runs))
    if not runs:
        return _checked(body)
    try:
        document = _checked(rest)
    except (UnreadableJson, NestedTooDeeply):
        # Offsets must be those of the body that was sent.
        return _checked(body)
    return _restored(document, runs)


def _checked(body: bytes) -> Any:
    # Nested at most as deep as it has opening brackets: most bodies need no closer look.
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        raise _too_deep()
    document = _parse(body)
    if body.count(b":") != _count_keys(document):
        _refuse_duplicates(body)
    return document


def _depth(body: bytes) -> int:
    brackets = _STRING.sub(b"", body.translate(None, _BRACKETS_AND_STRINGS))
    codes = np.frombuffer(brackets, np.uint8)
    steps = np.where((codes == ord("[")) | (codes == ord("{")), 1, np.where((codes == ord("]")) | (codes == ord("}")), -1, 0))
    return int(np.cumsum(steps, dtype=np.int64).max(initial=0))


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # NaN, Infinity and 1e999 are no JSON, yet Python writes them: read them here, so that they are refused by name
        # and place where a number is expected, or taken where the model allows them.
        if (document := _with_constants(body)) is not None:
            return document
        raise UnreadableJson(f"The body is not valid JSON: {_reason(error)} at byte {_byte_offset(body, error.pos)}.") from error


def _with_constants(body: bytes) -> Any:
    import json

    try:
        document = json.loads(body.decode("utf-8"))
        # json accepts lone surrogates, which no UTF-8 answer can carry.
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        return None
    return document


def _reason(error: orjson.JSONDecodeError) -> str:
    return "it is empty" if error.pos == 0 and "zero-length" in error.msg else error.msg.partition(":")[0]


def _byte_offset(body: bytes, position: int) -> int:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    # orjson counts characters
    return len(body.decode("utf-8", "replace")[:position].encode("utf-8", "replace")) if not body.isascii() else position


def _count_keys(value: Any) -> int:
    if type(value) is dict:
        return len(value) + sum(_count_keys(item) for item in value.values() if type(item) in (dict, list))
    if type(value) is list and value and type(value[0]) in (dict, list):
        return sum(_count_keys(item) for item in value)
    return 0


def _refuse_duplicates(body: bytes) -> None:
    import json

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise Invalid(f"An object has the key '{key[:64]}' twice; which one is meant cannot be known.")
            found[key] = value
        return found

    json.loads(body.decode("utf-8"), object_pairs_hook=unique)


def _cut(body: bytes, runs: list[NumberArray]) -> Iterator[bytes]:
    """The body with every long run of a regular numeric array replaced by a mark; the runs are appended."""
    done = 0
    for start, end in _gaps(body):
        if end - start < _CUT_FROM:
            continue
        first, last = body.find(b"[", start, end), body.rfind(b"]", start, end)
        if first < 0 or last < first:
            continue
        text = body[first : last + 1]
        shape = _regular_shape(text)
        if shape is None:
            continue
        yield body[done:first]
        yield b'"%s%d"' % (_MARK_BYTES, len(runs))
        runs.append(NumberArray(text, shape))
        done = last + 1
    yield body[done:]


def _gaps(body: bytes) -> Iterator[tuple[int, int]]:
    """The stretches outside strings."""
    at = 0
    for _ in range(_MOST_STRINGS):
        start = body.find(b'"', at)
        if start < 0:
            yield at, len(body)
            return
        yield at, start
        end = body.find(b'"', start + 1)
        while end > 0 and (end - len(body[start + 1 : end].rstrip(b"\\")) - start - 1) % 2:
            end = body.find(b'"', end + 1)
        if end < 0:
            return
        at = end + 1


def _regular_shape(text: bytes) -> tuple[int, ...] | None:
    """The shape of an array of numbers whose brackets and commas form a regular grid, else None.

    What is left when the numbers are taken away is compared with what a tensor of that shape leaves; that the numbers
    between are whole is simdjson's to check.
    """
    if text.find(b"[", 1) < 0 and text.find(b"]") == len(text) - 1:
        return (-1,)
    skeleton = text.translate(None, _NUMBER_BYTES)
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


def _restored(value: Any, runs: list[NumberArray], depth: int = 0) -> Any:
    if type(value) is str and value.startswith(_MARK):
        run = runs[int(value[len(_MARK) :])]
        if depth + len(run.shape) > MAX_DEPTH:
            raise _too_deep()
        return run
    if type(value) is dict:
        return {key: _restored(item, runs, depth + 1) for key, item in value.items()}
    # A list longer than there can be strings holds no mark of ours.
    if type(value) is list and len(value) <= _MOST_STRINGS:
        return [_restored(item, runs, depth + 1) for item in value]
    return value


def _too_deep() -> NestedTooDeeply:
    return NestedTooDeeply(f"The body nests arrays and objects over {MAX_DEPTH} levels deep.")
