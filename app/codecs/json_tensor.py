"""One JSON value to one tensor, strictly: nothing is rounded, wrapped, cast or guessed that a caller did not mean."""

from itertools import chain
from math import isfinite, isnan
from typing import Any, NoReturn, cast

import numpy as np

from app.codecs.byte_strings import from_json, from_text, text_of
from app.codecs.json_text import Overflow
from app.codecs.number_array import NumberArray
from app.errors import NotFinite, OutOfRange, WrongDatatype, WrongShape
from app.tensors import EXACT_DOUBLE, Array, Datatype, TensorSpec, Value, strings

_NAMED_FLOATS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
# From 2^53 on a double does not hold every integer: 9007199254740993.0 is read as 9007199254740992.0.
_FEW = 64
# The largest FP16; every float datatype holds what is below.
_SURELY_FINITE = 65504.0
_JSON_NAMES = {bool: "boolean", int: "number", float: "number", str: "string", dict: "object", list: "array", Overflow: "number"}


def decode(value: Any, spec: TensorSpec, pointer: str, *, allow_nan: bool) -> Value:
    """The tensor (or, for an ONNX sequence, the list of tensors; for an ONNX optional, maybe None) in a JSON value.

    Shapes are those of the nesting; they are checked against the signature by the caller.

    :raises WrongShape: for ragged nesting.
    :raises WrongDatatype: for a value of another type.
    :raises OutOfRange: for a number that the datatype cannot hold, or a fraction where an integer is expected.
    :raises NotFinite: for NaN or infinity, unless ``allow_nan``.
    """
    if value is None and spec.optional:
        return None
    if spec.sequence:
        if isinstance(value, NumberArray):
            value = value.values()
        if not isinstance(value, list):
            raise WrongShape(f"input '{spec.name}' is {spec.describe()}: expected an array of tensors.", pointer=pointer)
        return [_tensor(item, spec, f"{pointer}/{i}", allow_nan=allow_nan) for i, item in enumerate(value)]
    return _tensor(value, spec, pointer, allow_nan=allow_nan)


def _tensor(value: Any, spec: TensorSpec, pointer: str, *, allow_nan: bool) -> Array:
    if isinstance(value, NumberArray):
        if (tensor := _from_numbers(value, spec.datatype)) is not None:
            return tensor
        value = value.values()
    items, shape = _flatten(value, spec, pointer)
    place = _Place(spec, pointer, shape)
    kind = spec.datatype.kind
    if kind == "string":
        return _strings(items, place)
    if kind == "bool":
        place.require(items, {bool}, "true or false")
        return np.array(items, np.bool_).reshape(shape)
    if kind == "integer":
        return _integers(items, place)
    return _floats(items, place, allow_nan=allow_nan)


def _from_numbers(numbers: NumberArray, datatype: Datatype) -> Array | None:
    """The quick way for what is all right; None where the slow way must say what is wrong."""
    if datatype.kind == "float":
        doubles = numbers.doubles()
        return None if doubles is None else _narrowed(doubles, datatype)
    if datatype.kind == "integer":
        wide = numbers.integers(unsigned=datatype.name.startswith("U"))
        if wide is None or wide.dtype == datatype.numpy or wide.size == 0:
            return None if wide is None else wide.astype(datatype.numpy, copy=False)
        limits = np.iinfo(cast(Any, datatype.numpy))
        inside = int(cast(Any, wide.min())) >= limits.min and int(cast(Any, wide.max())) <= limits.max
        return wide.astype(datatype.numpy) if inside else None
    return None


def _narrowed(doubles: Array, datatype: Datatype) -> Array | None:
    """Float64 values in the model's width, or None if a finite one would become infinite."""
    with np.errstate(over="ignore"):
        narrow = doubles.astype(datatype.numpy)
    if datatype.name == "BF16" and bool((np.abs(cast(Any, narrow)) > datatype.largest).any()):
        return None
    return None if bool(np.isinf(cast(Any, narrow)).any()) else narrow


