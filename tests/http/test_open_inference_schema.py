"""Requests and answers of every Open Inference route against the protocol's own OpenAPI description."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

DESCRIPTION = Path(__file__).parent.parent / "data" / "open_inference.yaml"
FLAG = {"type": "boolean"}


def answers(schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": "OK", "content": {"application/json": {"schema": schema}}}


def mended(document: dict[str, Any]) -> dict[str, Any]:
    """The description with its known faults put right, each by what the specification's text says (inference_rest.md)."""
    paths, schemas, responses = document["paths"], document["components"]["schemas"], document["components"]["responses"]
    # "Model Ready", "Server Ready", "Server Live": the text has bodies; that of Server Ready writes "live", which its readers call "ready".
    live = {"type": "object", "required": ["live"], "properties": {"live": FLAG}}
    ready = {"type": "object", "required": ["live", "ready"], "properties": {"live": FLAG, "ready": FLAG}}
    model_ready = {"type": "object", "required": ["name", "ready"], "properties": {"name": {"type": "string"}, "ready": FLAG}}
    for path, body in (("/v2/health/live", live), ("/v2/health/ready", ready)):
        paths[path]["get"]["responses"]["200"] = answers(body)
    for path in list(paths):
        operations = paths.pop(path)
        if path.endswith("/ready") and "MODEL" in path:
            operations["get"]["responses"]["200"] = answers(model_ready)
        # ${NAME} is no path parameter in OpenAPI.
        paths[path.replace("${", "{")] = operations
        # "path contents in [] are optional": the version.
        if "MODEL_VERSION" in path:
            unversioned = {method: operation for method, operation in operations.items() if method != "parameters"}
            shorter = path.replace("${", "{").replace("/versions/{MODEL_VERSION}", "")
            paths[shorter] = unversioned | {"parameters": operations["parameters"][:1]}
    # The text's table has v2, without a slash.
    paths["/v2"] = paths["/v2/"]
    for operations in paths.values():
        for operation in operations.values():
            if isinstance(operation, dict):
                # "must be indicated by an HTTP error status (typically 400)": any other, with the same object.
                operation["responses"]["default"] = responses["error"]
    # "The HTTP body must contain the error object", whose one member is not marked optional, nor are a model's inputs and outputs.
    schemas["inference_error_response"]["required"] = ["error"]
    schemas["metadata_model_response"]["required"] += ["inputs", "outputs"]
    # "Variable-size dimensions are specified as -1"; those of a tensor are unsigned.
    schemas["metadata_tensor"]["properties"]["shape"]["items"] = {"type": "integer", "minimum": -1}
    for name in ("request_input", "response_output"):
        schemas[name]["properties"]["shape"]["items"] = {"type": "integer", "minimum": 0}
    return document


def extended(document: dict[str, Any]) -> dict[str, Any]:
    """The description with what this server adds to it: null for NaN, base64 for bytes that are no text, raw tensors and their answers."""
    schemas = document["components"]["schemas"]
    base64 = {"type": "object", "required": ["b64"], "properties": {"b64": {"type": "string"}}, "additionalProperties": False}
    for kind in schemas["tensor_data"]["items"]["anyOf"][1:]:
        kind["nullable"] = True
    schemas["tensor_data"]["items"]["anyOf"].append(base64)
    return document


def as_declared() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(DESCRIPTION.read_text())
    return found


PROTOCOL, EXTENDED = OpenAPI.from_dict(mended(as_declared())), OpenAPI.from_dict(extended(mended(as_declared())))


def check(
    http: httpx.Client, method: str, path: str, body: Any = None, description: OpenAPI = PROTOCOL, *, valid: bool = True
) -> httpx.Response:
    """Send a request; it and its answer are as the description says. ``valid``: False for a request that breaks it on purpose."""
    answer = http.request(method, path, json=body)
    content = None if body is None else json.dumps(body).encode()
    request = MockRequest("http://server", method.lower(), path, data=content, content_type="application/json")
    if valid:
        description.validate_request(request)
    response = MockResponse(answer.content, status_code=answer.status_code, content_type=answer.headers["content-type"])
    description.validate_response(request, response)
    return answer


