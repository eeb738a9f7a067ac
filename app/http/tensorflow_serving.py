"""TensorFlow Serving's REST interface, KServe's v1, and OpenAI's list of models, which share their paths.

Errors begin with TensorFlow Serving's own words, which its users search for, and go on with ours.
"""

from typing import Any

from app.codecs import JSON, media_types
from app.codecs.json_output import dumps
from app.codecs.tensorflow_serving import DEFAULT_SIGNATURE
from app.errors import ModelNotReady, UnknownModel, UnknownVersion
from app.http.message import Request, Response
from app.http.predict import asked, content_type_of
from app.http.routes import Services
from app.inference.manifest import Manifest
from app.inference.repository import Entry
from app.prediction import PredictionRequest
from app.report import Report
from app.tensors import TensorSpec

# TensorFlow Serving reads no content type, and its documentation calls it with `curl -d`, which sends a form's.
_AS_JSON = frozenset({JSON, "application/x-www-form-urlencoded", "text/plain"})
# tensorflow/core/framework/types.proto; the rest have our names.
_DATATYPES = {"FP16": "DT_HALF", "BF16": "DT_BFLOAT16", "FP32": "DT_FLOAT", "FP64": "DT_DOUBLE", "BYTES": "DT_STRING"}


def index(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001 - the signature of every endpoint
    """The models' names: ``models`` for KServe v1, ``object`` and ``data`` for OpenAI."""
    names = services.repository.names()
    return Response(200, dumps({"models": names, "object": "list", "data": [_card(name) for name in names]}))


def status(services: Services, request: Request, report: Report) -> Response:
    """The state of a model's versions, newest first, or of the one in the path; 503 while that (or the newest) cannot answer.

    One body for three clients: ``model_version_status`` is TensorFlow Serving's, ``name`` and ``ready`` are KServe's, the rest
    is OpenAI's. A version that is not loaded is loaded now, for whoever polls this waits until it is ready.

    :raises UnknownModel: or :class:`UnknownVersion`, in TensorFlow Serving's words.
    """
    repository, name = services.repository, request.parameters["name"]
    version = _version(
        services, request, latest="Could not find any versions of model {name}", specific="Could not find version {version} of model {name}"
    )
    failure: ModelNotReady | None = None
    try:
        repository.get(name, version)
    except ModelNotReady as problem:
        failure = problem
    shown = [version] if version is not None else reversed(repository.versions(name))
    states = [_state(repository.entry(name, one)) for one in shown]
    body = {"model_version_status": states, "name": name, "ready": failure is None, **_card(name)}
    if failure is None:
        return Response(200, dumps(body))
    report.reason = failure.detail
    return Response(failure.status, dumps(failure.as_object(request.id) | body), headers=dict(failure.headers))


def metadata(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001
    """What a model takes and answers, as the signature of a TensorFlow model.

    :raises UnknownModel: or :class:`UnknownVersion`, in TensorFlow Serving's words.
    :raises ModelNotReady: when it could not be loaded.
    """
    loaded = services.repository.get(request.parameters["name"], _version(services, request))
    signature = loaded.signature
    answered = [signature.output_by_name[name] for name in signature.chosen_outputs(None, "")]
    definition = {
        "inputs": {spec.name: _tensor_info(spec) for spec in signature.inputs},
        "outputs": {spec.name: _tensor_info(spec) for spec in answered},
        "method_name": "tensorflow/serving/predict",
    }
    body = {
        "model_spec": {"name": loaded.name, "signature_name": "", "version": loaded.version},
        "metadata": {"signature_def": {"signature_def": {DEFAULT_SIGNATURE: definition}}},
    }
    return Response(200, dumps(body))


def ask(services: Services, request: Request) -> PredictionRequest:
    """A named model, the named version of it, or the one with a label.

    :raises UnknownModel: or :class:`UnknownVersion`, in TensorFlow Serving's words.
    """
    version = _version(services, request)
    content_type = content_type_of(request)
    if media_types.parse(content_type)[0] in _AS_JSON:
        content_type = JSON
    return asked(request, "tensorflow_serving", content_type, version=version)


def _version(
    services: Services,
    request: Request,
    *,
    latest: str = "Servable not found for request: Latest({name})",
    specific: str = "Servable not found for request: Specific({name}, {version})",
) -> str | None:
    """The version that the path names by itself or by a label; None for the newest.

    :param latest: TensorFlow Serving's words for a model that there is not.
    :param specific: its words for a version that there is not.
    :raises UnknownModel: with these words before ours.
    :raises UnknownVersion: in the same way, and for a label that ``model.toml`` does not give.
    :raises ModelNotReady: when ``model.toml`` cannot be read, and so not which version has the label.
    """
    parameters = request.parameters
    name, version, label = parameters["name"], parameters.get("version"), parameters.get("label")
    try:
        entry = services.repository.entry(name, version)
    except (UnknownModel, UnknownVersion) as problem:
        words = latest if version is None else specific
        problem.detail = f"{words.format(name=name[:64], version=version and version[:64])}. {problem.detail}"
        raise
    if label is None:
        return version
    if not isinstance(entry.manifest, Manifest):
        raise ModelNotReady(f"The labels of model '{name}' are not known: {entry.manifest}")
    labels = dict(entry.manifest.version_labels)
    if label not in labels:
        known = f"its labels are {', '.join(labels)}" if labels else "it has none: [version_labels] of its model.toml gives them"
        raise UnknownVersion(f"Unrecognized servable version label: {label[:64]}. Model '{name}' has no such label; {known}.")
    return labels[label]


def _state(entry: Entry) -> dict[str, Any]:
    """tensorflow_serving/apis/get_model_status.proto, ModelVersionStatus; its states are those of a version's life."""
    code, message = "OK", ""
    if entry.loaded:
        state = "AVAILABLE"
    elif entry.failure:
        state, code, message = "END", "FAILED_PRECONDITION", entry.failure
    else:
        state = "LOADING" if entry.lock.locked() else "START"
    return {"version": entry.version, "state": state, "status": {"error_code": code, "error_message": message}}


def _card(name: str) -> dict[str, Any]:
    # A graph does not say when it was made, and the image sets the times of all files alike.
    return {"id": name, "object": "model", "created": 0, "owned_by": "onnx-lambda"}


def _tensor_info(spec: TensorSpec) -> dict[str, Any]:
    """tensorflow/core/protobuf/meta_graph.proto, TensorInfo, as protobuf writes JSON: 64-bit integers are strings."""
    # TensorFlow's lists of tensors are variants.
    dtype = "DT_VARIANT" if spec.sequence else _DATATYPES.get(spec.datatype.name, f"DT_{spec.datatype.name}")
    shape = None if spec.sequence else spec.shape
    dims = [{"size": str(size) if isinstance(size, int) else "-1", "name": size if isinstance(size, str) else ""} for size in shape or ()]
    return {"dtype": dtype, "tensor_shape": {"dim": dims, "unknown_rank": shape is None}, "name": spec.name}
