"""Tensors to JSON: values that orjson writes without a Python object for each number."""

from collections.abc import Callable
from math import isnan
from typing import Any, cast

import numpy as np
import orjson

from app.codecs.byte_strings import is_text, to_json
from app.errors import Invalid, OutputNotFinite
from app.tensors import Array, Signature, Value

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY
_NAMES = {1: "Infinity", -1: "-Infinity"}


def dumps(document: Any) -> bytes:
    """One JSON document. NumPy arrays are written directly: 34 ms for a million float32 against 952 ms by lists."""
    return orjson.dumps(document, option=_OPTIONS)


def jsonable(name: str, value: Value, nan_output: str) -> Any:
    """A value that :func:`dumps` writes as valid JSON.

    NaN and infinity, which JSON does not have, become ``null``, a string, or an error, by the model's policy.

    :raises OutputNotFinite: with policy ``error``, naming the output and the position.
    """
    if value is None:
        return None
    if isinstance(value, list):
        return [jsonable(name, item, nan_output) for item in value]
    # Zero dimensions, and an empty tensor that has rows of nothing, orjson does not write as JSON should show them.
    if value.dtype == object:
        return _strings(value)
    if value.ndim == 0 or value.size == 0:
        return _finite_list(name, value, nan_output)
    if nan_output != "null" and value.dtype.kind == "f" and not np.isfinite(cast(Any, value)).all():
        return _finite_list(name, value, nan_output)
    return np.ascontiguousarray(value)


def _strings(value: Array) -> Any:
    items = value.reshape(-1).tolist()
    if all(map(is_text, items)):
        return value.tolist()
    return _mapped(value.tolist(), to_json)


def _finite_list(name: str, value: Array, nan_output: str) -> Any:
    if value.dtype.kind != "f" or value.size == 0:
        return value.tolist()
    finite = np.isfinite(cast(Any, value)).reshape(-1)
    flat = value.reshape(-1)
    if nan_output == "error" and not finite.all():
        place = np.argwhere(~np.isfinite(cast(Any, value)))[0].tolist()
        raise OutputNotFinite(
            f"output '{name}' is {_name(float(cast(Any, value)[tuple(place)]))} at {place}, and the NaN policy is 'error'."
        )
    # By way of orjson, which writes a float32 with its own shortest digits, where tolist makes 0.10000000149011612 of 0.1.
    numbers: list[Any] = orjson.loads(dumps(np.ascontiguousarray(flat)))
    if nan_output == "string":
        for i in np.flatnonzero(~finite):
            numbers[i] = _name(float(cast(Any, flat)[i]))
    return _nested(numbers, value.shape) if value.ndim else numbers[0]


def _name(number: float) -> str:
    return "NaN" if isnan(number) else _NAMES[1 if number > 0 else -1]


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    return [_mapped(item, change) for item in value] if isinstance(value, list) else change(value)


def top_k(name: str, scores: Value, k: int, signature: Signature, classes: Value, *, nan_output: str) -> Any:
    """The ``k`` highest scores of each row: ``[{"label", "index", "score"}, …]``, ``label`` where labels are known.

    :param scores: ``[..., classes]``.
    :param classes: the class labels of a ZipMap, which stand in where ``model.toml`` names none.
    :raises Invalid: for an output that is no row of scores.
    """
    if not isinstance(scores, np.ndarray) or scores.ndim == 0 or scores.dtype.kind != "f":
        raise Invalid(f"top_k needs an output of scores; '{name}' is none.", pointer="/parameters/top_k")
    width = scores.shape[-1]
    if width == 0:
        raise Invalid(f"top_k needs an output of scores; '{name}' has no classes.", pointer="/parameters/top_k")
    labels = labels_of(width, signature, classes)
    rows = np.ascontiguousarray(scores).reshape(-1, width)
    # A stable sort of the negated scores keeps ties in class order.
    order = np.argsort(-cast(Any, rows), axis=-1, kind="stable")[:, :k]
    picked = np.take_along_axis(rows, order, axis=-1)
    listed = [
        [
            ({"label": labels[i]} if labels else {}) | {"index": i, "score": score}
            for i, score in zip(indices, jsonable(name, found, nan_output), strict=True)
        ]
        for indices, found in zip(order.tolist(), picked, strict=True)
    ]
    return listed[0] if scores.ndim == 1 else _nested(listed, scores.shape[:-1])


def labels_of(width: int, signature: Signature, classes: Value) -> list[Any]:
    """The labels of ``width`` classes: the manifest's, else those of a ZipMap, else none.

    :param classes: the class labels of a ZipMap.
    """
    if len(signature.labels) == width:
        return list(signature.labels)
    return classes.tolist() if isinstance(classes, np.ndarray) and len(classes) == width else []


def _nested(rows: list[Any], shape: tuple[int, ...]) -> list[Any]:
    for size in reversed(shape[1:]):
        rows = [rows[i : i + size] for i in range(0, len(rows), size)]
    return rows