@pytest.mark.parametrize("path", ["/v2", "/v2/", "/v2/health/live", "/v2/health/ready"])
def test_server(http: httpx.Client, path: str) -> None:
    """The server's own routes answer what the protocol describes."""
    assert 200 == check(http, "GET", path).status_code


@pytest.mark.parametrize("model", ["iris", "iris/versions/1", "scalar", "mixed", "sequence-output", "versioned/versions/2"])
def test_model(http: httpx.Client, model: str) -> None:
    """Metadata and readiness of models of every kind are what the protocol describes, with and without a version."""
    assert 200 == check(http, "GET", f"/v2/models/{model}").status_code
    assert 200 == check(http, "GET", f"/v2/models/{model}/ready").status_code


def tensor(name: str, datatype: str, data: list[Any], shape: list[int] | None = None) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": data}


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        ("iris", [tensor("X", "FP32", [[5.1, 3.5, 1.4, 0.2]], [1, 4])]),
        ("iris/versions/1", [tensor("X", "FP32", [5.1, 3.5, 1.4, 0.2], [1, 4])]),
        ("mixed", [tensor("a", "FP32", [1, 2.5], [2, 1]), tensor("b", "BOOL", [True]), tensor("s", "BYTES", ["é"])]),
        ("identity-uint64", [tensor("x", "UINT64", [2**64 - 1])]),
        ("identity-float", [tensor("x", "FP32", [], [0])]),
        ("scalar", [tensor("x", "FP32", [1.5], []) | {"shape": []}]),
    ],
)
def test_inference(http: httpx.Client, model: str, inputs: list[dict[str, Any]]) -> None:
    """Inference answers what the protocol describes, with an id, chosen outputs and parameters too."""
    path = f"/v2/models/{model}/infer"
    whole = check(http, "POST", path, {"inputs": inputs})
    assert 200 == whole.status_code, whole.text
    name = whole.json()["outputs"][0]["name"]
    body = {"id": "42", "inputs": inputs, "outputs": [{"name": name}], "parameters": {"priority": 1}}

    answer = check(http, "POST", path, body)

    assert ("42", [name]) == (answer.json()["id"], [output["name"] for output in answer.json()["outputs"]])


@pytest.mark.parametrize(
    ("model", "inputs"),
    [("logarithm", [tensor("x", "FP32", [-1.0, 0])]), ("text", [tensor("x", "BYTES", [{"b64": "//4="}, "a"], [1, 2])])],
)
def test_what_is_added_to_the_protocol(http: httpx.Client, model: str, inputs: list[dict[str, Any]]) -> None:
    """Null and base64 are all that an answer in JSON has beyond the protocol, and the protocol alone does not have them."""
    path = f"/v2/models/{model}/infer"

    assert 200 == check(http, "POST", path, {"inputs": inputs}, EXTENDED).status_code
    with pytest.raises(OpenAPIError):
        check(http, "POST", path, {"inputs": inputs}, PROTOCOL)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v2/models/ghost", None, 404),
        ("GET", "/v2/models/broken/ready", None, 503),
        ("GET", "/v2/models/iris/versions/9", None, 404),
        ("POST", "/v2/models/ghost/infer", {"inputs": []}, 404),
        ("POST", "/v2/models/broken/infer", {"inputs": []}, 503),
        ("POST", "/v2/models/iris/infer", {"inputs": []}, 422),
        ("POST", "/v2/models/iris/infer", {"inputs": [tensor("X", "FP64", [1, 2, 3, 4], [1, 4])]}, 422),
        ("POST", "/v2/models/iris/versions/1/infer", {}, 422),
    ],
)
def test_errors(http: httpx.Client, method: str, path: str, body: Any, status: int) -> None:
    """Every failure is the protocol's error object, whatever its status."""
    assert status == check(http, method, path, body, valid=body != {}).status_code
