"""The quick way for the commonest request: one float input, small, of nothing but ordinary numbers.

What is left of such a body without its numbers, brackets and space is one of a few known outlines; then the checks that name what is
wrong in any other body have nothing to find. Everything else goes the way that explains: docs/decisions/0007-plain-numbers.md.
"""

import functools
from math import prod
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import orjson

from app.codecs.call import Call
from app.errors import WrongShape
from app.tensors import Array, Signature, Value

_NUMBERS = b"0123456789+-.eE[], \t\r\n"
# Above this the arrays are cut out of the body (number_array), which is quicker still.
_MOST_BYTES = 4096
# Less than the largest FP16: every float datatype holds what is below, so nothing overflows.
SURELY_FINITE = 65504.0
_FEW = 64


class _Form(NamedTuple):
    keys: tuple[str, ...]
    form: Literal["columns", "rows"]


def call_of(body: bytes, signature: Signature) -> Call | None:
    """The call of a body that is plain and right; None for one that the strict way must read, or refuse."""
    if len(body) > _MOST_BYTES:
        return None
    form = _outlines(signature).get(body.translate(None, _NUMBERS))
    if form is None:
        return None
    spec = signature.inputs[0]
    try:
        value: Any = orjson.loads(body)
        for key in form.keys:
            value = value[key]
        doubles = np.array(value, np.float64)
    except (ValueError, KeyError, TypeError):
        return None
    if not _is_plain(doubles) or not _fits(signature, doubles.shape, form.form):
        return None
    inputs: dict[str, Value] = {spec.name: doubles.astype(spec.datatype.numpy)}
    return Call(inputs, signature.chosen_outputs(None, ""), form.form)


def tensor_of(body: bytes, signature: Signature) -> Array | None:
    """The only tensor of an Open Inference body, in JSON, that is plain and right; None for one that the strict way must read, or refuse."""
    if len(body) > _MOST_BYTES or body.translate(None, _NUMBERS) != _tensor_outline(signature):
        return None
    spec = signature.inputs[0]
    try:
        (item,) = orjson.loads(body)["inputs"]
        shape: tuple[Any, ...] = tuple(item["shape"])
        doubles = np.array(item["data"], np.float64)
        if item["name"] != spec.name or item["datatype"] != spec.datatype.name:
            return None
    except (ValueError, KeyError, TypeError):
        return None
    if not all(type(size) is int and size > 0 for size in shape) or doubles.ndim == 0 or doubles.size != prod(shape):
        return None
    if not _is_plain(doubles) or not _fits(signature, shape, "columns"):
        return None
    return cast(Array, doubles.astype(spec.datatype.numpy).reshape(shape))


def _is_plain(values: np.ndarray[Any, np.dtype[np.float64]]) -> bool:
    if values.size == 0:
        return True
    if values.size > _FEW:
        return float(cast(Any, np.maximum.reduce(np.abs(values), axis=None))) < SURELY_FINITE
    # NumPy's reductions take a microsecond to begin.
    numbers = values.ravel().tolist()
    return -SURELY_FINITE < min(numbers) and max(numbers) < SURELY_FINITE


@functools.lru_cache(maxsize=256)
def _fits(signature: Signature, shape: tuple[int, ...], form: str) -> bool:
    """Whether a tensor of this shape is one that the model takes: callers send the same few shapes."""
    if form == "rows" and shape[:1] in {(), (0,)}:
        return False
    spec = signature.inputs[0]
    try:
        signature.check_shapes({spec.name: np.broadcast_to(np.zeros((), spec.datatype.numpy), shape)}, {spec.name: ""})
    except WrongShape:
        return False
    return True


@functools.lru_cache(maxsize=64)
def _outlines(signature: Signature) -> dict[bytes, _Form]:
    """The outlines of this model's plain bodies. Names that differ in what is taken away are told apart by their keys."""
    if not takes_floats(signature):
        return {}
    spec = signature.inputs[0]
    forms = (_Form(("inputs", spec.name), "columns"), _Form(("inputs",), "columns"), _Form(("instances",), "rows"))
    return {_outline(form.keys): form for form in forms}


@functools.lru_cache(maxsize=64)
def _tensor_outline(signature: Signature) -> bytes | None:
    if not takes_floats(signature):
        return None
    spec = signature.inputs[0]
    # in the order of the specification, which its clients keep
    item = {"name": spec.name, "shape": 0, "datatype": spec.datatype.name, "data": 0}
    return orjson.dumps({"inputs": item}).translate(None, _NUMBERS)


def takes_floats(signature: Signature) -> bool:
    """Whether the model has one input, and that is a tensor of floats."""
    spec = signature.inputs[0] if len(signature.inputs) == 1 else None
    return spec is not None and spec.datatype.kind == "float" and not spec.sequence and not spec.optional


def _outline(keys: tuple[str, ...]) -> bytes:
    document: Any = 0
    for key in reversed(keys):
        document = {key: document}
    return orjson.dumps(document).translate(None, _NUMBERS)
