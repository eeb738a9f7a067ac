"""Open Inference Protocol v2 as it goes over HTTP, through every shell."""

import base64
import gzip
import importlib.util
import json
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient
from google.protobuf import json_format

from app.codecs import BINARY
from tests.problems import check_problem
from tests.shells import in_process

ROW = [5.1, 3.5, 1.4, 0.2]
SETOSA = {"inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": ROW}]}
LENGTH = "Inference-Header-Content-Length"


def infer(http: httpx.Client, model: str, body: Any, *raw: bytes, **headers: str) -> httpx.Response:
    """Send a request; with raw tensors, the length of its JSON beside it, and no content type, as tritonclient does."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    if raw:
        headers = {LENGTH: str(len(content))} | headers
    return http.post(f"/v2/models/{model}/infer", content=b"".join([content, *raw]), headers=headers)


def tensor(data: Any, shape: list[int] | None = None, datatype: str = "FP32", name: str = "x", **parameters: Any) -> dict[str, Any]:
    return {"name": name, "shape": shape or [len(data)], "datatype": datatype, "data": data, "parameters": parameters}


def raw(size: int, shape: list[int], datatype: str = "FP32", name: str = "x") -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": size}}


def outputs(answer: httpx.Response) -> dict[str, Any]:
    """The outputs by name: the data of those in JSON, the bytes of those behind it."""
    assert 200 == answer.status_code, answer.text
    length = int(answer.headers.get(LENGTH, len(answer.content)))
    assert ("application/octet-stream" if LENGTH in answer.headers else "application/json") == answer.headers["content-type"]
    document, at, found = json.loads(answer.content[:length]), length, {}
    for output in document["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        found[output["name"]] = output["data"] if size is None else answer.content[at : at + size]
        at += size or 0
    assert len(answer.content) == at
    return found


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_server(http: httpx.Client, path: str) -> None:
    """The server tells its name, its version and the extensions that it has, with and without a slash, without a redirect."""
    server = http.get(path).json()

    assert {"name", "version", "extensions"} == set(server)
    assert "onnx-lambda" == server["name"]
    assert ["binary_tensor_data", "classification", "model_configuration", "model_repository", "statistics"] == server["extensions"]


def test_health(http: httpx.Client) -> None:
    """Liveness and readiness are what every client of the protocol reads: a status, `live` and `ready`."""
    assert (200, {"live": True}) == ((answer := http.get("/v2/health/live")).status_code, answer.json())
    assert (200, {"ready": True, "live": True}) == ((answer := http.get("/v2/health/ready")).status_code, answer.json())


@pytest.mark.parametrize("path", ["/v2/models/iris/ready", "/v2/models/iris/versions/1/ready"])
def test_model_is_ready(http: httpx.Client, path: str) -> None:
    """A model that can answer is ready, by name and by version."""
    assert {"name": "iris", "ready": True} == http.get(path).json()


def test_model_is_not_ready(http: httpx.Client) -> None:
    """A model that cannot be loaded is 503 with the reason, one that does not exist 404."""
    answer = http.get("/v2/models/broken/ready")

    assert "ONNX Runtime cannot load" in check_problem(answer, 503, "model-not-ready")["error"]
    assert int(answer.headers["retry-after"]) > 0
    check_problem(http.get("/v2/models/ghost/ready"), 404, "unknown-model")
    check_problem(http.get("/v2/models/iris/versions/9/ready"), 404, "unknown-version")


def test_server_is_not_ready(models: Path) -> None:
    """While the default model cannot answer the server is 503, with a string error, and live."""
    with in_process(models, fast_lane=True, DEFAULT_MODEL="broken") as client:
        answer = client.get("/v2/health/ready")

        assert 503 == answer.status_code
        assert isinstance(answer.json()["error"], str)
        assert answer.json()["ready"] is False
        assert 200 == client.get("/v2/health/live").status_code


def test_models_are_listed(http: httpx.Client, models: Path) -> None:
    """The list has the name of every model."""
    assert sorted(folder.name for folder in models.iterdir() if folder.is_dir()) == http.get("/v2/models").json()["models"]


@pytest.mark.parametrize("path", ["/v2/models/iris", "/v2/models/iris/versions/1"])
def test_metadata(http: httpx.Client, path: str) -> None:
    """A model's inputs and outputs are told with -1 for what varies, its versions and properties as strings."""
    model = http.get(path).json()
    properties = model.pop("properties")

    assert {
        "name": "iris",
        "versions": ["1"],
        "platform": "onnx_onnxv1",
        "inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [
            {"name": "output_label", "datatype": "INT64", "shape": [-1]},
            {"name": "output_probability", "datatype": "FP32", "shape": [-1, -1]},
            {"name": "output_probability_labels", "datatype": "INT64", "shape": [-1]},
        ],
    } == model
    assert ["setosa", "versicolor", "virginica"] == json.loads(properties["labels"])
    assert properties["digest"].startswith("sha256:")
    assert all(isinstance(text, str) for text in properties.values())


def test_metadata_of_versions(http: httpx.Client) -> None:
    """Every version that can be asked for is listed, oldest first."""
    assert ["1", "2", "10"] == http.get("/v2/models/versioned").json()["versions"]


