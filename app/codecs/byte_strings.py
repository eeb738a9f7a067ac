"""BYTES elements: any bytes in and out of a graph whose strings are Unicode text.

ONNX strings are UTF-8, and ONNX Runtime's Python binding takes and gives nothing else. A byte that is no part of valid UTF-8
goes through the graph as a private-use character (U+10FF00 + byte), and becomes that byte again on the way out. Characters of
that range which a caller sends are treated in the same way, so that no two different inputs become the same string.
"""

import binascii
import codecs as python_codecs
from base64 import b64encode
from typing import Any

_FIRST = 0x10FF00
_LAST = _FIRST + 0xFF
# U+10FF00 … U+10FFFF in UTF-8: f4 8f bc 80 … f4 8f bf bf
_LEAD = b"\xf4\x8f"
_ERRORS = "onnx-lambda.private-bytes"


def _escape(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "".join(chr(_FIRST + byte) for byte in error.object[error.start : error.end]), error.end


python_codecs.register_error(_ERRORS, _escape)


def text_of(value: bytes) -> str:
    """The string that stands for these bytes inside a graph: UTF-8 as it is, every other byte as a private-use character."""
    text = value.decode("utf-8", _ERRORS)
    return text if _LEAD not in value or is_text(text) else _escaped_text(value)


def _escaped_text(value: bytes) -> str:
    found: list[str] = []
    at = 0
    while at < len(value):
        size = next((n for n in (1, 2, 3, 4) if _letter(value[at : at + n])), 0)
        letter = _letter(value[at : at + size]) if size else ""
        private = not letter or _FIRST <= ord(letter) <= _LAST
        step = size or 1
        found += [chr(_FIRST + byte) for byte in value[at : at + step]] if private else [letter]
        at += step
    return "".join(found)


def _letter(piece: bytes) -> str:
    try:
        text = piece.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return text if len(text) == 1 else ""


def from_text(text: str) -> str:
    """The string that stands for a caller's text inside a graph: itself, but for what stands for bytes there."""
    return text if is_text(text) else text_of(text.encode("utf-8"))


def bytes_of(text: str) -> bytes:
    """The bytes that a graph's string stands for; the inverse of :func:`text_of`."""
    if is_text(text):
        return text.encode("utf-8")
    return b"".join(bytes([ord(letter) - _FIRST]) if _FIRST <= ord(letter) <= _LAST else letter.encode("utf-8") for letter in text)


def is_text(text: str) -> bool:
    """Whether the string stands for UTF-8, so that JSON can carry it as it is."""
    # The range is the last of Unicode, so the largest character tells.
    return text.isascii() or ord(max(text)) < _FIRST


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
    return text if is_text(text) and not always_b64 else {"b64": b64encode(bytes_of(text)).decode()}
