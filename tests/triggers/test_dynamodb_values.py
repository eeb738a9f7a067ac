"""How DynamoDB's values become JSON."""

import json
from base64 import b64decode, b64encode
from decimal import Decimal
from typing import Any

import orjson
import pytest
from boto3.dynamodb.types import DYNAMODB_CONTEXT, Binary, TypeDeserializer, TypeSerializer
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Problem
from app.triggers.dynamodb_values import json_of

# What DynamoDB holds: 38 digits, 1E-130 … 9.99E125.
NUMBERS = st.builds(
    lambda sign, digits, exponent: DYNAMODB_CONTEXT.create_decimal(Decimal((sign, digits, exponent))),
    st.integers(0, 1),
    st.lists(st.integers(0, 9), min_size=1, max_size=38).map(tuple),
    st.integers(-38, 10),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.text(max_size=8) | st.binary(max_size=8).map(Binary) | NUMBERS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=6), inner, max_size=4)
        | st.sets(st.text(min_size=1, max_size=6), min_size=1, max_size=4)
        | st.sets(NUMBERS, min_size=1, max_size=4)
        | st.sets(st.binary(min_size=1, max_size=6).map(Binary), min_size=1, max_size=4)
    ),
    max_leaves=12,
)


def as_json(value: Any) -> Any:
    return json.loads(orjson.dumps(json_of(value, "")), parse_float=Decimal, parse_int=Decimal)


@given(value=VALUES)
def test_values_are_those_that_boto3_reads(value: Any) -> None:
    """Every value of DynamoDB is as JSON what boto3 reads it as, numbers to their last digit."""

    def plain(read: Any) -> Any:
        if isinstance(read, dict):
            return {name: plain(item) for name, item in read.items()}
        if isinstance(read, list | set):
            return [plain(item) for item in read]
        return {"b64": bytes(read)} if isinstance(read, Binary) else read

    def sorted_sets(written: Any) -> Any:
        """Bytes as bytes; sets in one order."""
        if isinstance(written, dict) and written.keys() == {"b64"} and isinstance(written["b64"], str):
            return {"b64": b64decode(written["b64"])}
        if isinstance(written, dict):
            return {name: sorted_sets(item) for name, item in written.items()}
        return [sorted_sets(item) for item in written] if isinstance(written, list) else written

    serialized = _as_the_event(TypeSerializer().serialize(value))
    read = plain(TypeDeserializer().deserialize(_as_boto3(serialized)))
    if any(not -(2**63) <= int(number) < 2**64 for number in _whole_numbers(serialized)):
        with pytest.raises(Problem, match="more than 64 bits"):
            as_json(serialized)
    else:
        assert _in_order(read) == _in_order(sorted_sets(as_json(serialized)))


def _as_the_event(value: Any) -> Any:
    """Bytes as Lambda writes them into the event's JSON."""
    ((kind, content),) = value.items()
    if kind == "B":
        return {"B": b64encode(bytes(content)).decode()}
    if kind == "BS":
        return {"BS": [b64encode(bytes(item)).decode() for item in content]}
    if kind == "L":
        return {"L": [_as_the_event(item) for item in content]}
    return {"M": {name: _as_the_event(item) for name, item in content.items()}} if kind == "M" else value


def _as_boto3(value: Any) -> Any:
    """The bytes again, as botocore would have them before boto3 reads."""
    ((kind, content),) = value.items()
    if kind == "B":
        return {"B": b64decode(content)}
    if kind == "BS":
        return {"BS": [b64decode(item) for item in content]}
    if kind == "L":
        return {"L": [_as_boto3(item) for item in content]}
    return {"M": {name: _as_boto3(item) for name, item in content.items()}} if kind == "M" else value


def _whole_numbers(value: Any) -> list[str]:
    ((kind, content),) = value.items()
    if kind in ("N", "NS"):
        return [text for text in ([content] if kind == "N" else content) if text.lstrip("-").isdecimal()]
    inner = content if kind == "L" else content.values() if kind == "M" else []
    return [number for item in inner for number in _whole_numbers(item)]


def _in_order(value: Any) -> Any:
    """Without regard to the order of arrays, as sets have none."""
    if isinstance(value, list):
        return sorted((_in_order(item) for item in value), key=repr)
    return {name: _in_order(item) for name, item in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0", b"0"),
        ("-5", b"-5"),
        ("9007199254740993", b"9007199254740993"),
        ("18446744073709551615", b"18446744073709551615"),
        ("-9223372036854775808", b"-9223372036854775808"),
        ("0.1000000000000000000000000000000000001", b"0.1000000000000000000000000000000000001"),
        ("1E-130", b"1E-130"),
    ],
)
def test_numbers_keep_their_digits(text: str, written: bytes) -> None:
    """A number is in the request as it is in the table."""
    assert written == orjson.dumps(json_of({"N": text}, ""))


@pytest.mark.parametrize("text", ["18446744073709551616", "-9223372036854775809", "1" + "0" * 125])
def test_whole_numbers_past_64_bits(text: str) -> None:
    """A whole number that no reader takes exactly is refused, with its place."""
    with pytest.raises(Problem, match="more than 64 bits") as caught:
        json_of({"M": {"a/b": {"L": [{"N": text}]}}}, "/request")

    assert ("out-of-range", "/request/a~1b/0") == (caught.value.code, caught.value.pointer)


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        {},
        {"S": "a", "N": "1"},
        {"S": 1},
        {"N": 1},
        {"N": "NaN"},
        {"N": "+1"},
        {"N": "01"},
        {"N": ".5"},
        {"N": "٣"},
        {"N": "1" * 201},
        {"B": 5},
        {"BOOL": "true"},
        {"NULL": False},
        {"M": []},
        {"L": {}},
        {"SS": "a"},
        {"SS": [1]},
        {"NS": [1]},
        {"X": "a"},
    ],
)
def test_what_is_no_value(value: Any) -> None:
    """What DynamoDB does not write is refused, and not guessed at."""
    with pytest.raises(Problem) as caught:
        json_of({"L": [value]}, "")

    assert "invalid-request" == caught.value.code
    assert str(caught.value.pointer).startswith("/0")


def test_nesting_has_an_end() -> None:
    """A value that is nested deeper than DynamoDB nests is refused."""
    value: Any = {"N": "1"}
    for _ in range(5000):
        value = {"L": [value]}
    with pytest.raises(Problem) as caught:
        json_of(value, "")

    assert "nested-too-deeply" == caught.value.code