@pytest.mark.parametrize(
    ("model", "inputs", "shown"),
    [
        ("sequence-output", [-1], "'parts' a sequence of FP32"),
        ("sequence-input", None, "'parts' a sequence of FP32"),
        ("scalar", [-1], None),
    ],
)
def test_metadata_of_what_the_protocol_has_no_form_for(http: httpx.Client, model: str, inputs: Any, shown: str | None) -> None:
    """Sequences are told as a property instead of as tensors; a rank that ONNX Runtime does not tell is one dimension that varies."""
    found = http.get(f"/v2/models/{model}").json()

    assert ([inputs] if inputs else []) == [spec["shape"] for spec in found["inputs"]]
    assert (shown or "") in found["properties"].get("only_at_predict", "")
    assert (shown is not None) is ("only_at_predict" in found["properties"])


def model_config_message() -> Any:
    """Triton's own ModelConfig, from tritonclient's generated code, whose package needs gRPC that this file does not."""
    file = Path(tritonclient.__file__).parent / "grpc" / "model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("model_config_pb2", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ModelConfig()


@pytest.mark.parametrize("model", ["iris", "mixed", "identity-bfloat16", "optional-input", "sequence-output", "scalar"])
def test_configuration_is_tritons_message(http: httpx.Client, model: str) -> None:
    """A configuration is read by Triton's own message definition, which takes no unknown field and no wrong type."""
    config = json_format.Parse(http.get(f"/v2/models/{model}/config").text, model_config_message())

    assert (model, "onnxruntime", 0) == (config.name, config.backend, config.max_batch_size)
    metadata = http.get(f"/v2/models/{model}").json()
    assert [(spec["name"], spec["shape"]) for spec in metadata["inputs"]] == [(spec.name, list(spec.dims)) for spec in config.input]
    assert [(spec["name"], spec["shape"]) for spec in metadata["outputs"]] == [(spec.name, list(spec.dims)) for spec in config.output]


def test_configuration_names_types_as_triton_does(http: httpx.Client) -> None:
    """Datatypes are TYPE_…, BYTES is TYPE_STRING, an optional input says so, labels are a parameter."""
    config = http.get("/v2/models/mixed/versions/1/config").json()

    assert ["TYPE_FP32", "TYPE_BOOL", "TYPE_STRING"] == [spec["data_type"] for spec in config["input"]]
    assert "TYPE_BF16" == http.get("/v2/models/identity-bfloat16/config").json()["output"][0]["data_type"]
    assert http.get("/v2/models/optional-input/config").json()["input"][0]["optional"] is True
    labels = http.get("/v2/models/iris/config").json()["parameters"]["labels"]["string_value"]
    assert ["setosa", "versicolor", "virginica"] == json.loads(labels)


def statistics(http: httpx.Client, path: str) -> list[dict[str, Any]]:
    answer = http.get(path)
    assert 200 == answer.status_code, answer.text
    found: list[dict[str, Any]] = answer.json()["model_stats"]
    return found


def test_statistics(http: httpx.Client) -> None:
    """Requests, rows, failures and the time of each phase are counted for each version, and by batch size."""
    path = "/v2/models/counts/versions/1/stats"
    body = {"inputs": [tensor([1, 2, 3, 4, 5, 6], [2, 3], "UINT8")]}
    (before,) = statistics(http, path)
    started = time.time_ns() // 1_000_000
    for _ in range(2):
        assert 200 == infer(http, "counts", body).status_code
    assert 422 == infer(http, "counts", {"inputs": []}).status_code
    (after,) = statistics(http, path)

    assert ("counts", "1") == (after["name"], after["version"])
    assert (4, 2) == tuple(after[key] - before[key] for key in ("inference_count", "execution_count"))
    assert started <= after["last_inference"] <= time.time_ns() // 1_000_000
    stats = after["inference_stats"]
    names = {"success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss"}
    assert names == set(stats)
    grown = {name: stats[name]["count"] - before["inference_stats"][name]["count"] for name in names}
    expected = dict.fromkeys(("success", "queue", "compute_input", "compute_infer", "compute_output"), 2)
    assert expected | {"fail": 1, "cache_hit": 0, "cache_miss": 0} == grown
    assert 0 < stats["compute_infer"]["ns"] <= stats["success"]["ns"]
    (batch,) = [batch for batch in after["batch_stats"] if batch["batch_size"] == 2]
    assert {"batch_size", "compute_input", "compute_infer", "compute_output"} == set(batch)
    assert batch["compute_infer"]["count"] >= 2


def test_statistics_of_all_models(http: httpx.Client) -> None:
    """Without a model every version is listed, those that were never asked for with zeros; nothing is loaded for it."""
    listed = {(entry["name"], entry["version"]): entry for entry in statistics(http, "/v2/models/stats")}

    assert {("iris", "1"), ("versioned", "1"), ("versioned", "2"), ("versioned", "10"), ("broken", "1")} <= set(listed)
    assert 0 == listed["broken", "1"]["last_inference"] == listed["broken", "1"]["inference_stats"]["success"]["count"]
    assert [listed["broken", "1"]] == statistics(http, "/v2/models/broken/stats")
    check_problem(http.get("/v2/models/ghost/stats"), 404, "unknown-model")
    check_problem(http.get("/v2/models/iris/versions/9/stats"), 404, "unknown-version")


def test_repository_index(http: httpx.Client) -> None:
    """Every version is listed with its state, and the reason of one that is not ready; asked for, the ready ones alone."""
    http.get("/v2/models/broken/ready")
    listed = {(entry["name"], entry["version"]): entry for entry in http.post("/v2/repository/index").json()}

    assert {"name": "iris", "version": "1", "state": "READY", "reason": ""} == listed["iris", "1"]
    assert "UNAVAILABLE" == listed["broken", "1"]["state"]
    assert "ONNX Runtime cannot load" in listed["broken", "1"]["reason"]
    ready = http.post("/v2/repository/index", json={"ready": True}).json()
    assert {"READY"} == {entry["state"] for entry in ready}
    assert len(listed) == len(http.post("/v2/repository/index", json={"ready": False}).json()) > len(ready)


