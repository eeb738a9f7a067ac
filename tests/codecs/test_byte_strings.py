"""BYTES elements: any bytes through graphs whose strings are Unicode."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.codecs import byte_strings

# Whole and broken UTF-8, and what stands for bytes inside a graph.
PIECES = [
    b"",
    b"a",
    b"\0",
    b"\xff",
    b"\xc3",
    "é".encode(),
    "\U0001f600".encode(),
    b"\xf0\x9f",
    b"\xf4\x8f\xbc\x80",
    b"\xf4\x8f\xbf\xbf",
    b"\xf4\x8f",
]
any_bytes = st.binary(max_size=40) | st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join)


@given(any_bytes)
def test_any_bytes_come_back(value: bytes) -> None:
    """Whatever bytes go in come out, by way of a string that is valid Unicode."""
    text = byte_strings.text_of(value)
    text.encode("utf-8")

    assert value == byte_strings.bytes_of(text)


@given(any_bytes, any_bytes)
def test_different_bytes_are_different_strings(one: bytes, other: bytes) -> None:
    """No two different values become the same string inside the graph."""
    assert (one == other) == (byte_strings.text_of(one) == byte_strings.text_of(other))


@given(st.text(max_size=40))
def test_text_is_itself(text: str) -> None:
    """Valid UTF-8 is the text that it encodes, so that a tokenizer in a graph sees it; text and its bytes are one value."""
    assert byte_strings.text_of(text.encode()) == byte_strings.from_text(text)
    assert not byte_strings.is_text(text) or text == byte_strings.from_text(text)


@given(any_bytes, st.booleans())
def test_json_form(value: bytes, always_b64: bool) -> None:
    """In JSON a value is its text, or {"b64": …} where it has none."""
    form = byte_strings.to_json(byte_strings.text_of(value), always_b64=always_b64)

    assert value == (form.encode() if isinstance(form, str) else byte_strings.from_json(form))
    assert isinstance(form, dict) or not always_b64


@pytest.mark.parametrize("value", ["text", 1, None, [], {}, {"b64": 1}, {"b64": "*"}, {"b64": "YQ"}, {"b64": "é"}, {"b64": "YQ==", "x": 1}])
def test_no_b64(value: object) -> None:
    """What is no object of one base64 string is none."""
    assert byte_strings.from_json(value) is None
