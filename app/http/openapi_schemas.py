"""The schemas of ``/openapi.json``: those that all models share, and those of one model's requests and answers."""

from typing import Any

from app.inference.loading import Loaded
from app.tensors import DATATYPES, Signature, TensorSpec

_KINDS = {"float": "number", "integer": "integer", "bool": "boolean", "string": "string"}


def ref(name: str) -> dict[str, Any]:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties} | ({"required": list(required)} if required else {})


def _array(items: Any, **limits: Any) -> dict[str, Any]:
    return {"type": "array", "items": items} | limits


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return schema | {"type": [schema["type"], "null"]}


_STRING: dict[str, Any] = {"type": "string"}
_BOOL: dict[str, Any] = {"type": "boolean"}
_INTEGER: dict[str, Any] = {"type": "integer"}
# What may be left out may also be null.
_PARAMETERS: dict[str, Any] = {"type": ["object", "null"]}
_NULLABLE: dict[str, Any] = {"type": ["string", "null"]}
_SIZES = _array({"type": "integer", "minimum": 0})
_ID = {"type": ["string", "null"], "maxLength": 256}
_NAN_OUTPUT = {"enum": ["null", "string", "error"], "description": "How NaN and infinity are answered in JSON"}
_METADATA = _object(("name", "datatype", "shape"), name=_STRING, datatype=_STRING, shape=_array(_INTEGER))
_VECTOR = {"anyOf": [_array({"type": "number"}), {"type": "string", "description": "float32, little-endian, in base64"}]}
_PROBLEM = _object(
    ("error", "type", "title", "status", "detail", "code", "request_id"),
    error={"type": "string", "description": "The same as detail, for Open Inference clients"},
    type=_STRING,
    title=_STRING,
    status=_INTEGER,
    detail={"type": "string", "description": "What was wrong, what was expected, what to do"},
    code=_STRING,
    pointer={"type": "string", "description": "JSON Pointer to the place in the request"},
    request_id=_STRING,
)
SHARED: dict[str, Any] = {
    "Problem": _PROBLEM,
    "OpenAiError": _object(
        ("error",), error=_object(("message", "type", "param", "code"), message=_STRING, type=_STRING, param=_NULLABLE, code=_STRING)
    ),
    # https://github.com/kserve/open-inference-protocol
    "ServerMetadata": _object(("name", "version", "extensions"), name=_STRING, version=_STRING, extensions=_array(_STRING)),
    "ServerLive": _object(("live",), live=_BOOL),
    "ServerReady": _object(("ready",), ready=_BOOL, live=_BOOL),
    "ModelReady": _object(("name", "ready"), name=_STRING, ready=_BOOL),
    "ModelMetadata": _object(
        ("name", "platform", "inputs", "outputs"),
        name=_STRING,
        versions=_array(_STRING),
        platform=_STRING,
        inputs=_array(_METADATA),
        outputs=_array(_METADATA),
        properties={"type": "object", "additionalProperties": _STRING},
    ),
    "RepositoryIndexRequest": _object(ready=_BOOL),
    "RepositoryIndex": _array(
        _object(("name", "version", "state", "reason"), name=_STRING, version=_STRING, state=_STRING, reason=_STRING)
    ),
    "InferenceRequest": _object(
        ("inputs",),
        id=_NULLABLE,
        parameters=_PARAMETERS,
        inputs=_array(
            _object(
                ("name", "shape", "datatype"),
                name=_STRING,
                shape=_SIZES,
                datatype={"enum": [row.name for row in DATATYPES]},
                parameters=_PARAMETERS,
                data={},
            )
        ),
        outputs=_or_null(_array(_object(("name",), name=_STRING, parameters=_PARAMETERS))),
    ),
    "InferenceResponse": _object(
        ("model_name", "id", "outputs"),
        model_name=_STRING,
        model_version=_STRING,
        id=_STRING,
        outputs=_array(
            _object(("name", "shape", "datatype"), name=_STRING, shape=_SIZES, datatype=_STRING, parameters=_PARAMETERS, data=_array({}))
        ),
    ),
    "PredictRequest": {
        "oneOf": [_object(("instances",), instances=_array({}, minItems=1)), _object(("inputs",), inputs={})],
        "description": "TensorFlow Serving's rows or columns",
    },
    # https://platform.openai.com/docs/api-reference/models/list, and KServe v1's list in the same body
    "ModelList": _object(
        ("object", "data", "models"),
        object={"const": "list"},
        data=_array(_object(("id", "object"), id=_STRING, object={"const": "model"}, created=_INTEGER, owned_by=_STRING)),
        models=_array(_STRING),
    ),
    "EmbeddingRequest": _object(
        ("input", "model"),
        input={
            "anyOf": [
                {"type": "string", "minLength": 1},
                _array({"type": "string", "minLength": 1}, minItems=1, maxItems=2048),
                _array(_INTEGER, minItems=1),
                _array(_array(_INTEGER, minItems=1), minItems=1, maxItems=2048),
            ]
        },
        model=_STRING,
        encoding_format={"enum": ["float", "base64"]},
        dimensions={"type": "integer", "minimum": 1},
        user=_STRING,
    ),
    "EmbeddingResponse": _object(
        ("object", "data", "model", "usage"),
        object={"const": "list"},
        data=_array(_object(("object", "index", "embedding"), object={"const": "embedding"}, index=_INTEGER, embedding=_VECTOR)),
        model=_STRING,
        usage=_object(("prompt_tokens", "total_tokens"), prompt_tokens=_INTEGER, total_tokens=_INTEGER),
    ),
}