def test_repository_index_says_what_is_not_loaded_yet(models: Path) -> None:
    """A version that nobody asked for yet is not ready, with what makes it so."""
    with in_process(models, fast_lane=True) as client:
        (found,) = [entry for entry in client.post("/v2/repository/index").json() if entry["name"] == "mixed"]

    assert ("UNAVAILABLE", "not loaded yet; its first request loads it") == (found["state"], found["reason"])


@pytest.mark.parametrize("body", [b"[]", b'{"ready": 1}', b'{"ready": "yes"}'])
def test_repository_index_of_a_wrong_body(http: httpx.Client, body: bytes) -> None:
    """A body that is no such object is refused."""
    check_problem(http.post("/v2/repository/index", content=body), 422, "invalid-request")
    check_problem(http.post("/v2/repository/index", content=b"{"), 400, "unreadable-json")


@pytest.mark.parametrize("verb", ["load", "unload"])
@pytest.mark.parametrize("model", ["iris", "ghost"])
def test_models_are_neither_loaded_nor_unloaded(http: httpx.Client, verb: str, model: str) -> None:
    """Loading and unloading is refused with Triton's words and what to do instead, and changes nothing."""
    problem = check_problem(http.post(f"/v2/repository/models/{model}/{verb}", json={}), 403, "not-offered")

    assert problem["error"].startswith("explicit model load / unload is not allowed: the models are part of the image")
    assert 200 == infer(http, "iris", SETOSA).status_code


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/v2/systemsharedmemory/status", "Shared memory is not offered"),
        ("/v2/cudasharedmemory/region/r/register", "Shared memory is not offered"),
        ("/v2/trace/setting", "Tracing settings are not offered"),
        ("/v2/models/iris/trace/setting", "Tracing settings are not offered"),
        ("/v2/logging", "Logging settings are not offered"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_extensions_that_are_not_there(http: httpx.Client, method: str, path: str, hint: str) -> None:
    """What Triton's clients can call and this server does not have is a 404 that says so."""
    assert hint in check_problem(http.request(method, path), 404, "unknown-path")["error"]


@pytest.mark.parametrize("path", ["/v2/models/iris/infer", "/v2/models/iris/versions/1/infer"])
def test_infer(http: httpx.Client, path: str) -> None:
    """An answer has the model, its version, an id, and every output flat with its shape."""
    answer = http.post(path, json={**SETOSA, "id": "42"})
    body = answer.json()

    assert 200 == answer.status_code, answer.text
    assert "application/json" == answer.headers["content-type"]
    assert LENGTH not in answer.headers
    assert ("iris", "1", "42") == (body["model_name"], body["model_version"], body["id"])
    label, probability, labels = body["outputs"]
    assert {"name": "output_label", "datatype": "INT64", "shape": [1], "data": [0]} == label
    assert ("output_probability", "FP32", [1, 3]) == (probability["name"], probability["datatype"], probability["shape"])
    assert pytest.approx(1) == sum(probability["data"])
    assert [0, 1, 2] == labels["data"]


def test_infer_equals_predict(http: httpx.Client) -> None:
    """The same rows get the same answer as at /predict."""
    rows = [[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]]
    found = outputs(infer(http, "iris", {"inputs": [tensor(rows, [2, 4], name="X")]}))

    assert http.post("/predict", json={"inputs": rows}).json()["outputs"]["output_label"] == found["output_label"]


def test_an_id_is_always_answered(http: httpx.Client) -> None:
    """Without an id in the request the answer has that of the HTTP request, which its header field tells as well."""
    answers = [infer(http, "iris", SETOSA, **({"X-Request-Id": f"mine-{i}"} if i else {})) for i in range(3)]

    assert [answer.headers["X-Request-Id"] for answer in answers] == [answer.json()["id"] for answer in answers]
    assert ["mine-1", "mine-2"] == [answer.json()["id"] for answer in answers[1:]]


def test_chosen_outputs(http: httpx.Client) -> None:
    """The outputs that are asked for are answered, in that order."""
    wanted = [{"name": "output_probability_labels"}, {"name": "output_label", "parameters": {}}]

    assert ["output_probability_labels", "output_label"] == list(outputs(infer(http, "iris", SETOSA | {"outputs": wanted})))


@pytest.mark.parametrize(
    ("datatype", "model", "values"),
    [
        ("BOOL", "bool", [True, False]),
        *((f"UINT{bits}", f"uint{bits}", [0, 2**bits - 1]) for bits in (8, 16, 32, 64)),
        *((f"INT{bits}", f"int{bits}", [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1]) for bits in (8, 16, 32, 64)),
        ("FP16", "float16", [1.5, -65504.0, 5.9604645e-8]),
        ("BF16", "bfloat16", [1.0, -3.3895314e38, 0.0078125]),
        ("FP32", "float", [1.5, -3.4028235e38, 1e-45]),
        ("FP64", "double", [0.1, -1.7976931348623157e308, 5e-324]),
    ],
)
def test_every_datatype_in_json(http: httpx.Client, datatype: str, model: str, values: list[Any]) -> None:
    """The extremes of every datatype come back as they were sent, 64-bit integers exactly, FP16 and BF16 as numbers."""
    assert {"y": values} == outputs(infer(http, f"identity-{model}", {"inputs": [tensor(values, datatype=datatype)]}))


def test_large_json_tensors(http: httpx.Client) -> None:
    """A large tensor in JSON comes back to the last bit."""
    values = np.linspace(-5, 5, 30_000).astype(np.float32)
    found = outputs(infer(http, "two-free", {"inputs": [tensor(values.tolist(), [300, 100])]}))["y"]

    assert values.tolist() == np.array(found, np.float32).tolist()


BYTES = [b"plain", b"", "grüße 日本".encode(), b"a\x00b\x00", b"\xff\xfe\x80", b"\xf4\x8f\xbc\x80"]


def framed(items: list[bytes]) -> bytes:
    return b"".join(struct.pack("<I", len(item)) + item for item in items)


def as_bytes(item: Any) -> bytes:
    return base64.b64decode(item["b64"]) if isinstance(item, dict) else item.encode()


def test_bytes_in_json(http: httpx.Client) -> None:
    """A BYTES element is a UTF-8 string, NULs included, or {"b64"} for any bytes; it comes back as a string where it can."""
    data = ["plain", {"b64": base64.b64encode(b"plain").decode()}, "grüße\x00", {"b64": "//4A"}, {"b64": ""}, "日本"]
    found = outputs(infer(http, "text", {"inputs": [tensor(data, [3, 2], "BYTES")]}))["y"]

    assert ["plain", "plain", "grüße\x00", {"b64": "//4A"}, "", "日本"] == found


def test_bytes_in_binary(http: httpx.Client) -> None:
    """Any bytes go through a graph's strings and back: NULs, bytes that are no UTF-8, and the characters that stand for them."""
    content = framed(BYTES)
    body = {"inputs": [raw(len(content), [3, 2], "BYTES")], "parameters": {"binary_data_output": True}}

    assert {"y": content} == outputs(infer(http, "text", body, content))
    del body["parameters"]
    assert [bytes(item) for item in BYTES] == [as_bytes(item) for item in outputs(infer(http, "text", body, content))["y"]]


def test_mixed_tensors(http: httpx.Client) -> None:
    """Raw and JSON tensors stand beside each other in request and answer, each as its own flag or the request's default says."""
    a, s = struct.pack("<4f", 1, 2, 3, 4), framed([b"\x00\xff"])
    body = {
        "inputs": [raw(16, [2, 2], name="a"), tensor([True, False], datatype="BOOL", name="b"), raw(len(s), [1], "BYTES", "s")],
        "outputs": [{"name": "s_out"}, {"name": "b_out", "parameters": {"binary_data": False}}, {"name": "a_out"}],
        "parameters": {"binary_data_output": True},
    }

    assert {"s_out": s, "b_out": [True, False], "a_out": a} == outputs(infer(http, "mixed", body, a, s))
    body["parameters"] = {"binary_data_output": False}
    body["outputs"][2] = {"name": "a_out", "parameters": {"binary_data": True}}
    assert {"s_out": [{"b64": "AP8="}], "b_out": [True, False], "a_out": a} == outputs(infer(http, "mixed", body, a, s))


@pytest.mark.parametrize("model", ["float", "bool", "bfloat16", "int64"])
@pytest.mark.parametrize("as_binary", [False, True])
def test_empty_tensors(http: httpx.Client, model: str, as_binary: bool) -> None:
    """A tensor without elements goes through, raw and in JSON; kserve's client writes null beside a raw one."""
    datatype = {"float": "FP32", "bool": "BOOL", "bfloat16": "BF16", "int64": "INT64"}[model]
    entry = raw(0, [0], datatype) | {"data": None} if as_binary else tensor([], [0], datatype)
    answer = infer(http, f"identity-{model}", {"inputs": [entry], "parameters": {"binary_data_output": as_binary}})

    assert {"y": b"" if as_binary else []} == outputs(answer)
    assert as_binary is (LENGTH in answer.headers)


def test_empty_tensors_keep_their_other_dimensions(http: httpx.Client) -> None:
    """The shape of an empty tensor comes back whole."""
    for shape in ([0, 7], [7, 0]):
        answer = infer(http, "two-free", {"inputs": [tensor([], shape)]})
        assert shape == answer.json()["outputs"][0]["shape"]


def test_raw_requests(http: httpx.Client) -> None:
    """A header length of 0 says that the body is the input's bytes: what curl --data-binary @file sends."""
    content = np.array([ROW, ROW], np.float32).tobytes()
    answer = infer(http, "iris", b"", content, **{LENGTH: "0"})

    assert np.array([0, 0]).tobytes() == outputs(answer)["output_label"]
    assert {"y": framed([b"\x00any\xff"])} == outputs(infer(http, "one-string", b"", b"\x00any\xff", **{LENGTH: "0"}))


@pytest.mark.parametrize(
    ("model", "content", "status", "message"),
    [
        ("two-inputs", bytes(8), 422, "Raw request must only have 1 input"),
        ("two-free", bytes(8), 422, "can not be deduced because there are more than one variable-sized dimension"),
        ("text", b"abc", 422, "For BYTE datatype raw input 'x', the model must have input shape [1]"),
        ("iris", bytes(17), 400, "input byte size mismatch for input 'X'"),
    ],
)
def test_raw_requests_that_cannot_be_understood(http: httpx.Client, model: str, content: bytes, status: int, message: str) -> None:
    """A raw body whose shape cannot be told is refused with Triton's words."""
    problem = check_problem(
        infer(http, model, b"", content, **{LENGTH: "0"}), status, "invalid-request" if status == 422 else "unreadable-request"
    )

    assert message in problem["error"]


def test_length_in_the_media_type(http: httpx.Client) -> None:
    """Where a proxy drops headers the length stands in the media type, and so it does in the answer."""
    content = struct.pack("<4f", *ROW)
    header = json.dumps({"inputs": [raw(16, [1, 4], name="X")], "outputs": [{"name": "output_label", "parameters": {"binary_data": True}}]})
    answer = infer(http, "iris", header.encode() + content, **{"Content-Type": f"{BINARY};json-header-size={len(header)}"})
    media_type, _, size = answer.headers["content-type"].partition(";json-header-size=")

    assert 200 == answer.status_code, answer.text
    assert (BINARY, False) == (media_type, LENGTH in answer.headers)
    assert 8 == json.loads(answer.content[: int(size)])["outputs"][0]["parameters"]["binary_data_size"]
    assert bytes(8) == answer.content[int(size) :]


def test_the_same_bytes_by_header_and_by_media_type(http: httpx.Client) -> None:
    """An answer of JSON alone is plain JSON whichever way the request came."""
    body = json.dumps({**SETOSA, "id": "1"}).encode()
    by_header = infer(http, "iris", body, **{LENGTH: str(len(body))})
    by_type = infer(http, "iris", body, **{"Content-Type": f"{BINARY}; json-header-size={len(body)}"})

    assert by_header.content == by_type.content == infer(http, "iris", body).content
    assert "application/json" == by_type.headers["content-type"]


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/json",
        "application/json; charset=utf-8",
        "application/octet-stream",
        "text/plain",
        "application/x-www-form-urlencoded",
    ],
)
def test_content_types_of_json(http: httpx.Client, content_type: str | None) -> None:
    """JSON is taken under the content types that clients really send it: none, octets, and what curl -d says."""
    answer = infer(http, "iris", SETOSA, **({"Content-Type": content_type} if content_type else {}))

    assert [0] == outputs(answer)["output_label"]


