"""Open Inference Protocol v2: tensors by name, datatype and shape, in JSON or raw behind it.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md and Triton's extensions for binary
tensors and classification. The length of the JSON comes as the content type's ``json-header-size``, over HTTP as the header
``Inference-Header-Content-Length``; 0 says that the body is the only input's bytes and nothing else.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from app.codecs import BINARY, JSON, SIZE_HEADER, SIZE_PARAMETER, json_document, plain_numbers
from app.codecs.binary_tensors import to_bytes
from app.codecs.call import Call, Encoded, ModelTag
from app.codecs.classification import classes
from app.codecs.json_output import dumps, jsonable
from app.codecs.open_inference_inputs import from_document, from_raw_body, object_of, refuse_shared_memory
from app.codecs.predict_json import nan_policy
from app.errors import Invalid, Unreadable, UnreadableJson
from app.identifiers import new_id
from app.tensors import BY_NAME, Signature, Value

_BYTES = BY_NAME["BYTES"]
_NOTHING = memoryview(b"")


class _Form(NamedTuple):
    """How the outputs are to be written: raw or in JSON, by name and for all others, and how many classes of which."""

    raw: bool = False
    raw_by_name: Mapping[str, bool] = {}
    classes_by_name: Mapping[str, int] = {}


def decode(body: bytes, parameters: Mapping[str, str], signature: Signature) -> Call:
    """Read a request; see :class:`app.codecs.call.Reader`."""
    if SIZE_PARAMETER not in parameters:
        tensor = plain_numbers.tensor_of(body, signature)
        if tensor is not None:
            return Call({signature.inputs[0].name: tensor}, _outputs([], signature), details=_Form())
        try:
            document = json_document.loads(body)
        except UnreadableJson as problem:
            if b'"binary_data_size"' in body:
                problem.detail += f" Where raw tensors follow the JSON, the header {SIZE_HEADER} must say how many bytes the JSON has."
            raise
        return call_of(document, signature)
    size = _header_size(parameters[SIZE_PARAMETER], len(body))
    if size == 0:
        # Triton answers these in binary throughout.
        inputs = from_raw_body(body, signature)
        return Call(inputs, _outputs([], signature), details=_Form(raw=True))
    return call_of(json_document.loads(body[:size]), signature, memoryview(body)[size:])


def encode(call: Call, signature: Signature, tag: ModelTag, outputs: Mapping[str, Value]) -> Encoded:
    """Write the answer; see :class:`app.codecs.call.Writer`."""
    form: _Form = call.details
    policy = call.nan_output or signature.nan_output
    listed: list[dict[str, Any]] = []
    raw: list[bytes | memoryview] = []
    for name in call.outputs:
        value, datatype = outputs[name], signature.output_by_name[name].datatype
        if name in form.classes_by_name:
            value = classes(name, value, form.classes_by_name[name], signature, outputs.get(f"{name}_labels"))
            datatype = _BYTES
        if value is None:
            # An ONNX optional that is empty: tritonclient's as_numpy answers None for what is not listed.
            continue
        assert not isinstance(value, list)
        entry: dict[str, Any] = {"name": name, "datatype": datatype.name, "shape": value.shape}
        if form.raw_by_name.get(name, form.raw):
            raw.append(to_bytes(value, datatype))
            entry["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            entry["data"] = jsonable(name, value.reshape(-1), policy)
        listed.append(entry)
    # kserve's client and its own server require an id, also where none was given.
    header = dumps(
        {
            "model_name": tag.name,
            "model_version": tag.version,
            "id": (tag.request_id or new_id()) if call.id is None else call.id,
            "outputs": listed,
        }
    )
    if not raw:
        return Encoded(header, JSON)
    return Encoded(b"".join((header, *raw)), f"{BINARY};{SIZE_PARAMETER}={len(header)}")


def _header_size(text: str, body_size: int) -> int:
    if not (text.isascii() and text.isdigit()):
        raise Unreadable(f"Unable to parse {SIZE_HEADER}: got '{text[:40]}', expected the number of bytes of the JSON.")
    # a number of more digits than Python's limit is larger than any body too
    if len(text) > 18 or int(text) > body_size:
        raise Unreadable(f"{SIZE_HEADER} is {text[:40]}, but the body has {body_size} bytes.")
    return int(text)


def call_of(document: Any, signature: Signature, raw: memoryview = _NOTHING) -> Call:
    """A request's JSON as arrays.

    :param raw: the tensors behind it.
    :raises Problem: see :class:`app.codecs.call.Reader`.
    """
    if type(document) is not dict:
        raise Invalid('The body must be a JSON object with "inputs".', pointer="")
    if "inputs" not in document:
        raise Invalid(f'The body has no "inputs"; the model expects {signature.describe_inputs()}.', pointer="")
    identity = document.get("id")
    if identity is not None and type(identity) is not str:
        raise Invalid('"id" must be a string.', pointer="/id")
    parameters = object_of(document, "parameters", "")
    inputs = from_document(document["inputs"], raw, signature)
    listed = document.get("outputs")
    form = _form(listed, raw=_flag(parameters, "binary_data_output", "/parameters", default=False))
    return Call(
        inputs,
        _outputs([output["name"] for output in listed or ()], signature),
        id=identity,
        top_k=min(form.classes_by_name.values(), default=0),
        nan_output=nan_policy(parameters, "/parameters/nan_output") if parameters else "",
        details=form,
    )


def _form(listed: Any, *, raw: bool) -> _Form:
    """What the entries of ``"outputs"`` ask for; every entry has a name then."""
    if not listed and type(listed) in (list, type(None)):
        return _Form(raw)
    if type(listed) is not list:
        raise Invalid('"outputs" must be an array of objects with a "name".', pointer="/outputs")
    raw_by_name: dict[str, bool] = {}
    classes_by_name: dict[str, int] = {}
    for i, output in enumerate(listed):
        pointer = f"/outputs/{i}"
        if type(output) is not dict or type(output.get("name")) is not str:
            raise Invalid('Every output must be an object with a "name".', pointer=pointer)
        name, parameters = output["name"], object_of(output, "parameters", pointer)
        refuse_shared_memory(parameters, f"{pointer}/parameters")
        raw_by_name[name] = _flag(parameters, "binary_data", f"{pointer}/parameters", default=raw)
        if "classification" in parameters:
            k = parameters["classification"]
            if type(k) is not int or k < 1:
                raise Invalid(
                    f"\"classification\" of output '{name[:64]}' must be a whole number of classes, at least 1.",
                    pointer=f"{pointer}/parameters/classification",
                )
            classes_by_name[name] = k
    return _Form(raw, raw_by_name, classes_by_name)


def _flag(parameters: Mapping[str, Any], key: str, pointer: str, *, default: bool) -> bool:
    value = parameters.get(key, default)
    if type(value) is not bool:
        raise Invalid(f'"{key}" must be true or false.', pointer=f"{pointer}/{key}")
    return value


def _outputs(wanted: list[str], signature: Signature) -> tuple[str, ...]:
    """The outputs to compute: those that are wanted, else the model's choice of those that are tensors."""
    names = signature.chosen_outputs(wanted or None, "/outputs")
    tensors = tuple(name for name in names if not signature.output_by_name[name].sequence)
    if len(tensors) == len(names) or (tensors and not wanted):
        return tensors
    spec = next(signature.output_by_name[name] for name in names if name not in tensors)
    raise Invalid(
        f"output '{spec.name}' is {spec.describe()}, for which Open Inference has no form; ask for it at POST /models/<name>/predict.",
        pointer=f"/outputs/{wanted.index(spec.name)}" if wanted else "",
    )
