"""What ``/openapi.json`` says beyond the route table: what each route takes and answers, and the loaded models' own paths."""

from collections.abc import Iterator
from typing import Any

from app.codecs import DIALECTS, example
from app.codecs.embedding_graph import example_body as embeddings_body
from app.errors import Invalid, ModelNotReady
from app.http import openapi_jobs
from app.http import openapi_schemas as schemas
from app.http.openapi_schemas import ref
from app.http.routes import Route
from app.inference.loading import Loaded
from app.inference.repository import Repository

_PARAMETERS = {"name": "A model's name", "version": "A model's version", "label": "A label of a version"}
_ERRORS = {"problem": ("Problem", ("application/json", "application/problem+json")), "openai": ("OpenAiError", ("application/json",))}
# endpoint → the schema of its 200, where it is not just any object
_ANSWERS = {
    "open_inference:server": "ServerMetadata",
    "open_inference:live": "ServerLive",
    "open_inference:ready": "ServerReady",
    "open_inference:metadata": "ModelMetadata",
    "open_inference:model_ready": "ModelReady",
    "open_inference:ask": "InferenceResponse",
    "open_inference:repository_index": "RepositoryIndex",
    "tensorflow_serving:index": "ModelList",
    "embeddings:ask": "EmbeddingResponse",
}
# endpoint → the schema of its body; the dialects' bodies of one model stand on that model's own paths
_BODIES = {
    "open_inference:ask": "InferenceRequest",
    "open_inference:repository_index": "RepositoryIndexRequest",
    "embeddings:ask": "EmbeddingRequest",
}
_DIALECT_OF = {"predict:ask": "predict", "sagemaker:ask": "sagemaker"}
_OCTETS = "application/octet-stream"


def operation(route: Route) -> dict[str, Any]:
    """What the document says of a row of the route table, for any model."""
    if openapi_jobs.is_described(route):
        return openapi_jobs.describe(route, _error(route))
    names = [part[1 : part.index("}")] for part in route.path.split("/") if part[:1] == "{"]
    found: dict[str, Any] = {
        "tags": [_tag(route.path)],
        "parameters": [_in_path(name, text) for name, text in _PARAMETERS.items() if name in names],
        "responses": {"200": _answer(route.endpoint), "default": _error(route)},
    }
    if route.method == "POST" and not route.path.startswith("/v2/repository/models"):
        found["requestBody"] = {"required": route.endpoint != "open_inference:repository_index", "content": _body(route.endpoint)}
    return openapi_jobs.add_deferring(found) if route.dialect else found


def _tag(path: str) -> str:
    if path.startswith("/v2"):
        return "Open Inference v2"
    if path.startswith("/v1/embeddings"):
        return "OpenAI"
    if path.startswith("/v1"):
        return "TensorFlow Serving and KServe v1"
    if path in {"/ping", "/invocations", "/execution-parameters"}:
        return "SageMaker"
    return "any model" if path.startswith(("/models", "/predict")) else "service"


def _in_path(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "description": description}


def _error(route: Route) -> dict[str, Any]:
    schema, media_types = _ERRORS[route.errors]
    content = {media_type: {"schema": ref(schema)} for media_type in media_types}
    return {"description": "The error", "headers": openapi_jobs.header_fields("Retry-After"), "content": content}


def _answer(endpoint: str) -> dict[str, Any]:
    if endpoint == "sagemaker:ping":
        return {"description": "Healthy; no body", "content": {"text/plain": {"schema": {"const": ""}}}}
    if endpoint in _DIALECT_OF:
        return {"description": "The prediction", "content": {kind: {"schema": {}} for kind in DIALECTS[_DIALECT_OF[endpoint]].writers}}
    found = {"application/json": {"schema": ref(_ANSWERS[endpoint]) if endpoint in _ANSWERS else {"type": "object"}}}
    if endpoint == "health:index":
        found["text/html"] = {"schema": {"type": "string"}}
    if endpoint == "open_inference:ask":
        found[_OCTETS] = {"schema": {"type": "string", "format": "binary"}}
    return {"description": "The answer", "content": found}