def test_content_type_says_nothing_beside_the_length(http: httpx.Client) -> None:
    """With the length of the JSON any content type will do, as with Triton."""
    content = struct.pack("<4f", *ROW)
    for content_type in ("application/json", "application/octet-stream", "application/x-whatever"):
        answer = infer(http, "iris", {"inputs": [raw(16, [1, 4], name="X")]}, content, **{"Content-Type": content_type})
        assert [0] == outputs(answer)["output_label"]


def test_other_content_types(http: httpx.Client) -> None:
    """Another content type is a 415 that names those that are taken."""
    problem = check_problem(infer(http, "iris", b"1,2,3,4", **{"Content-Type": "text/csv"}), 415, "unsupported-content-type")

    assert "application/json" in problem["error"]
    assert BINARY in problem["error"]


@pytest.mark.parametrize("accept", ["text/html", "application/octet-stream", "image/*"])
def test_accept_is_not_asked(http: httpx.Client, accept: str) -> None:
    """The request's own flags say what the answer is; Accept, which clients fill by habit, does not."""
    assert [0] == outputs(infer(http, "iris", SETOSA, Accept=accept))["output_label"]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compressed_requests(http: httpx.Client, coding: str) -> None:
    """A compressed body is decompressed first: the length of its JSON counts what was there before."""
    content = struct.pack("<4f", *ROW)
    header = json.dumps({"inputs": [raw(16, [1, 4], name="X")]}).encode()
    body = {"gzip": gzip.compress, "deflate": zlib.compress}[coding](header + content)

    assert [0] == outputs(infer(http, "iris", body, **{LENGTH: str(len(header)), "Content-Encoding": coding}))["output_label"]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("as_binary", [False, True])