def predict_request(loaded: Loaded) -> dict[str, Any]:
    """What ``/predict`` takes for this model."""
    signature = loaded.signature
    tensors = {spec.name: _tensor(spec) for spec in signature.inputs}
    required = [spec.name for spec in signature.inputs if not spec.optional]
    by_name = {"type": "object", "properties": tensors, "required": required, "additionalProperties": False}
    inputs: dict[str, Any] = {"anyOf": [by_name, tensors[signature.inputs[0].name]]} if len(tensors) == 1 else by_name
    top_k = {"type": "integer", "minimum": 1, "maximum": 10_000, "description": "Rank the classes of each row"}
    common = {
        "outputs": _or_null(_array({"enum": list(signature.output_by_name)}, minItems=1, uniqueItems=True)),
        "parameters": _or_null(_object(top_k=top_k, nan_output=_NAN_OUTPUT) | {"additionalProperties": False}),
        "id": _ID,
    }
    row: dict[str, Any] = {"description": "The input's value, an object by input name, or an object by feature name"}
    if signature.features:
        row["examples"] = [dict.fromkeys(signature.features, 0.0)]
    columns, rows = _object(("inputs",), inputs=inputs, **common), _object(("instances",), instances=_array(row, minItems=1), **common)
    return {
        "title": loaded.manifest.title or loaded.name,
        "oneOf": [columns | {"additionalProperties": False}, rows | {"additionalProperties": False}],
    }


def predict_response(loaded: Loaded) -> dict[str, Any]:
    """What ``/predict`` answers for this model."""
    tag = dict.fromkeys(("name", "version", "digest"), _STRING)
    # With top_k an output is a list of {label, index, score}; a NaN is null or a string: so items are not narrowed here.
    outputs = {spec.name: {"description": spec.describe()} for spec in loaded.signature.outputs}
    return _object(
        ("model",), model=_object(tuple(tag), **tag), outputs={"type": "object", "properties": outputs}, predictions=_array({}), id=_STRING
    )


def inference_request(signature: Signature) -> dict[str, Any]:
    """What Open Inference takes for this model."""
    inputs = [
        _object(
            ("name", "shape", "datatype", "data"),
            name={"const": spec.name},
            shape=_array({"type": "integer", "minimum": 0}, **_fixed(len(spec.shape) if spec.shape is not None else None)),
            datatype={"const": spec.datatype.name},
            parameters=_PARAMETERS,
            data=_array({}, description=f"{spec.describe()}, nested or flat"),
        )
        for spec in signature.inputs
    ]
    outputs = _or_null(_array(_object(("name",), name={"enum": list(signature.output_by_name)}, parameters=_PARAMETERS)))
    required = len([spec for spec in signature.inputs if not spec.optional])
    listed = _array({"anyOf": inputs} if len(inputs) > 1 else inputs[0] if inputs else {}, minItems=required, maxItems=len(inputs))
    return _object(("inputs",), id=_NULLABLE, parameters=_PARAMETERS, inputs=listed, outputs=outputs)


def _fixed(size: int | None) -> dict[str, int]:
    return {} if size is None else {"minItems": size, "maxItems": size}


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": _KINDS[spec.datatype.kind]}
    if spec.shape is None and not spec.sequence:
        return {"description": spec.describe()}
    for size in reversed(spec.shape or ()):
        schema = _array(schema, **_fixed(size if isinstance(size, int) else None))
    if spec.sequence:
        schema = {"type": "array"}
    return schema | {"description": spec.describe()}
