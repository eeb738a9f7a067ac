"""What ``/openapi.json`` says beyond the route table: the loaded models' real inputs, outputs and examples."""

from collections.abc import Iterator
from typing import Any

from app.codecs.example import example_body
from app.errors import ModelNotReady
from app.inference.loading import Loaded
from app.inference.repository import Repository
from app.tensors import TensorSpec

_KINDS = {"float": "number", "integer": "integer", "bool": "boolean", "string": "string"}
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["error", "type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "error": {"type": "string", "description": "The same as detail, for Open Inference clients"},
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was wrong, what was expected, what to do"},
        "code": {"type": "string"},
        "pointer": {"type": "string", "description": "JSON Pointer to the place in the request"},
        "request_id": {"type": "string"},
    },
}
ERROR_RESPONSE: dict[str, Any] = {
    "description": "The error, in the one shape of every error",
    "content": {media: {"schema": {"$ref": "#/components/schemas/Problem"}} for media in ("application/json", "application/problem+json")},
}


def add_models(document: dict[str, Any], repository: Repository) -> dict[str, Any]:
    """Add each model that can be loaded: its schemas, and its own path with a valid example."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = PROBLEM_SCHEMA
    for loaded in _loaded(repository):
        # A model's name is a valid component name: letters, digits, dots, dashes, underscores.
        name = loaded.name
        schemas[f"{name}Request"], schemas[f"{name}Response"] = _request(loaded), _response(loaded)
        example = example_body(loaded.signature, loaded.manifest.example)
        paths = [f"/models/{loaded.name}/predict"] + (["/predict"] if loaded.name == repository.default_model else [])
        for path in paths:
            operation = {
                "tags": [loaded.name],
                "summary": f"Predict with {loaded.manifest.title or loaded.name}",
                "description": loaded.manifest.description,
                "operationId": f"predict_{name}" if path != "/predict" else "predict",
                "requestBody": {"required": True} | _content(f"{name}Request", example),
                "responses": {"200": {"description": "The prediction"} | _content(f"{name}Response"), "default": ERROR_RESPONSE},
            }
            document["paths"][path] = document["paths"].get(path, {}) | {"post": operation}
    return document


def _loaded(repository: Repository) -> Iterator[Loaded]:
    for name in repository.names():
        try:
            yield repository.get(name)
        except ModelNotReady:
            continue


def _content(schema: str, example: Any = None) -> dict[str, Any]:
    media = {"schema": {"$ref": f"#/components/schemas/{schema}"}} | ({"example": example} if example else {})
    return {"content": {"application/json": media}}


def _request(loaded: Loaded) -> dict[str, Any]:
    signature = loaded.signature
    tensors = {spec.name: _tensor(spec) for spec in signature.inputs}
    required = [spec.name for spec in signature.inputs if not spec.optional]
    by_name = {"type": "object", "properties": tensors, "required": required, "additionalProperties": False}
    inputs: dict[str, Any] = {"anyOf": [by_name, tensors[signature.inputs[0].name]]} if len(tensors) == 1 else by_name
    common = {
        "outputs": {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"enum": list(signature.output_by_name)}},
        "parameters": {
            "type": "object",
            "properties": {"top_k": {"type": "integer", "minimum": 1, "maximum": 10_000, "description": "Rank the classes of each row"}},
            "additionalProperties": False,
        },
        "id": {"type": "string", "maxLength": 256},
    }
    row: dict[str, Any] = {"description": "The input's value, an object by input name, or an object by feature name"}
    if signature.features:
        row["examples"] = [dict.fromkeys(signature.features, 0.0)]
    return {
        "title": loaded.manifest.title or loaded.name,
        "oneOf": [
            {"type": "object", "properties": {"inputs": inputs} | common, "required": ["inputs"], "additionalProperties": False},
            {
                "type": "object",
                "properties": {"instances": {"type": "array", "minItems": 1, "items": row}} | common,
                "required": ["instances"],
                "additionalProperties": False,
            },
        ],
    }


def _response(loaded: Loaded) -> dict[str, Any]:
    tag = {key: {"type": "string"} for key in ("name", "version", "digest")}
    # With top_k an output is a list of {label, index, score}; a NaN is null or a string: so items are not narrowed here.
    outputs = {spec.name: {"description": spec.describe()} for spec in loaded.signature.outputs}
    return {
        "type": "object",
        "required": ["model"],
        "properties": {
            "model": {"type": "object", "properties": tag, "required": list(tag)},
            "outputs": {"type": "object", "properties": outputs},
            "predictions": {"type": "array", "items": {}},
            "id": {"type": "string"},
        },
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": _KINDS[spec.datatype.kind]}
    if spec.shape is None and not spec.sequence:
        return {"description": spec.describe()}
    for size in reversed(spec.shape or ()):
        fixed = {"minItems": size, "maxItems": size} if isinstance(size, int) else {}
        schema = {"type": "array", "items": schema} | fixed
    if spec.sequence:
        schema = {"type": "array"}
    return schema | {"description": spec.describe()}
