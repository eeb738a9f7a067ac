"""The rows of many small requests at once: one float input, of nothing but ordinary numbers. Everything else is left to the strict way."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import orjson

from app.codecs.number_array import NumberArray
from app.codecs.plain_numbers import SURELY_FINITE, takes_floats
from app.tensors import Array, Signature

_NUMBERS = frozenset((int, float))
_NUMBER_BYTES = b"0123456789+-.eE \t\r"
_MOST_FIRST = 4096
_FORMS: dict[str, Literal["columns", "rows"]] = {"inputs": "columns", "instances": "rows"}


class PlainRows(NamedTuple):
    """``matrix`` holds the rows of the bodies at ``places``, one body after the other; ``starts`` says where each begins, and the end of all."""

    matrix: Array
    places: Sequence[int]
    starts: Sequence[int]


class AlikeRows(NamedTuple):
    """The rows of bodies that are all alike, and the form in which they ask."""

    rows: PlainRows
    form: Literal["columns", "rows"]


def alike(bodies: Sequence[str], signature: Signature) -> AlikeRows | None:
    """The rows of bodies that have the same one key and equally many rows, read as one text; None for any others.

    Without its numbers each body must look as the first one does, so that none can end where another begins, and the text before the
    rows must be the first one's to the letter.
    """
    first = bodies[0]
    if not _takes_rows(signature) or len(first) > _MOST_FIRST:
        return None
    try:
        document = orjson.loads(first)
        text = "\n".join(bodies).encode()
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return None
    form = _FORMS.get(next(iter(document), "")) if type(document) is dict and len(document) == 1 else None
    value = next(iter(document.values())) if form else None
    if form is None or type(value) is not list or not (rows := stacked([value], signature)):
        return None
    before = first[: first.index("[")].encode()
    lines = text.translate(None, _NUMBER_BYTES)
    if lines + b"\n" != (first.encode().translate(None, _NUMBER_BYTES) + b"\n") * len(bodies) or text.count(before) != len(bodies):
        return None
    inner = text.replace(before, b"").replace(b"}", b"").replace(b"\n", b",")
    doubles = NumberArray(b"[" + inner + b"]", (len(bodies) * len(rows.matrix), *rows.matrix.shape[1:])).doubles()
    if doubles is None or not float(np.max(np.abs(cast(Any, doubles)), initial=0.0)) < SURELY_FINITE:
        return None
    matrix = cast(Array, doubles.astype(signature.inputs[0].datatype.numpy))
    return AlikeRows(PlainRows(matrix, range(len(bodies)), range(0, len(matrix) + 1, len(rows.matrix))), form)


def _takes_rows(signature: Signature) -> bool:
    """Whether the model takes one tensor of floats, of any number of numbers or of rows of them."""
    shape = signature.inputs[0].shape if takes_floats(signature) and not signature.loops_over_batch else None
    return shape is not None and len(shape) in {1, 2} and not isinstance(shape[0], int)


def stacked(bodies: Sequence[list[Any]], signature: Signature) -> PlainRows | None:
    """The rows of all bodies that are plain and fit, ``[N]`` or ``[N, k]``; None where the model takes something else.

    :param bodies: parsed JSON, whose strings and keys are known to be none.
    """
    if not _takes_rows(signature):
        return None
    shape = cast(tuple[Any, ...], signature.inputs[0].shape)
    rows: list[Any] = []
    places: list[int] = []
    starts = [0]
    width = shape[1] if len(shape) == 2 else 0
    if not isinstance(width, int):
        width = _width(bodies)
    fits = _fits_matrix if len(shape) == 2 else _fits_vector
    for place, body in enumerate(bodies):
        if fits(body, width):
            rows += body
            places.append(place)
            starts.append(len(rows))
    if not places:
        return None
    doubles = np.array(rows, np.float64)
    plain = np.abs(doubles) < SURELY_FINITE
    if not plain.all():
        return stacked(_without(bodies, places, starts, plain), signature)
    return PlainRows(cast(Array, doubles.astype(signature.inputs[0].datatype.numpy)), places, starts)


def _fits_matrix(body: list[Any], width: int) -> bool:
    if len(body) == 1:
        row = body[0]
        return type(row) is list and len(row) == width and _NUMBERS.issuperset(map(type, row))
    return bool(body) and all(type(row) is list and len(row) == width and _NUMBERS.issuperset(map(type, row)) for row in body)


def _fits_vector(body: list[Any], width: int) -> bool:  # noqa: ARG001 - as above
    return bool(body) and _NUMBERS.issuperset(map(type, body))


def _width(bodies: Sequence[list[Any]]) -> int:
    """The width of the first row there is: where the model takes any, rows of one width are taken together."""
    return next((len(body[0]) for body in bodies if body and type(body[0]) is list), 0)


def _without(bodies: Sequence[list[Any]], places: list[int], starts: list[int], plain: Any) -> list[list[Any]]:
    """The bodies, those that have numbers too large emptied: no body without rows is taken."""
    whole = plain.reshape(len(plain), -1).all(axis=1)
    bad = {place for place, start, end in zip(places, starts, starts[1:], strict=False) if not whole[start:end].all()}
    return [[] if place in bad else body for place, body in enumerate(bodies)]
