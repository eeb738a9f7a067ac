"""Values as DynamoDB writes them, ``{"N": "5.1"}``, as JSON. Numbers keep all their digits.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_AttributeValue.html
"""

import re
from typing import Any

import orjson

from app.errors import Invalid, NestedTooDeeply, OutOfRange

# DynamoDB nests 32 levels at most:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
_DEEPEST = 32
# 38 digits, and exponents down to -130 and up to 125.
_LONGEST_NUMBER = 200
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1


def json_of(value: Any, pointer: str, depth: int = 0) -> Any:
    """What orjson writes as the value's JSON. Bytes are ``{"b64": "…"}``, sets are arrays.

    :param pointer: where the value stands in its item, a JSON Pointer (RFC 6901).
    :raises Invalid: with the place, for what is no value of DynamoDB.
    :raises OutOfRange: with the place, for a whole number of more than 64 bits, which JSON readers do not take exactly.
    """
    if depth > _DEEPEST:
        raise NestedTooDeeply(f"The item is nested deeper than {_DEEPEST} levels, which DynamoDB does not do.", pointer=pointer)
    if not isinstance(value, dict) or len(value) != 1:
        raise Invalid('A value of DynamoDB has one member, its type: {"N": "5.1"}.', pointer=pointer)
    ((kind, content),) = value.items()
    if kind == "M" and isinstance(content, dict):
        return {name: json_of(item, f"{pointer}/{_escaped(name)}", depth + 1) for name, item in content.items()}
    if kind == "L" and isinstance(content, list):
        return [json_of(item, f"{pointer}/{place}", depth + 1) for place, item in enumerate(content)]
    if kind in ("SS", "NS", "BS") and isinstance(content, list):
        return [_scalar(kind[0], item, f"{pointer}/{place}") for place, item in enumerate(content)]
    return _scalar(kind, content, pointer)


def _scalar(kind: str, content: Any, pointer: str) -> Any:
    if kind == "N" and isinstance(content, str):
        return _number(content, pointer)
    if kind == "S" and isinstance(content, str):
        return content
    if kind == "B" and isinstance(content, str):
        return {"b64": content}
    if kind == "BOOL" and isinstance(content, bool):
        return content
    if kind == "NULL" and content is True:
        return None
    raise Invalid("The value is of no type that DynamoDB has: S, N, B, BOOL, NULL, M, L, SS, NS or BS.", pointer=pointer)


def _number(text: str, pointer: str) -> Any:
    match = _NUMBER.fullmatch(text) if len(text) <= _LONGEST_NUMBER else None
    if match is None:
        raise Invalid("The number is not written as DynamoDB writes numbers.", pointer=pointer)
    if match[1] or match[2]:
        # As it stands: through a float it would lose digits that a wider type of the model's could hold.
        return orjson.Fragment(text)
    number = int(text)
    if not _SMALLEST <= number <= _LARGEST:
        raise OutOfRange(
            "The whole number has more than 64 bits, and would not arrive exactly. Keep it as text, or round it where it is put.",
            pointer=pointer,
        )
    return number


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