def _body(endpoint: str) -> dict[str, Any]:
    if endpoint in _DIALECT_OF:
        readers = DIALECTS[_DIALECT_OF[endpoint]].readers
        return {media_type: {"schema": {} if media_type == "application/json" else {"type": "string"}} for media_type in readers}
    found = {"application/json": {"schema": ref(_BODIES[endpoint]) if endpoint in _BODIES else {"type": "object"}}}
    if endpoint == "open_inference:ask":
        found[_OCTETS] = {"schema": {"type": "string", "format": "binary"}}
    return found


def add_models(document: dict[str, Any], repository: Repository) -> dict[str, Any]:
    """Add each model that can be loaded: its schemas, and its own paths in each dialect, with a valid example."""
    components = document.setdefault("components", {}).setdefault("schemas", {})
    components |= schemas.SHARED | openapi_jobs.SCHEMAS
    names = {"enum": repository.names()}
    for operations in document["paths"].values():
        for described in operations.values():
            for parameter in described.get("parameters", ()):
                parameter.update({"schema": names} if parameter["name"] == "name" else {"example": "1"})
    for loaded in _loaded(repository):
        # A model's name is a valid component name: letters, digits, dots, dashes, underscores.
        components[f"{loaded.name}Request"] = schemas.predict_request(loaded)
        components[f"{loaded.name}Response"] = schemas.predict_response(loaded)
        components[f"{loaded.name}InferenceRequest"] = schemas.inference_request(loaded.signature)
        default = loaded.name == repository.default_model
        for path, (summary, body) in _operations(loaded, default=default).items():
            document["paths"][path] = document["paths"].get(path, {}) | {"post": body | {"summary": summary}}
        if default:
            _json_body(document, "/invocations")["example"] = example.example_body(loaded.signature, loaded.manifest.example)
        try:
            _json_body(document, "/v1/embeddings").setdefault(
                "example", {"model": loaded.name, **embeddings_body(loaded.signature, loaded.manifest.example)}
            )
        except Invalid:
            continue
    return document


def _json_body(document: dict[str, Any], path: str) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    return found


def _loaded(repository: Repository) -> Iterator[Loaded]:
    for name in repository.names():
        try:
            yield repository.get(name)
        except ModelNotReady:
            continue


def _operations(loaded: Loaded, *, default: bool) -> dict[str, tuple[str, dict[str, Any]]]:
    """Path → summary and operation of one model, in each dialect that can carry what it takes."""
    name, signature, title = loaded.name, loaded.signature, loaded.manifest.title or loaded.name
    given = loaded.manifest.example
    request, response = ref(f"{name}Request"), ref(f"{name}Response")
    found: dict[str, tuple[str, dict[str, Any]]] = {}

    def add(path: str, how: str, request: dict[str, Any], response: dict[str, Any], body: Any) -> None:
        operation_id = "_".join(filter(None, path.replace(":", "/").split("/")))
        operation: dict[str, Any] = {
            "tags": [name],
            "description": loaded.manifest.description,
            "operationId": operation_id,
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": request} | ({"example": body} if body else {})},
            },
            "responses": {
                "200": {"description": "The prediction", "content": {"application/json": {"schema": response}}},
                "default": _error(Route("POST", path, "", "")),
            },
        }
        found[path] = (f"Predict with {title}{how}", openapi_jobs.add_deferring(operation))

    body = example.example_body(signature, given)
    add(f"/models/{name}/predict", "", request, response, body)
    if default:
        add("/predict", "", request, response, body)
    if inference := example.open_inference_body(signature, given):
        add(f"/v2/models/{name}/infer", " (Open Inference v2)", ref(f"{name}InferenceRequest"), ref("InferenceResponse"), inference)
    if serving := example.tensorflow_serving_body(signature, given):
        add(f"/v1/models/{name}:predict", " (TensorFlow Serving)", ref("PredictRequest"), {"type": "object"}, serving)
    return found
