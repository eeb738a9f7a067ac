"""JSON as SageMaker's containers take it: the bodies of ``/predict``, a bare array of rows, and Open Inference's requests.

Each is answered in its own form. What AWS's framework containers and Triton's front for SageMaker take is told apart by the
body alone, because SageMaker has one path for everything.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from app.codecs import json_document, predict_json
from app.codecs.call import Call, Encoded, ModelTag, batch_size
from app.codecs.json_output import dumps
from app.codecs.json_rows import from_rows, predictions
from app.codecs.number_array import NumberArray
from app.errors import Invalid, Problem, WrongShape
from app.tensors import Signature, Value


class _Form(NamedTuple):
    """Which of the forms a request had; ``details`` are those of the codec that read it."""

    name: Literal["bare", "open_inference"]
    details: Any = None


def decode(body: bytes, parameters: Mapping[str, str], signature: Signature) -> Call:  # noqa: ARG001 - JSON has none
    """Read a request; see :class:`app.codecs.call.Reader`."""
    document = json_document.loads(body)
    if isinstance(document, list | NumberArray):
        return _bare(document, signature)
    if not isinstance(document, dict):
        raise Invalid('The body must be an array of rows, or an object with "inputs" or "instances".', pointer="")
    if not _is_open_inference(document.get("inputs")):
        return predict_json.call_of(document, signature)
    from app.codecs import open_inference

    call = open_inference.call_of(document, signature)
    return call._replace(details=_Form("open_inference", call.details))


def encode(call: Call, signature: Signature, tag: ModelTag, outputs: Mapping[str, Value]) -> Encoded:
    """Write the answer; see :class:`app.codecs.call.Writer`."""
    if not isinstance(call.details, _Form):
        return predict_json.encode(call, signature, tag, outputs)
    if call.details.name == "bare":
        shown = predict_json.shown_outputs(call, signature, outputs)
        return Encoded(dumps(predictions(shown, batch_size(call.inputs), signature)), "application/json")
    from app.codecs import open_inference

    return open_inference.encode(call._replace(details=call.details.details), signature, tag, outputs)


def _is_open_inference(inputs: Any) -> bool:
    return isinstance(inputs, list) and bool(inputs) and isinstance(inputs[0], dict) and "datatype" in inputs[0]


def _bare(rows: Any, signature: Signature) -> Call:
    if isinstance(rows, list) and not rows:
        raise WrongShape("The array is empty; send at least one row.", pointer="")
    try:
        inputs = from_rows(rows, signature)
    except Problem as problem:
        # The rows are the whole body here.
        problem.pointer = problem.pointer and problem.pointer.removeprefix("/instances")
        raise
    signature.check_shapes(inputs, dict.fromkeys(inputs, ""))
    return Call(inputs, signature.chosen_outputs(None, ""), form="rows", details=_Form("bare"))