def _flatten(value: Any, spec: TensorSpec, pointer: str) -> tuple[list[Any], tuple[int, ...]]:
    """The scalars of a nested list in row-major order, and the shape."""
    shape: list[int] = []
    level = [value]
    while True:
        kinds = set(map(type, level))
        if NumberArray in kinds:
            level = [item.values() if type(item) is NumberArray else item for item in level]
            kinds = set(map(type, level))
        if list not in kinds:
            return level, tuple(shape)
        if len(kinds) > 1 or len(set(map(len, level))) > 1:
            raise _ragged(level, shape, spec, pointer)
        shape.append(len(level[0]))
        level = list(chain.from_iterable(level))


def _ragged(level: list[Any], shape: list[int], spec: TensorSpec, pointer: str) -> WrongShape:
    """Names the first item that is not as its neighbours are."""
    first = level[0]
    if type(first) is list:
        flat, item = next((i, item) for i, item in enumerate(level) if type(item) is not list or len(item) != len(first))
        got = f"an array of length {len(item)}" if type(item) is list else _article(_json_name(item))
        neighbours = f"where its neighbours have length {len(first)}"
    else:
        flat = next(i for i, item in enumerate(level) if type(item) is list)
        got, neighbours = "an array", "where its neighbours are single values"
    place = _index_text(flat, shape)
    return WrongShape(
        f"input '{spec.name}' is ragged: at {place or 'the top'} stands {got} {neighbours}; the model expects {spec.describe()}.",
        pointer=pointer + place.replace("[", "/").replace("]", ""),
    )


def _index_text(flat: int, shape: list[int] | tuple[int, ...]) -> str:
    """``[2][0]``: where element number ``flat`` stands."""
    indices = np.unravel_index(flat, tuple(shape)) if shape and flat >= 0 else ()
    return "".join(f"[{int(i)}]" for i in indices)


def _json_name(value: Any) -> str:
    return "null" if value is None else _JSON_NAMES.get(type(value), type(value).__name__)


def _article(name: str) -> str:
    return name if name == "null" else f"{'an' if name[0] in 'ao' else 'a'} {name}"


class _Place:
    """Where a tensor stands in the request, for messages that name the position."""

    def __init__(self, spec: TensorSpec, pointer: str, shape: tuple[int, ...]) -> None:
        self.spec, self.pointer, self.shape = spec, pointer, shape

    def refuse(self, kind: type[WrongDatatype | OutOfRange | NotFinite], flat: int, got: str, expected: str) -> NoReturn:
        index = _index_text(flat, self.shape)
        where = f" at {index}" if index else ""
        raise kind(
            f"input '{self.spec.name}'{where} is {got}; the model expects {expected}.",
            pointer=self.pointer + index.replace("[", "/").replace("]", ""),
        )

    def require(self, items: list[Any], kinds: set[type], expected: str) -> None:
        if found := set(map(type, items)) - kinds:
            if Overflow in found and float in kinds:
                flat = next(i for i, item in enumerate(items) if type(item) is Overflow)
                self.refuse(OutOfRange, flat, items[flat].text, f"{expected}; no datatype holds more than 1.8e308")
            flat = next(i for i, item in enumerate(items) if type(item) not in kinds)
            self.refuse(WrongDatatype, flat, _article(_json_name(items[flat])), expected)


def _strings(items: list[Any], place: _Place) -> Array:
    if dict in set(map(type, items)):
        items = [item if (value := from_json(item)) is None else value for item in items]
        for flat, item in enumerate(items):
            if type(item) is dict and item.keys() == {"b64"} and type(item["b64"]) is str:
                place.refuse(
                    WrongDatatype, flat, "no valid base64", 'the standard alphabet (RFC 4648, section 4) with its padding in "b64"'
                )
    place.require(items, {str, bytes}, 'a string or {"b64": "…"} in base64 (BYTES)')
    texts = [text_of(item) if type(item) is bytes else item if item.isascii() else from_text(item) for item in items]
    return strings(texts, place.shape)