def test_compressed_answers(http: httpx.Client, coding: str, as_binary: bool) -> None:
    """An answer is compressed for a caller who names one coding; the length of its JSON counts what is inside."""
    body = {"inputs": [tensor([0] * 5000)], "parameters": {"binary_data_output": as_binary}}
    answer = infer(http, "identity-float", body, **{"Accept-Encoding": coding})

    assert coding == answer.headers["content-encoding"]
    assert {"y": bytes(20_000) if as_binary else [0.0] * 5000} == outputs(answer)


def test_unknown_codings(http: httpx.Client) -> None:
    """A coding that is not known is a 415 that names those that are."""
    answer = infer(http, "iris", SETOSA, **{"Content-Encoding": "br"})

    check_problem(answer, 415, "unsupported-content-type")
    assert "gzip, deflate" == answer.headers["accept-encoding"]


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused_in_json(http: httpx.Client, token: str) -> None:
    """NaN, infinity and a number beyond every float are refused with their place, unless the model allows the first two."""
    body = b'{"inputs":[{"name":"x","shape":[2],"datatype":"FP32","data":[1,' + token.encode() + b"]}]}"
    problem = check_problem(infer(http, "identity-float", body), 422, "out-of-range" if token == "1e999" else "not-finite")

    assert "/inputs/0/data/1" == problem["pointer"]
    if token != "1e999":
        assert [1, token] == outputs(infer(http, "nan-allowed", body))["y"]


def test_numbers_that_are_none_go_through_in_binary(http: httpx.Client) -> None:
    """Binary carries every bit of NaN and infinity both ways, unless the model refuses them."""
    content = struct.pack("<2I2f", 0x7FC12345, 0xFFC00001, float("inf"), float("-inf"))
    body = {"inputs": [raw(16, [4])], "parameters": {"binary_data_output": True}}

    assert {"y": content} == outputs(infer(http, "identity-float", body, content))
    problem = check_problem(infer(http, "nan-refused", body, content), 422, "not-finite")
    assert "input 'x' at [0] is nan" in problem["error"]


