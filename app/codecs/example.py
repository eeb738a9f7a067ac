"""A valid request for a model, from its manifest or made up from its signature."""

from collections.abc import Mapping
from math import prod
from typing import Any

from app.tensors import Signature, TensorSpec

# An example is for reading; this many values are not.
_MOST_VALUES = 1024


def example_body(signature: Signature, inputs: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A body for ``/predict``: the author's example where it names every input, else zeros of the smallest size.

    None where that would be more than a person reads.
    """
    if inputs is not None and all(spec.name in inputs for spec in signature.inputs if not spec.optional):
        return {"inputs": dict(inputs)}
    if sum(prod(spec.smallest_shape()) for spec in signature.inputs) > _MOST_VALUES:
        return None
    return {"inputs": {spec.name: _zeros(spec) for spec in signature.inputs}}


def _zeros(spec: TensorSpec) -> Any:
    if spec.optional:
        return None
    value: Any = {"string": "", "bool": False, "float": 0.0}.get(spec.datatype.kind, 0)
    for size in reversed(spec.smallest_shape()):
        value = [value] * size
    return [value] if spec.sequence else value