def _integers(items: list[Any], place: _Place) -> Array:
    datatype = place.spec.datatype
    expected = f"a whole number ({datatype.name})"
    place.require(items, {int, float}, expected)
    limits = np.iinfo(cast(Any, datatype.numpy))
    whole: list[int] = []
    for flat, item in enumerate(items):
        if type(item) is float:
            if not isfinite(item):
                place.refuse(NotFinite, flat, _float_text(item), expected)
            if not item.is_integer():
                place.refuse(OutOfRange, flat, f"{item!r}, which has a fraction", expected)
            if abs(item) >= EXACT_DOUBLE and limits.min <= item <= limits.max:
                place.refuse(
                    OutOfRange, flat, f"{item!r}, written as a decimal, beyond the exact range", f"{expected} written with digits only"
                )
        number = int(item)
        if not limits.min <= number <= limits.max:
            place.refuse(OutOfRange, flat, f"{item!r:.40}", f"{expected} from {limits.min} to {limits.max}")
        whole.append(number)
    return np.array(whole, datatype.numpy).reshape(place.shape)


def _floats(items: list[Any], place: _Place, *, allow_nan: bool) -> Array:
    datatype = place.spec.datatype
    expected = f"a number ({datatype.name})"
    if set(map(type, items)) - {int, float}:
        items = [_named_float(item, allow_nan=allow_nan) for item in items]
        place.require(items, {int, float}, expected + (", null or 'NaN', 'Infinity', '-Infinity'" if allow_nan else ""))
    # Most requests are a few ordinary numbers, for which NumPy's checks cost more than the conversion (5 µs less for a row).
    if len(items) <= _FEW and all(-_SURELY_FINITE < item < _SURELY_FINITE for item in items):
        return np.array(items, datatype.numpy).reshape(place.shape)
    try:
        doubles: Array = np.array(items, np.float64).reshape(place.shape)
    except OverflowError:
        flat = next(i for i, item in enumerate(items) if type(item) is int and abs(item) > 2**1023)
        place.refuse(OutOfRange, flat, "too large", expected)
    if datatype.item_bytes < 8 or not allow_nan:
        narrow = _narrowed(doubles, datatype)
        finite = narrow is not None and not bool(np.isnan(cast(Any, narrow)).any())
        if narrow is not None and finite:
            return narrow
        _explain_not_finite(doubles, place, expected, allow_nan=allow_nan)
    return doubles.astype(datatype.numpy)


def _explain_not_finite(doubles: Array, place: _Place, expected: str, *, allow_nan: bool) -> None:
    """Refuse the first value that is not finite, or would not be in the model's width; return if all is permitted."""
    flat_values = cast(Any, doubles).reshape(-1)
    not_finite = np.flatnonzero(~np.isfinite(flat_values))
    if not_finite.size and not allow_nan:
        first = int(not_finite[0])
        place.refuse(NotFinite, first, _float_text(float(flat_values[first])), f"a finite number ({place.spec.datatype.name})")
    bfloat16 = place.spec.datatype.name == "BF16"
    largest = place.spec.datatype.largest
    with np.errstate(over="ignore"):
        # What rounds down to the largest fits; what rounds up to infinity does not.
        narrow = np.abs(flat_values) if bfloat16 else flat_values.astype(place.spec.datatype.numpy)
    overflows = narrow.astype(np.float32) > largest if bfloat16 else np.isinf(narrow)
    too_large = np.flatnonzero(np.isfinite(flat_values) & overflows)
    if too_large.size:
        first = int(too_large[0])
        place.refuse(OutOfRange, first, repr(float(flat_values[first])), f"{expected} of at most {largest:.6g}")


def _named_float(item: Any, *, allow_nan: bool) -> Any:
    if not allow_nan:
        # A name of a float where none is allowed is called what it is.
        return _NAMED_FLOATS.get(item, item) if type(item) is str else item
    return float("nan") if item is None else _NAMED_FLOATS.get(item, item) if type(item) is str else item


def _float_text(value: float) -> str:
    return "NaN" if isnan(value) else ("Infinity" if value > 0 else "-Infinity")
