"""Open Inference Protocol v2 over HTTP, and those of Triton's extensions that its clients call."""

from typing import Any

import orjson

import app
from app.codecs import BINARY, JSON, SIZE_HEADER, SIZE_PARAMETER, json_text, media_types
from app.codecs.json_output import dumps
from app.errors import Invalid, NotOffered
from app.http import health
from app.http.message import Request, Response
from app.http.predict import asked
from app.http.routes import Services
from app.inference.loading import Loaded
from app.inference.repository import Entry
from app.inference.statistics import Statistics
from app.prediction import PredictionRequest
from app.report import Report
from app.tensors import TensorSpec

# What Triton's documents call them; the repository's load and unload are refused, as by Triton where it is not told to control models.
EXTENSIONS = ("binary_tensor_data", "classification", "model_configuration", "model_repository", "statistics")
# tritonclient sends JSON as nothing or (its asyncio half) as octets, curl -d as a form.
_TAKEN_AS_JSON = ("", JSON, "application/octet-stream", "application/x-www-form-urlencoded", "text/plain")


def server(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001 - the signature of every endpoint
    """The server's name, version and extensions."""
    return Response(200, dumps({"name": "onnx-lambda", "version": app.__version__, "extensions": EXTENSIONS}))


def live(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001
    """The process answers."""
    return Response(200, b'{"live":true}')


def ready(services: Services, request: Request, report: Report) -> Response:
    """Whether the models can answer; kserve reads ``ready``, the specification writes ``live``."""
    found = health.ready(services, request, report)
    return Response(200, b'{"ready":true,"live":true}') if found.status == 200 else found


def index(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001
    """The models' names."""
    return Response(200, dumps({"models": services.repository.names()}))


def ask(services: Services, request: Request) -> PredictionRequest:  # noqa: ARG001
    """A named model, or the named version of it."""
    content_type = _content_type(request)
    in_media_type = request.headers.get("content-type", "").lower().startswith(BINARY)
    return asked(request, "open_inference", content_type, accept=BINARY if in_media_type else None)


def _content_type(request: Request) -> str:
    size = request.headers.get(SIZE_HEADER.lower())
    if size is not None:
        # A semicolon would end the parameter, and what follows it would count.
        return f"{BINARY};{SIZE_PARAMETER}={size.strip().replace(';', ',')}"
    content_type = request.headers.get("content-type", "")
    return JSON if media_types.parse(content_type)[0] in _TAKEN_AS_JSON else content_type


def metadata(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001
    """A model's inputs and outputs.

    :raises Problem: see :meth:`app.inference.repository.Repository.get`.
    """
    from app.http.triton_config import shape_of

    def tensors(specs: tuple[TensorSpec, ...]) -> list[dict[str, Any]]:
        return [{"name": spec.name, "datatype": spec.datatype.name, "shape": shape_of(spec)} for spec in specs if not spec.sequence]

    loaded = _loaded(services, request)
    signature, manifest = loaded.signature, loaded.manifest
    properties = {"title": manifest.title, "description": manifest.description, "digest": loaded.digest}
    properties |= {"labels": orjson.dumps(signature.labels).decode()} if signature.labels else {}
    unsaid = [f"'{spec.name}' {spec.describe()}" for spec in (*signature.inputs, *signature.outputs) if spec.sequence]
    properties |= {"only_at_predict": ", ".join(unsaid)} if unsaid else {}
    body = {
        "name": loaded.name,
        "versions": services.repository.versions(loaded.name),
        "platform": "onnx_onnxv1",
        "inputs": tensors(signature.inputs),
        "outputs": tensors(signature.outputs),
        "properties": {key: text for key, text in properties.items() if text},
    }
    return Response(200, dumps(body))


def model_ready(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001
    """Whether a model can answer; one that was not asked for yet is loaded to find out.

    :raises Problem: see :meth:`app.inference.repository.Repository.get`.
    """
    return Response(200, dumps({"name": _loaded(services, request).name, "ready": True}))


def config(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001
    """A model's configuration as Triton has it.

    :raises Problem: see :meth:`app.inference.repository.Repository.get`.
    """
    from app.http.triton_config import model_config

    return Response(200, dumps(model_config(_loaded(services, request))))


def statistics(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001
    """What the models, a model or a version has done since it was loaded; nothing is loaded for it.

    :raises Problem: see :meth:`app.inference.repository.Repository.entry`.
    """
    name, version = request.parameters.get("name"), request.parameters.get("version")
    entries = list(services.repository.entries()) if name is None else [services.repository.entry(name, version)]
    return Response(200, dumps({"model_stats": [_statistics(entry) for entry in entries]}))


def _statistics(entry: Entry) -> dict[str, Any]:
    counts = entry.loaded.statistics if entry.loaded else Statistics()
    names = {"compute_input": "decode", "compute_infer": "run", "compute_output": "encode"}
    phases = {name: {"count": counts.successes, "ns": counts.phases_ns[phase]} for name, phase in names.items()}
    batches = [
        {"batch_size": rows} | {name: {"count": requests, "ns": took[phase]} for name, phase in names.items()}
        for rows, (requests, took) in sorted(counts.by_rows.items())
    ]
    nothing = {"count": 0, "ns": 0}
    return {
        "name": entry.name,
        "version": entry.version,
        "last_inference": counts.last_inference_ms,
        "inference_count": counts.inferences,
        "execution_count": counts.successes,
        "inference_stats": {
            "success": {"count": counts.successes, "ns": counts.success_ns},
            "fail": {"count": counts.failures, "ns": counts.failure_ns},
            # Nothing waits in a queue of ours, and no answer is kept for a second caller.
            "queue": {"count": counts.successes, "ns": 0},
            **phases,
            "cache_hit": nothing,
            "cache_miss": nothing,
        },
        "batch_stats": batches,
    }


def repository_index(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001
    """Every version and its state; with ``{"ready": true}`` those alone that are loaded.

    :raises Invalid: for a body that is no such object.
    """
    wanted = json_text.checked(request.body) if request.body else {}
    if type(wanted) is not dict or type(wanted.get("ready", False)) is not bool:
        raise Invalid('The body must be empty, or an object whose "ready" is true or false.', pointer="")
    listed = [_state(entry) for entry in services.repository.entries() if entry.loaded or not wanted.get("ready")]
    return Response(200, dumps(listed))


def _state(entry: Entry) -> dict[str, str]:
    state = "READY" if entry.loaded else "UNAVAILABLE"
    reason = "" if entry.loaded else entry.failure or "not loaded yet; its first request loads it"
    return {"name": entry.name, "version": entry.version, "state": state, "reason": reason}


def load(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001
    """Refused, whatever the model.

    :raises NotOffered: always.
    """
    raise NotOffered(
        "explicit model load / unload is not allowed: the models are part of the image; change them there and deploy it. "
        "A model that is not loaded yet is loaded by its first request."
    )


unload = load


def _loaded(services: Services, request: Request) -> Loaded:
    return services.repository.get(request.parameters["name"], request.parameters.get("version"))
