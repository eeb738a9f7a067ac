"""BYTES elements: any bytes in and out of a graph whose strings are Unicode text.

ONNX strings are UTF-8, and ONNX Runtime's Python binding takes and gives nothing else. A byte that is no part of valid UTF-8
goes through the graph as a private-use character (U+10FF00 + byte, from U+10FF80 on), and becomes that byte again on the way out. Characters of
that range which a caller sends are treated in the same way, so that no two different inputs become the same string.
"""

import binascii
import functools
from base64 import b64encode
from typing import Any

# U+10FF80 … U+10FFFF, the last of Unicode: bytes that are no part of valid UTF-8 are all above 0x7F.
_BASE = 0x10FF00
_FIRST = chr(_BASE + 0x80)
_LEAD = b"\xf4\x8f"
# What Python's error handler surrogateescape makes of a byte (PEP 383), and what stands for it here.
_PRIVATE = {0xDC00 + byte: _BASE + byte for byte in range(0x80, 0x100)}
_SURROGATE = {private: surrogate for surrogate, private in _PRIVATE.items()}


def text_of(value: bytes) -> str:
    """The string that stands for these bytes inside a graph: UTF-8 as it is, every other byte as a private-use character."""
    if _LEAD not in value:
        return _decoded(value)
    # Between the pieces, which are ordinary, stand characters of the range themselves.
    pieces = _private_letters().split(value)
    return "".join(
        piece.decode("latin-1").translate(_of_latin_1()) if number % 2 else _decoded(piece) for number, piece in enumerate(pieces)
    )


def _decoded(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("utf-8", "surrogateescape").translate(_PRIVATE)


@functools.cache
def _private_letters() -> Any:
    import re

    return re.compile(rb"(\xf4\x8f[\xbe\xbf][\x80-\xbf])")


@functools.cache
def _of_latin_1() -> dict[int, int]:
    return {byte: _BASE + byte for byte in range(0x80, 0x100)}


def from_text(text: str) -> str:
    """The string that stands for a caller's text inside a graph: itself, but for what stands for bytes there."""
    return text if is_text(text) else text_of(text.encode("utf-8"))


def bytes_of(text: str) -> bytes:
    """The bytes that a graph's string stands for; the inverse of :func:`text_of`."""
    return text.encode("utf-8") if is_text(text) else text.translate(_SURROGATE).encode("utf-8", "surrogateescape")


def is_text(text: str) -> bool:
    """Whether nothing in the string stands for a byte, so that it is what it says."""
    # The range is the last of Unicode, so the largest character tells.
    return text.isascii() or max(text) < _FIRST


def from_json(value: Any) -> bytes | None:
    """The bytes of ``{"b64": "…"}``, the form in which JSON carries any; None for anything else."""
    if type(value) is not dict or value.keys() != {"b64"} or type(value["b64"]) is not str:
        return None
    try:
        return binascii.a2b_base64(value["b64"].encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        return None


def to_json(text: str, *, always_b64: bool = False) -> Any:
    """A string as it is where JSON can carry it, else ``{"b64": "…"}``."""
    if always_b64 or not is_text(text):
        value = bytes_of(text)
        try:
            # A caller's own characters of the range are text, too.
            return {"b64": b64encode(value).decode()} if always_b64 else value.decode("utf-8")
        except UnicodeDecodeError:
            return {"b64": b64encode(value).decode()}
    return text
