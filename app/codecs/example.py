"""A valid request for a model in each dialect, from its manifest or made up from its signature."""

from collections.abc import Mapping
from math import prod
from typing import Any

from app.tensors import Signature, TensorSpec

# An example is for reading; this many values are not.
_MOST_VALUES = 1024


def example_body(signature: Signature, inputs: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A body for ``/predict``: the author's example where it names every input, else zeros of the smallest size.

    None where that would be more than a person reads, or the graph refuses zeros.
    """
    if inputs is not None and all(spec.name in inputs for spec in signature.inputs if not spec.optional):
        return {"inputs": dict(inputs)}
    if not signature.takes_zeros or sum(prod(spec.smallest_shape()) for spec in signature.inputs) > _MOST_VALUES:
        return None
    return {"inputs": {spec.name: _zeros(spec) for spec in signature.inputs}}


def open_inference_body(signature: Signature, inputs: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The same for Open Inference; None for a model that takes or answers sequences, which that has no form for."""
    example = example_body(signature, inputs)
    if example is None or any(spec.sequence for spec in (*signature.inputs, *_answered(signature))):
        return None
    given = [(spec, example["inputs"].get(spec.name)) for spec in signature.inputs]
    return {
        "inputs": [
            {"name": spec.name, "shape": _shape(value), "datatype": spec.datatype.name, "data": _flat(value)}
            for spec, value in given
            if value is not None
        ]
    }


def tensorflow_serving_body(signature: Signature, inputs: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The same for TensorFlow Serving: rows for a model of one input, tensors by name for one of several."""
    example = example_body(signature, inputs)
    if example is None or any(spec.sequence or spec.optional for spec in signature.inputs):
        return None
    value = example["inputs"][signature.inputs[0].name] if len(signature.inputs) == 1 else None
    return {"instances": value} if isinstance(value, list) and value and _has_rows(signature) else example


def _answered(signature: Signature) -> list[TensorSpec]:
    return [signature.output_by_name[name] for name in signature.chosen_outputs(None, "")]


def _has_rows(signature: Signature) -> bool:
    """Whether nothing speaks against an answer of one value for each row."""
    rows = signature.inputs[0].shape[0] if signature.inputs[0].shape else None
    outputs = [spec for spec in _answered(signature) if spec.name not in signature.constant_outputs]
    return all(spec.shape and not spec.sequence and not spec.optional and spec.shape[0] in {rows, None} for spec in outputs)


def _shape(value: Any) -> list[int]:
    shape: list[int] = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return shape


def _flat(value: Any) -> list[Any]:
    return [scalar for item in value for scalar in _flat(item)] if isinstance(value, list) else [value]


def _zeros(spec: TensorSpec) -> Any:
    if spec.optional:
        return None
    value: Any = {"string": "", "bool": False, "float": 0.0}.get(spec.datatype.kind, 0)
    for size in reversed(spec.smallest_shape()):
        value = [value] * size
    return [value] if spec.sequence else value