@pytest.mark.parametrize(
    ("model", "policy", "expected"),
    [
        ("logarithm", None, [0.0, None, None]),
        ("logarithm", "string", [0.0, "-Infinity", "NaN"]),
        ("nan-error", "null", [0.0, None, None]),
        ("nan-error", None, "output 'y' is -Infinity at [1]"),
        ("logarithm", "error", "output 'y' is -Infinity at [1]"),
    ],
)
def test_numbers_that_are_none_come_out_as_documented(http: httpx.Client, model: str, policy: str | None, expected: Any) -> None:
    """In JSON they are null, strings or an error, by the request's choice over the model's; in binary they are what they are."""
    body: dict[str, Any] = {"inputs": [tensor([1, 0, -1])], "parameters": {"nan_output": policy} if policy else {}}
    answer = infer(http, model, body)

    if isinstance(expected, str):
        assert expected in check_problem(answer, 422, "output-not-finite")["error"]
    else:
        assert {"y": expected} == outputs(answer)
    body["parameters"]["binary_data_output"] = True
    values = np.frombuffer(outputs(infer(http, model, body))["y"], np.float32)
    assert [0, -np.inf] == values[:2].tolist()
    assert np.isnan(values[2])


def test_classification(http: httpx.Client) -> None:
    """The best classes of a row are strings of value, index and label, in JSON and raw."""
    output = {"name": "output_probability", "parameters": {"classification": 2}}
    answer = infer(http, "iris", SETOSA | {"outputs": [output]})
    (found,) = answer.json()["outputs"]

    assert ("BYTES", [1, 2]) == (found["datatype"], found["shape"])
    assert ["0:setosa", "1:versicolor"] == [text.partition(":")[2] for text in found["data"]]
    output["parameters"]["binary_data"] = True
    content = outputs(infer(http, "iris", SETOSA | {"outputs": [output]}))["output_probability"]
    assert framed([text.encode() for text in found["data"]]) == content


def test_classification_by_the_graphs_own_labels(http: httpx.Client) -> None:
    """Without labels in model.toml those of a ZipMap are told, though nobody asked for that output; without any there are none."""
    output = {"name": "scores", "parameters": {"classification": 1}}
    body = {"inputs": [tensor([0.25, 0.75], [1, 2])], "outputs": [output]}

    assert {"scores": ["0.75:1:yes"]} == outputs(infer(http, "zipmap-strings", body))
    body = {"inputs": [tensor([1, 200, 3], [1, 3], "UINT8")], "outputs": [{"name": "y", "parameters": {"classification": 9}}]}
    assert {"y": ["200:1", "3:2", "1:0"]} == outputs(infer(http, "counts", body))


def test_optional_tensors(http: httpx.Client) -> None:
    """An optional input may be sent or left out; an optional output that is empty is not listed."""
    assert {"given": [True]} == outputs(infer(http, "optional-input", {"inputs": [tensor([1.0])]}))
    assert {"given": [False]} == outputs(infer(http, "optional-input", {"inputs": []}))
    assert {"full": [1.0]} == outputs(infer(http, "optional-output", {"inputs": [tensor([1.0])]}))


def test_sequences_have_no_form(http: httpx.Client) -> None:
    """A sequence, in or out, is refused by name with the place that takes it."""
    body = {"inputs": [tensor([1, 2, 3])]}
    for sent, pointer in ((body, ""), (body | {"outputs": [{"name": "parts"}]}, "/outputs/0")):
        problem = check_problem(infer(http, "sequence-output", sent), 422, "invalid-request")
        assert ("output 'parts' is a sequence" in problem["error"], pointer) == (True, problem["pointer"])
        assert "POST /models/<name>/predict" in problem["error"]
    problem = check_problem(infer(http, "sequence-input", {"inputs": [tensor([1], name="parts")]}), 422, "invalid-request")
    assert "input 'parts' is a sequence" in problem["error"]


def test_parameters_that_mean_nothing_here_are_ignored(http: httpx.Client) -> None:
    """Triton's reserved parameters and those of other servers change nothing, on the request, on tensors and on outputs."""
    more = {"sequence_id": 7, "sequence_start": True, "sequence_end": False, "priority": 1, "timeout": 5, "headers": {}, "mine": None}
    entry = tensor([1.0], content_type="np", mine=[1])
    body = {"inputs": [entry], "outputs": [{"name": "y", "parameters": {"mine": {}}}], "parameters": more, "model_name": "x"}

    assert {"y": [1.0]} == outputs(infer(http, "identity-float", body))
    nothing = {"parameters": None, "outputs": None, "id": None}
    assert {"y": [1.0]} == outputs(infer(http, "identity-float", {"inputs": [tensor([1.0]) | {"parameters": None}], **nothing}))


