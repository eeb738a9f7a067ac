"""A valid request for a model, from its manifest or made up from its signature."""

from collections.abc import Mapping
from typing import Any

from app.tensors import Signature, TensorSpec


def example_body(signature: Signature, inputs: Mapping[str, Any] | None) -> dict[str, Any]:
    """A body for ``/predict``: the author's example where it names every input, else zeros of the smallest size."""
    given = inputs if inputs is not None and all(spec.name in inputs for spec in signature.inputs if not spec.optional) else None
    return {"inputs": dict(given) if given is not None else {spec.name: _zeros(spec) for spec in signature.inputs}}


def _zeros(spec: TensorSpec) -> Any:
    if spec.optional:
        return None
    value: Any = {"string": "", "bool": False, "float": 0.0}.get(spec.datatype.kind, 0)
    # ONNX Runtime does not tell the rank inside a sequence; rank 1 is the commonest.
    shape = spec.shape or ((1,) if spec.sequence else ())
    for size in reversed([d if isinstance(d, int) else 1 for d in shape]):
        value = [value] * size
    return [value] if spec.sequence else value
