"""JSON text to Python values, with what a parser lets pass refused: depth, keys that stand twice, numbers that are none."""

from math import isinf
from typing import Any

import numpy as np
import orjson

from app.errors import Invalid, NestedTooDeeply, UnreadableJson

MAX_DEPTH = 64
_PIECE_BYTES = 64 * 1024
# What each byte adds to the depth.
_STEPS = np.zeros(256, np.int8)
_STEPS[[ord("["), ord("{")]] = 1
_STEPS[[ord("]"), ord("}")]] = -1
_BRACKETS_AND_STRINGS = bytes(set(range(256)) - set(b'[]{}"\\'))


def checked(body: bytes) -> Any:
    """Parse a whole body.

    :raises UnreadableJson: with the offset of the first byte that is wrong, never with the body's content.
    :raises NestedTooDeeply: over 64 levels.
    :raises Invalid: an object that has the same key twice, which parsers are free to read either way (RFC 8259, section 4).
    """
    # Nested at most as deep as it has opening brackets: most bodies need no closer look.
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_too_deep(body):
        raise too_deep()
    document = parse(body)
    if body.count(b":") != (_count_keys(document) if type(document) is dict or type(document) is list else 0):
        _refuse_duplicates(body)
    return document


def _is_too_deep(body: bytes) -> bool:
    import re

    string = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
    brackets = string.sub(b"", body.translate(None, _BRACKETS_AND_STRINGS))
    depth = 0
    # In pieces, so that it ends where the body is too deep, and takes the memory of one piece.
    for start in range(0, len(brackets), _PIECE_BYTES):
        codes = np.frombuffer(brackets, np.uint8, min(_PIECE_BYTES, len(brackets) - start), start)
        depths = depth + np.cumsum(_STEPS[codes], dtype=np.int64)
        if int(depths.max()) > MAX_DEPTH:
            return True
        depth = int(depths[-1])
    return False


def parse(body: bytes, offset: int = 0) -> Any:
    """Parse without further checks; ``offset`` is where the text stands in the body.

    :raises UnreadableJson: see :func:`checked`.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # NaN, Infinity and 1e999 are no JSON, yet Python writes them: read them here, so that they are refused by name
        # and place where a number is expected, or taken where the model allows them.
        if (document := _with_constants(body)) is not None:
            return document
        raise UnreadableJson(f"The body is not valid JSON: {_reason(error)} at byte {offset + _byte_offset(body, error.pos)}.") from error


def _with_constants(body: bytes) -> Any:
    import json

    try:
        document = json.loads(body.decode("utf-8"), parse_float=_number)
        # json accepts lone surrogates, which no UTF-8 answer can carry.
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        return None
    return document


class Overflow(float):
    """A number larger than any float: out of range where it stands, not the infinity that a model may allow."""

    text: str


def _number(text: str) -> float:
    value = float(text)
    if not isinf(value):
        return value
    found = Overflow(value)
    found.text = text[:40]
    return found


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
    found = 0
    if type(value) is dict:
        found = len(value)
        for item in value.values():
            if type(item) is dict or type(item) is list:
                found += _count_keys(item)
    elif value and (type(value[0]) is dict or type(value[0]) is list):
        for item in value:
            if type(item) is dict or type(item) is list:
                found += _count_keys(item)
    return found


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


def too_deep() -> NestedTooDeeply:
    """The refusal of a body that is nested over the limit."""
    return NestedTooDeeply(f"The body nests arrays and objects over {MAX_DEPTH} levels deep.")