X = tensor([1.0])


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer", "message"),
    [
        (b"[]", 422, "invalid-request", "", 'must be a JSON object with "inputs"'),
        (b"", 400, "unreadable-json", None, "at byte 0"),
        ({}, 422, "invalid-request", "", "no \"inputs\"; the model expects 'x' FP32 [n]"),
        ({"inputs": {}}, 422, "invalid-request", "/inputs", "must be an array of tensors"),
        ({"inputs": []}, 422, "missing-input", "/inputs", "expected 1 inputs but got 0: missing required input(s) x"),
        ({"inputs": ["x"]}, 422, "invalid-request", "/inputs/0", "Every input must be an object"),
        ({"inputs": [X | {"name": 1}]}, 422, "invalid-request", "/inputs/0", "Every input must be an object"),
        ({"inputs": [X, X | {"name": "q"}]}, 422, "unknown-input", "/inputs/1/name", "no input 'q'; the model expects 'x' FP32 [n]"),
        ({"inputs": [X, X]}, 422, "invalid-request", "/inputs/1/name", "input 'x' already exists in request."),
        (
            {"inputs": [X | {"datatype": "FP64"}]},
            422,
            "wrong-datatype",
            "/inputs/0/datatype",
            "inference input 'x' data-type is 'FP64', model expects 'FP32'.",
        ),
        (
            {"inputs": [X | {"datatype": "FLOAT"}]},
            422,
            "wrong-datatype",
            "/inputs/0/datatype",
            "data-type is 'FLOAT', model expects 'FP32'",
        ),
        ({"inputs": [X | {"datatype": None}]}, 422, "wrong-datatype", "/inputs/0/datatype", "data-type is no string"),
        ({"inputs": [X | {"shape": [1, 1]}]}, 422, "wrong-shape", "/inputs/0/shape", "unexpected shape for input 'x': got [1, 1] (rank 2)"),
        ({"inputs": [X | {"shape": [-1]}]}, 422, "wrong-shape", "/inputs/0/shape", "not negative"),
        ({"inputs": [X | {"shape": [True]}]}, 422, "wrong-shape", "/inputs/0/shape", "whole numbers"),
        ({"inputs": [X | {"shape": [1] * 1000}]}, 422, "wrong-shape", "/inputs/0/shape", "at most 64"),
        ({"inputs": [X | {"shape": [3]}]}, 422, "wrong-shape", "/inputs/0/data", "Unable to parse 'data': Shape does not match true shape"),
        ({"inputs": [X | {"shape": [2**31, 2**31]}]}, 422, "wrong-shape", "/inputs/0/data", "its data has 1 elements"),
        ({"inputs": [X | {"data": [[1, 2], [3]], "shape": [3]}]}, 422, "wrong-shape", "/inputs/0/data/1", "is ragged"),
        ({"inputs": [X | {"data": None}]}, 422, "invalid-request", "/inputs/0", "input 'x' has no \"data\""),
        ({"inputs": [X | {"data": ["1"]}]}, 422, "wrong-datatype", "/inputs/0/data/0", "a string; the model expects a number"),
        ({"inputs": [X | {"data": [1e39]}]}, 422, "out-of-range", "/inputs/0/data/0", "1e+39"),
        ({"inputs": [X | {"parameters": []}]}, 422, "invalid-request", "/inputs/0/parameters", "must be an object"),
        ({"inputs": [X], "parameters": 1}, 422, "invalid-request", "/parameters", "must be an object"),
        ({"inputs": [X], "id": 42}, 422, "invalid-request", "/id", "must be a string"),
        ({"inputs": [X], "outputs": {}}, 422, "invalid-request", "/outputs", "must be an array"),
        ({"inputs": [X], "outputs": ["y"]}, 422, "invalid-request", "/outputs/0", 'an object with a "name"'),
        ({"inputs": [X], "outputs": [{"name": "y"}, {"name": "z"}]}, 422, "unknown-output", "/outputs/1", "no output 'z'; the model has y"),
        ({"inputs": [X], "outputs": [{"name": "y"}] * 2}, 422, "invalid-request", "/outputs/1", "output 'y' already exists in request."),
        *(
            ({"inputs": [X], "parameters": {key: value}}, 422, "invalid-request", f"/parameters/{key}", message)
            for key, value, message in (("binary_data_output", 1, "true or false"), ("nan_output", "zero", "null, string, error"))
        ),
        *(
            (
                {"inputs": [X], "outputs": [{"name": "y", "parameters": {key: value}}]},
                422,
                "invalid-request",
                f"/outputs/0/parameters/{key}",
                message,
            )
            for key, value, message in (
                ("binary_data", "yes", "true or false"),
                ("binary_data", None, "true or false"),
                ("classification", 0, "at least 1"),
                ("classification", "2", "at least 1"),
                ("classification", True, "at least 1"),
                ("shared_memory_region", "r", "Shared memory is not offered"),
            )
        ),
        (
            {"inputs": [X | {"data": None, "parameters": {"shared_memory_region": "r"}}]},
            422,
            "invalid-request",
            "/inputs/0/parameters/shared_memory_region",
            "Shared memory is not offered",
        ),
        (
            b'{"inputs":[{"name":"x","shape":[1],"shape":[2],"datatype":"FP32","data":[1]}]}',
            422,
            "invalid-request",
            None,
            "the key 'shape' twice",
        ),
    ],
    ids=lambda value: None,
)
def test_what_is_wrong_is_said(fast: httpx.Client, body: Any, status: int, code: str, pointer: str | None, message: str) -> None:
    """Every fault of a request is named with its place, what came and what was expected, in Triton's words where there are such."""
    problem = check_problem(infer(fast, "identity-float", body), status, code)

    assert message in problem["error"]
    assert pointer == problem.get("pointer")


VALID = raw(8, [2])


