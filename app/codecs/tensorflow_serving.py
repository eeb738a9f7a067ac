"""TensorFlow Serving's dialect, which is KServe's v1 too: ``{"instances": […]}`` → ``{"predictions": […]}``, ``{"inputs": …}`` → ``{"outputs": …}``.

https://www.tensorflow.org/tfx/serving/api_rest. Keys that it does not know are passed over, as TensorFlow Serving does: clients
of KServe send their own.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from app.codecs import json_document, plain_numbers
from app.codecs.byte_strings import to_json
from app.codecs.call import Call, Encoded, ModelTag
from app.codecs.json_output import dumps
from app.codecs.json_rows import from_rows, predictions
from app.codecs.predict_json import from_columns, shown_outputs
from app.errors import Invalid
from app.tensors import Signature, Value, escaped

# What TensorFlow calls the signature that is used where none is named.
DEFAULT_SIGNATURE = "serving_default"
# An output of strings with this ending is one of bytes: api_rest, "Encoding binary values".
_BYTES_SUFFIX = "_bytes"


def decode(body: bytes, parameters: Mapping[str, str], signature: Signature) -> Call:  # noqa: ARG001 - JSON has none
    """Read a request; see :class:`app.codecs.call.Reader`."""
    return plain_numbers.call_of(body, signature) or call_of(json_document.loads(body), signature)


def call_of(document: Any, signature: Signature) -> Call:
    """A parsed body as arrays.

    :raises Problem: see :class:`app.codecs.call.Reader`.
    """
    if not isinstance(document, dict):
        raise Invalid('The body must be a JSON object with "instances" or "inputs".', pointer="")
    _check_signature_name(document.get("signature_name", ""))
    by_rows = "instances" in document
    if by_rows == ("inputs" in document):
        problem = "expecting only one of 'inputs' or 'instances' keys" if by_rows else "Missing 'inputs' or 'instances' key"
        raise Invalid(f'{problem}: send "instances" (a list of rows) or "inputs" (tensors by name).', pointer="")
    if by_rows:
        inputs, places = from_rows(document["instances"], signature), dict.fromkeys(signature.input_by_name, "/instances")
    else:
        inputs, places = _columns(document["inputs"], signature)
    signature.check_shapes(inputs, places)
    return Call(inputs, signature.chosen_outputs(None, ""), form="rows" if by_rows else "columns")


def encode(call: Call, signature: Signature, tag: ModelTag, outputs: Mapping[str, Value]) -> Encoded:  # noqa: ARG001 - names no model
    """Write the answer; see :class:`app.codecs.call.Writer`."""
    shown = shown_outputs(call, signature, outputs)
    for name in call.outputs:
        if name.endswith(_BYTES_SUFFIX) and signature.output_by_name[name].datatype.kind == "string":
            shown[name] = _in_base64(outputs[name])
    if call.form == "rows":
        rows = predictions(shown, _batch_size(call, signature, outputs), signature)
        return Encoded(dumps({"predictions": rows}), "application/json")
    return Encoded(dumps({"outputs": shown if len(shown) > 1 else next(iter(shown.values()))}), "application/json")


def _check_signature_name(name: Any) -> None:
    if not isinstance(name, str):
        raise Invalid("'signature_name' key must be a string value.", pointer="/signature_name")
    if name not in {"", DEFAULT_SIGNATURE}:
        raise Invalid(
            f'Serving signature name: "{name[:64]}" not found in signature def; an ONNX model has one, "{DEFAULT_SIGNATURE}".',
            pointer="/signature_name",
        )


def _columns(value: Any, signature: Signature) -> tuple[dict[str, Value], dict[str, str]]:
    """The tensors in ``"inputs"``, and the JSON Pointer of each."""
    bare = not isinstance(value, dict) or (value.keys() == {"b64"} and len(signature.inputs) == 1 and "b64" not in signature.input_by_name)
    places = {name: "/inputs" if bare else f"/inputs/{escaped(name)}" for name in signature.input_by_name}
    # One value of bytes is an object too, but none of inputs by name.
    named = {signature.inputs[0].name: value} if bare and isinstance(value, dict) else value
    return from_columns(named, signature, places), places


def _batch_size(call: Call, signature: Signature, outputs: Mapping[str, Value]) -> int:
    """The first dimension, which outputs by row share. TensorFlow Serving does not compare it with the number of rows sent."""
    size: int | None = None
    for name in call.outputs:
        if name in signature.constant_outputs:
            continue
        value = outputs[name]
        if value is None or (isinstance(value, np.ndarray) and value.ndim == 0):
            raise Invalid(f'Tensor name: {name} has no shape information: it has no rows; send "inputs" instead of "instances".')
        size = len(value) if size is None else size
        if len(value) != size:
            raise Invalid(
                f"Tensor name: {name} has inconsistent batch size: {len(value)} expecting: {size}, as the outputs before it; "
                'send "inputs" instead of "instances".'
            )
    return size or 0


def _in_base64(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list):
        return [_in_base64(item) for item in value]
    return None if value is None else to_json(value, always_b64=True)
