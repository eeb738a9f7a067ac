"""The project's own dialect in JSON: ``{"inputs": …}`` → ``{"outputs": …}``, ``{"instances": […]}`` → ``{"predictions": […]}``."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from app.codecs import json_document, json_tensor, plain_numbers
from app.codecs.call import Call, Encoded, ModelTag, batch_size
from app.codecs.json_output import dumps, jsonable, top_k
from app.codecs.json_rows import from_rows, predictions
from app.errors import Invalid
from app.tensors import Signature, Value, escaped

_KEYS = ("inputs", "instances", "outputs", "parameters", "id")
_PARAMETERS = ("top_k", "nan_output")
_MOST_CLASSES = 10_000
_NAN_POLICIES = ("null", "string", "error")


def decode(body: bytes, parameters: Mapping[str, str], signature: Signature) -> Call:  # noqa: ARG001 - JSON has none
    """Read a request; see :class:`app.codecs.call.Reader`."""
    return plain_numbers.call_of(body, signature) or call_of(json_document.loads(body), signature)


def call_of(document: Any, signature: Signature) -> Call:
    """A parsed body as arrays.

    :raises Problem: see :class:`app.codecs.call.Reader`.
    """
    if not isinstance(document, dict):
        raise Invalid('The body must be a JSON object with "inputs" or "instances".', pointer="")
    for key in document:
        if key not in _KEYS:
            raise Invalid(f"The body has the unknown key '{key[:64]}'; known are {', '.join(_KEYS)}.", pointer=f"/{key[:64]}")
    rows = "instances" in document
    if rows == ("inputs" in document):
        raise Invalid('The body must have exactly one of "inputs" (tensors by name) and "instances" (a list of rows).', pointer="")
    places = _places(document.get("inputs"), signature)
    inputs = from_rows(document["instances"], signature) if rows else from_columns(document["inputs"], signature, places)
    signature.check_shapes(inputs, dict.fromkeys(places, "/instances") if rows else places)
    parameters = _known_parameters(document.get("parameters"))
    return Call(
        inputs,
        _outputs(document.get("outputs"), signature),
        form="rows" if rows else "columns",
        id=_id(document.get("id")),
        top_k=_top_k(parameters),
        nan_output=nan_policy(parameters, "/parameters/nan_output"),
    )


def encode(call: Call, signature: Signature, tag: ModelTag, outputs: Mapping[str, Value]) -> Encoded:
    """Write the answer; see :class:`app.codecs.call.Writer`."""
    answer: dict[str, Any] = {"model": {"name": tag.name, "version": tag.version, "digest": tag.digest}}
    shown = shown_outputs(call, signature, outputs)
    if call.form == "rows":
        answer["predictions"] = predictions(shown, batch_size(call.inputs), signature)
    else:
        answer["outputs"] = shown
    if call.id is not None:
        answer["id"] = call.id
    return Encoded(dumps(answer), "application/json")


def shown_outputs(call: Call, signature: Signature, outputs: Mapping[str, Value]) -> dict[str, Any]:
    """The outputs that were asked for as values that JSON can carry, ranked where ``top_k`` asks for that.

    :raises Problem: see :class:`app.codecs.call.Writer`.
    """
    shown = {name: jsonable(name, outputs[name], call.nan_output or signature.nan_output) for name in call.outputs}
    return shown | (_ranked(call, signature, outputs) if call.top_k else {})


def _places(inputs: Any, signature: Signature) -> dict[str, str]:
    """Where each input stands in the body: by its name, or for a bare tensor in the place of all."""
    return {name: f"/inputs/{escaped(name)}" if isinstance(inputs, dict) else "/inputs" for name in signature.input_by_name}


def from_columns(value: Any, signature: Signature, places: Mapping[str, str]) -> dict[str, Value]:
    """The tensors in ``"inputs"``: an object of them by name, or the bare tensor of a model that has one input.

    :param places: the JSON Pointer of each input.
    :raises Problem: see :func:`app.codecs.json_tensor.decode`.
    """
    specs = signature.input_by_name
    # A bare tensor will do where the model has one input; an object is always one of tensors by name.
    if not isinstance(value, dict):
        if len(signature.inputs) != 1:
            raise Invalid(
                f'"inputs" must be an object of tensors by name, because the model has {signature.describe_inputs()}.', pointer="/inputs"
            )
        value = {signature.inputs[0].name: value}
    signature.check_input_names(value, "/inputs")
    allow_nan = signature.nan_input == "allow"
    return {name: json_tensor.decode(value.get(name), specs[name], places[name], allow_nan=allow_nan) for name in specs}


def _outputs(wanted: Any, signature: Signature) -> tuple[str, ...]:
    if wanted is not None and (not isinstance(wanted, list) or not wanted or not all(isinstance(name, str) for name in wanted)):
        raise Invalid('"outputs" must be an array of output names.', pointer="/outputs")
    return signature.chosen_outputs(wanted, "/outputs")


def _id(value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or len(value) > 256):
        raise Invalid('"id" must be a string of at most 256 characters.', pointer="/id")
    return value


def _known_parameters(parameters: Any) -> dict[str, Any]:
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise Invalid('"parameters" must be an object.', pointer="/parameters")
    for key in parameters:
        if key not in _PARAMETERS:
            known = ", ".join(_PARAMETERS)
            raise Invalid(f"There is no parameter '{key[:64]}'; known are {known}.", pointer=f"/parameters/{escaped(key[:64])}")
    return parameters


def nan_policy(parameters: Mapping[str, Any], pointer: str) -> str:
    """The request's own ``nan_output``: how NaN and infinity are answered in JSON; empty where it is not given.

    :raises Invalid: for another value than ``null``, ``string`` or ``error``.
    """
    policy: Any = parameters.get("nan_output", "")
    if "nan_output" in parameters and policy not in _NAN_POLICIES:
        raise Invalid(f'"nan_output" must be one of {", ".join(_NAN_POLICIES)}.', pointer=pointer)
    return str(policy)


def _top_k(parameters: Mapping[str, Any]) -> int:
    if "top_k" not in parameters:
        return 0
    k = parameters["top_k"]
    if type(k) is not int or not 1 <= k <= _MOST_CLASSES:
        raise Invalid(f'"top_k" must be a whole number from 1 to {_MOST_CLASSES}.', pointer="/parameters/top_k")
    return k


def _ranked(call: Call, signature: Signature, outputs: Mapping[str, Value]) -> dict[str, Any]:
    """The outputs of scores, ranked: floats with a dimension of classes, as long as the labels where there are labels."""
    policy = call.nan_output or signature.nan_output
    ranked: dict[str, Any] = {}
    mismatches: list[str] = []
    for name in call.outputs:
        value = outputs[name]
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim >= 2:
            if signature.labels and value.shape[-1] != len(signature.labels):
                mismatches.append(f"'{name}' has {value.shape[-1]} classes")
                continue
            ranked[name] = top_k(name, value, call.top_k, signature, outputs.get(f"{name}_labels"), nan_output=policy)
    if mismatches and not ranked:
        raise Invalid(
            f"top_k needs an output with a score for each of the {len(signature.labels)} labels; {', '.join(mismatches)}.",
            pointer="/parameters/top_k",
        )
    if not ranked:
        known = ", ".join(f"'{spec.name}' {spec.describe()}" for spec in (signature.output_by_name[n] for n in call.outputs))
        raise Invalid(f"top_k needs an output of scores [N, classes]; the request's outputs are {known}.", pointer="/parameters/top_k")
    return ranked
