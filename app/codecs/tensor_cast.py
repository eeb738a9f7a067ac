"""An array of one datatype as an array of the model's, value for value.

A number goes in where the model's datatype can hold it, as in JSON: floats are rounded to the model's width and never to
infinity, integers must be whole and in range. Booleans are no numbers.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from app.codecs.byte_strings import from_text, text_of
from app.errors import Invalid, NotFinite, OutOfRange, WrongDatatype
from app.tensors import Array, TensorSpec, strings

# A position in an array → how a message names it; the empty position is the array itself.
Where = Callable[[tuple[int, ...]], str]


def cast_numbers(values: Array, spec: TensorSpec, where: Where, pointer: str | None = None) -> Array:
    """Numbers or booleans in the datatype of ``spec``: C-contiguous, aligned, of the same shape.

    :param values: of any width and byte order.
    :raises WrongDatatype: booleans for numbers, numbers for booleans or strings, or something that is neither.
    :raises OutOfRange: a number that the datatype cannot hold, or a fraction where a whole number is expected.
    :raises NotFinite: NaN or infinity where a whole number is expected.
    """
    datatype = spec.datatype
    expected = {"float": "a number", "integer": "a whole number", "bool": "true or false", "string": "a string"}[datatype.kind]
    expected = f"{expected} ({datatype.name})"
    if values.dtype.kind not in {"float": "fiu", "integer": "fiu", "bool": "b", "string": ""}[datatype.kind]:
        raise WrongDatatype(f"{where(())} has the datatype {values.dtype.name}; the model expects {expected}.", pointer=pointer)
    if datatype.kind == "float":
        refuse, found = _floats(values, spec, expected)
    elif datatype.kind == "integer":
        refuse, found = _integers(values, spec, expected)
    else:
        refuse, found = [], values
    for mask, kind, wanted in refuse:
        if mask.any():
            position = tuple(np.argwhere(mask)[0].tolist())
            raise kind(f"{where(position)} is {values[position]}; the model expects {wanted}.", pointer=pointer)
    return cast(Array, np.require(found, datatype.numpy, ["C", "A"]))


_Refusal = tuple[Any, type[Invalid], str]


def _floats(values: Any, spec: TensorSpec, expected: str) -> tuple[list[_Refusal], Any]:
    with np.errstate(over="ignore"):
        found = values.astype(spec.datatype.numpy, copy=False)
    if values.dtype == spec.datatype.numpy and spec.datatype.name != "BF16":
        return [], found
    largest = spec.datatype.largest
    beyond = (np.abs(found) > largest) & np.isfinite(values)
    return [(beyond, OutOfRange, f"{expected} of at most {largest:.6g}")], found


def _integers(values: Any, spec: TensorSpec, expected: str) -> tuple[list[_Refusal], Any]:
    limits = np.iinfo(cast(Any, spec.datatype.numpy))
    wanted = f"{expected} from {limits.min} to {limits.max}"
    if values.dtype.kind == "f":
        wide = values.astype(np.float64)
        finite = np.isfinite(wide)
        # Both limits are powers of two, which a double holds exactly: the largest 64-bit integer it does not.
        beyond = (wide < float(limits.min)) | (wide >= float(limits.max + 1))
        refusals: list[_Refusal] = [
            (~finite, NotFinite, expected),
            (finite & beyond, OutOfRange, wanted),
            (wide != np.trunc(wide), OutOfRange, expected),
        ]
        if any(mask.any() for mask, _, _ in refusals):
            return refusals, values
        return [], values.astype(spec.datatype.numpy, copy=False)
    # In Python's integers: NumPy compares int64 with uint64 as doubles.
    inside = values.size == 0 or (int(values.min()) >= limits.min and int(values.max()) <= limits.max)
    if inside:
        return [], values.astype(spec.datatype.numpy, copy=False)
    return [(_outside(values, limits), OutOfRange, wanted)], values


def _outside(values: Any, limits: Any) -> Any:
    own = np.iinfo(values.dtype)
    low, high = max(int(limits.min), int(own.min)), min(int(limits.max), int(own.max))
    return (values < np.array(low, values.dtype)) | (values > np.array(high, values.dtype))


def cast_strings(items: list[Any], shape: tuple[int, ...], spec: TensorSpec, where: Where, pointer: str | None = None) -> Array:
    """Strings and byte strings in row-major order as a tensor of strings.

    :raises WrongDatatype: when the model expects no strings, or for half a surrogate pair, which no text has.
    """
    if spec.datatype.kind != "string":
        raise WrongDatatype(f"{where(())} holds strings; the model expects {spec.datatype.name}.", pointer=pointer)
    try:
        return strings([text_of(item) if isinstance(item, bytes) else _from_text(item) for item in items], shape)
    except UnicodeEncodeError as error:
        raise WrongDatatype(f"{where(())} holds half a surrogate pair, which no text has.", pointer=pointer) from error


def _from_text(text: str) -> str:
    if text.isascii():
        return text
    text.encode("utf-8")  # refuses half a surrogate pair
    return from_text(text)