@pytest.mark.parametrize(
    ("entries", "content", "length", "message"),
    [
        ([VALID], bytes(8), "-1", "Unable to parse Inference-Header-Content-Length: got '-1'"),
        ([VALID], bytes(8), "abc", "got 'abc'"),
        ([VALID], bytes(8), "", "got ''"),
        ([VALID], bytes(8), "1.0", "got '1.0'"),
        ([VALID], bytes(8), "+7", "got '+7'"),
        ([VALID], bytes(8), "12, 12", "got '12, 12'"),
        ([VALID], bytes(8), "7;json-header-size=1", "got '7,json-header-size=1'"),
        ([VALID], bytes(8), "99999999999", "Inference-Header-Content-Length is 99999999999, but the body has"),
        ([VALID], bytes(8), "9" * 5000, "but the body has"),
        ([VALID], bytes(7), None, "binary_data_size of 8, but only 7 bytes are left"),
        ([VALID], bytes(9), None, "9 bytes follow the JSON, but the inputs' binary_data_size add up to 8"),
        ([raw(4, [2])], bytes(4), None, "input byte size mismatch for input 'x': FP32 [2] takes 8 bytes, got 4"),
        ([raw(12, [2])], bytes(12), None, "takes 8 bytes, got 12"),
        ([raw(8, [2**40, 2**40])], bytes(8), None, "takes more than 2^63 bytes, got 8"),
        ([tensor([1.0])], bytes(8), None, "add up to 0"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else None,
)
def test_what_is_wrong_in_binary_is_said(fast: httpx.Client, entries: list[Any], content: bytes, length: str | None, message: str) -> None:
    """A length or a size that does not fit the body is a 400 that has both numbers; nothing wraps, nothing is left over unnoticed."""
    headers = {LENGTH: length} if length is not None else {}
    problem = check_problem(infer(fast, "identity-float", {"inputs": entries}, content, **headers), 400, "unreadable-request")

    assert message in problem["error"]


@pytest.mark.parametrize("size", [-8, "8", 8.0, True, None, [8]])
def test_sizes_are_natural_numbers(fast: httpx.Client, size: Any) -> None:
    """A binary_data_size that is no whole number is refused at its place."""
    entry = {**VALID, "parameters": {"binary_data_size": size}}
    problem = check_problem(infer(fast, "identity-float", {"inputs": [entry]}, bytes(8)), 422, "invalid-request")

    assert "/inputs/0/parameters/binary_data_size" == problem["pointer"]


def test_two_kinds_of_data_are_one_too_many(fast: httpx.Client) -> None:
    """A tensor in JSON and behind it is refused: which one is meant cannot be known."""
    entry = {**VALID, "data": [1, 2]}

    assert "both" in check_problem(infer(fast, "identity-float", {"inputs": [entry]}, bytes(8)), 422, "invalid-request")["error"]


def test_a_forgotten_length_is_named(fast: httpx.Client) -> None:
    """Raw tensors without the header that says where they begin are refused by naming it."""
    answer = infer(fast, "identity-float", json.dumps({"inputs": [VALID]}).encode() + bytes(8))

    assert f"the header {LENGTH} must say how many bytes the JSON has" in check_problem(answer, 400, "unreadable-json")["error"]
    answer = infer(fast, "identity-float", {"inputs": [VALID]})
    assert f"The header {LENGTH} says where" in check_problem(answer, 400, "unreadable-request")["error"]


def test_a_cut_header_is_no_json(fast: httpx.Client) -> None:
    """A length that ends inside the JSON is a 400 at the byte where it ends."""
    header = json.dumps({"inputs": [VALID]}).encode()
    answer = infer(fast, "identity-float", header, bytes(8), **{LENGTH: str(len(header) - 1)})

    assert f"at byte {len(header) - 1}" in check_problem(answer, 400, "unreadable-json")["error"]


def test_many_empty_strings(fast: httpx.Client) -> None:
    """A million empty strings are a tensor like any other, and a million that are not there are refused."""
    count = 1_000_000
    body = {"inputs": [raw(4 * count, [count // 2, 2], "BYTES")], "outputs": [{"name": "y", "parameters": {"binary_data": True}}]}

    assert {"y": bytes(4 * count)} == outputs(infer(fast, "text", body, bytes(4 * count)))
    body["inputs"][0]["shape"] = [count, 2]
    assert "expected 2000000 string elements" in check_problem(infer(fast, "text", body, bytes(4 * count)), 422, "invalid-request")["error"]


def test_unknown_models(http: httpx.Client) -> None:
    """A model or version that does not exist is a 404 with the names that do, on every route."""
    for tail in ("", "/config", "/stats", "/ready"):
        check_problem(http.get(f"/v2/models/ghost{tail}"), 404, "unknown-model")
        check_problem(http.get(f"/v2/models/iris/versions/7{tail}"), 404, "unknown-version")
    check_problem(infer(http, "ghost", SETOSA), 404, "unknown-model")
    check_problem(infer(http, "iris/versions/latest", SETOSA), 404, "unknown-version")
    check_problem(http.get("/v2/models/iris/infer"), 405, "method-not-allowed")


def test_large_results_of_classification_are_weighed_by_what_is_answered(models: Path) -> None:
    """A ranking of many classes is small, whatever the scores would have taken."""
    scores = {"inputs": [tensor([0.5] * 20_000, [4, 5_000])], "outputs": [{"name": "y", "parameters": {"classification": 1}}]}
    with in_process(models, fast_lane=True, MAX_RESULT_BYTES="10000") as client:
        assert ["0.5:0"] * 4 == outputs(infer(client, "two-free", scores))["y"]
        del scores["outputs"]
        check_problem(infer(client, "two-free", scores), 413, "result-too-large")
