"""SageMaker's container contract, through every shell."""

import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from tests import graphs
from tests.problems import check_problem
from tests.shells import in_process, server

SETOSA = [5.1, 3.5, 1.4, 0.2]
TARGET = "X-Amzn-SageMaker-Target-Model"
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"


def invoke(http: httpx.Client, model: str, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = http.post("/invocations", content=content, headers={"content-type": "application/json", TARGET: model, **more})
    assert 200 == answer.status_code, answer.text
    return answer


def test_ping(http: httpx.Client) -> None:
    """A healthy container answers 200 and an empty body."""
    answer = http.get("/ping")

    assert (200, b"") == (answer.status_code, answer.content)


@pytest.mark.parametrize("settings", [{"DEFAULT_MODEL": "bad"}, {"PRELOAD_MODELS": "bad,good"}])
def test_ping_of_a_container_that_is_not_healthy(tmp_path: Path, settings: dict[str, str]) -> None:
    """503 and why, when what was to be loaded at the start could not be."""
    graphs.put(tmp_path, "bad", b"no model")
    graphs.put(tmp_path, "good", graphs.scalar())
    with in_process(tmp_path, fast_lane=True, **settings) as client:
        assert "Model 'bad' could not be loaded" in check_problem(client.get("/ping"), 503, "model-not-ready")["error"]


def test_ping_waits_for_no_model(tmp_path: Path) -> None:
    """What is loaded at its first request does not keep the container from being healthy, and is not loaded for the ping."""
    graphs.put(tmp_path, "good", graphs.scalar())
    with in_process(tmp_path, fast_lane=True, PRELOAD_MODELS="none") as client:
        assert 200 == client.get("/ping").status_code
        assert [None] == [model["digest"] for model in client.get("/models").json()["models"]]


@pytest.mark.parametrize("fast_lane", [True, False])
def test_ping_is_answered_while_every_thread_is_busy(tmp_path: Path, *, fast_lane: bool) -> None:
    """SageMaker gives a ping two seconds, and a connection a quarter of one, also while predictions take all there is."""
    graphs.put(tmp_path, "slow", graphs.slow())
    with server(tmp_path, fast_lane=fast_lane, REQUEST_TIMEOUT_S="4") as client:
        url = str(client.base_url)
        busy = [threading.Thread(target=lambda: httpx.post(f"{url}/invocations", json={"inputs": 10**9}, timeout=30)) for _ in range(12)]
        for thread in busy:
            thread.start()
        time.sleep(1)
        taken = []
        for _ in range(5):
            started = time.monotonic()
            assert 200 == httpx.get(f"{url}/ping", timeout=2).status_code
            taken.append(time.monotonic() - started)
        for thread in busy:
            thread.join()

        assert max(taken) < 2


def test_execution_parameters(http: httpx.Client) -> None:
    """Transform jobs are told limits that SageMaker takes: together at most 100 MB under way, at least its usual 6 MB a request."""
    found = http.get("/execution-parameters").json()

    assert {"MaxConcurrentTransforms", "BatchStrategy", "MaxPayloadInMB"} == set(found)
    assert "MULTI_RECORD" == found["BatchStrategy"]
    assert 1 <= found["MaxConcurrentTransforms"] <= 16
    assert 6 <= found["MaxPayloadInMB"] <= 100 // found["MaxConcurrentTransforms"]


@pytest.mark.parametrize(("limit", "expected"), [(3_500_000, 3), (1000, 1)])
def test_execution_parameters_follow_the_limit(models: Path, limit: int, expected: int) -> None:
    """A body's own limit counts, in whole megabytes."""
    with in_process(models, fast_lane=True, MAX_BODY_BYTES=str(limit)) as client:
        assert expected == client.get("/execution-parameters").json()["MaxPayloadInMB"]


def test_bare_rows(http: httpx.Client) -> None:
    """A nested array is rows, and is answered by an array of predictions, as AWS's framework containers do it."""
    assert [1.5, 2.0] == invoke(http, "identity-float", [1.5, 2]).json()
    assert [[1, 0], [0, 4]] == invoke(
        http, "two-inputs", [{"input_ids": [1, 2], "attention_mask": [1, 0]}, {"input_ids": [3, 4], "attention_mask": [0, 1]}]
    ).json()
    (row,) = invoke(http, "iris", [SETOSA]).json()
    assert (0, 3) == (row["output_label"], len(row["output_probability"]))


@pytest.mark.parametrize("body", [{"inputs": {"X": [SETOSA]}}, {"instances": [SETOSA], "parameters": {"top_k": 1}, "id": "7"}])
def test_bodies_of_predict(http: httpx.Client, body: Any) -> None:
    """The bodies of /predict get the answers of /predict."""
    assert http.post("/models/iris/predict", json=body).json() == invoke(http, "iris", body).json()


def test_open_inference_in_json(http: httpx.Client) -> None:
    """An Open Inference request gets its response, as on Triton's front for SageMaker."""
    request = {"id": "1", "inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1.5, 2]}]}
    answer = invoke(http, "identity-float", request)

    assert "application/json" == answer.headers["content-type"]
    assert {
        "model_name": "identity-float",
        "model_version": "1",
        "id": "1",
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [2], "data": [1.5, 2.0]}],
    } == answer.json()


BINARY = "application/vnd.sagemaker-triton.binary+json;json-header-size="


def test_open_inference_in_binary(http: httpx.Client) -> None:
    """Triton's media type for SageMaker carries the length of the JSON before the raw tensors, both ways."""
    tensor = np.array([1.5, -2], "<f4").tobytes()
    header = orjson.dumps(
        {
            "id": "1",
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": 8}}],
            "parameters": {"binary_data_output": True},
        }
    )
    answer = invoke(http, "identity-float", header + tensor, content_type=f"{BINARY}{len(header)}", accept="*/*")
    media_type, _, size = answer.headers["content-type"].rpartition("=")

    assert BINARY == f"{media_type}="
    assert tensor == answer.content[int(size) :]
    assert [8] == [output["parameters"]["binary_data_size"] for output in orjson.loads(answer.content[: int(size)])["outputs"]]


@pytest.mark.parametrize("size", ["-1", "9999", "x", "99999999999999999999"])
def test_wrong_length_of_the_header(http: httpx.Client, size: str) -> None:
    """A length that the body does not have is refused."""
    answer = http.post("/invocations", content=b"{}", headers={"content-type": f"{BINARY}{size}", TARGET: "identity-float"})

    check_problem(answer, 400, "unreadable-request")


def test_csv(http: httpx.Client) -> None:
    """CSV without a header goes in, and comes out for those who accept it."""
    answer = invoke(http, "iris", b"5.1,3.5,1.4,0.2\n6.3,3.3,6.0,2.5\n", content_type="text/csv", accept="text/csv")
    rows = [line.split(",") for line in answer.text.strip().splitlines()]

    assert answer.headers["content-type"].startswith("text/csv")
    assert ["0", "2"] == [row[0] for row in rows[-2:]]


@pytest.mark.parametrize("accept", [None, "*/*", "application/json"])
def test_csv_is_answered_in_json_by_default(http: httpx.Client, accept: str | None) -> None:
    """Those who accept anything get JSON."""
    answer = invoke(http, "iris", b"5.1,3.5,1.4,0.2\n", content_type="text/csv", **({"accept": accept} if accept else {}))

    assert "application/json" == answer.headers["content-type"]
    assert 0 == answer.json()["predictions"][0]["output_label"]


def test_npy(http: httpx.Client) -> None:
    """NPY goes in and comes out."""
    import io

    buffer = io.BytesIO()
    np.save(buffer, np.array([1.5, -2], np.float32), allow_pickle=False)
    answer = invoke(http, "identity-float", buffer.getvalue(), content_type="application/x-npy", accept="application/x-npy")

    assert "application/x-npy" == answer.headers["content-type"]
    np.testing.assert_array_equal(np.array([1.5, -2], np.float32), np.load(io.BytesIO(answer.content), allow_pickle=False), strict=True)


def test_json_lines(http: httpx.Client) -> None:
    """A line for each row, as batch transform splits and joins them."""
    answer = invoke(http, "identity-float", b"1.5\n2\n", content_type="application/jsonlines", accept="application/jsonlines")

    assert "application/jsonlines" == answer.headers["content-type"]
    assert 2 == len(answer.text.strip().splitlines())


def test_types_that_are_not_known(http: httpx.Client) -> None:
    """415 and 406 name what is taken and what can be answered."""
    headers = {TARGET: "iris", ATTRIBUTES: "trace-1"}
    wrong = http.post("/invocations", content=b"x", headers={"content-type": "application/x-recordio-protobuf", **headers})
    unacceptable = http.post("/invocations", json=[SETOSA], headers={"accept": "image/gif", **headers})

    assert "text/csv" in check_problem(wrong, 415, "unsupported-content-type")["error"]
    assert "application/x-npy" in check_problem(unacceptable, 406, "not-acceptable")["error"]
    assert ["trace-1"] * 2 == [answer.headers[ATTRIBUTES] for answer in (wrong, unacceptable)]


@pytest.mark.parametrize("target", ["digits", "digits.tar.gz"])
def test_target_model(http: httpx.Client, target: str) -> None:
    """A multi-model endpoint's header chooses the model, by its name or by the name of its archive."""
    answer = http.post("/invocations", json=[[[0] * 8] * 8], headers={TARGET: target})

    assert (200, "digits") == (answer.status_code, answer.headers["x-model-name"])


@pytest.mark.parametrize("headers", [{}, {TARGET: ""}, {"X-Amzn-SageMaker-Target-Variant": "green"}])
def test_default_model(http: httpx.Client, headers: dict[str, str]) -> None:
    """Without a target the default model answers; variants are SageMaker's own affair."""
    answer = http.post("/invocations", json=[SETOSA], headers=headers)

    assert (200, "iris") == (answer.status_code, answer.headers["x-model-name"])


@pytest.mark.parametrize("target", ["nothing.tar.gz", "../iris", "iris/1", ".tar.gz.tar.gz", "x" * 300])
def test_unknown_target_model(http: httpx.Client, target: str) -> None:
    """A target that there is not is 404, with the models that there are."""
    answer = http.post("/invocations", json=[SETOSA], headers={TARGET: target, ATTRIBUTES: "trace-1"})

    assert "the models are" in check_problem(answer, 404, "unknown-model")["error"]
    assert "trace-1" == answer.headers[ATTRIBUTES]


@pytest.mark.parametrize(
    ("body", "status"), [(b"[[5.1, 3.5, 1.4, 0.2]]", 200), (b"[[1]]", 422), (b"{", 400), (b'{"inputs": [], "x": 1}', 422)]
)
def test_what_the_caller_sent_along_comes_back(http: httpx.Client, body: bytes, status: int) -> None:
    """Custom attributes and the inference id stand in every answer, errors too: SageMaker gives callers nothing else."""
    attributes = "trace=" + "x" * 500 + ' ~{"a": "b"}'
    headers = {"content-type": "application/json", ATTRIBUTES: attributes, INFERENCE_ID: "call-1"}
    answer = http.post("/invocations", content=body, headers=headers)

    assert status == answer.status_code
    assert (attributes, "call-1") == (answer.headers[ATTRIBUTES], answer.headers[INFERENCE_ID])


def test_nothing_is_made_up(http: httpx.Client) -> None:
    """A caller who sent nothing along gets nothing along."""
    assert [] == [name for name in http.post("/invocations", json=[SETOSA]).headers if "sagemaker" in name]


def test_longest_attributes(http: httpx.Client) -> None:
    """1,024 characters are taken."""
    answer = http.post("/invocations", json=[SETOSA], headers={ATTRIBUTES: "x" * 1024})

    assert (200, "x" * 1024) == (answer.status_code, answer.headers[ATTRIBUTES])


@pytest.mark.parametrize(
    ("name", "value"),
    [(ATTRIBUTES, b"x" * 1025), (ATTRIBUTES, "gr\u00fcn".encode("latin-1")), (ATTRIBUTES, b"a\tb"), (INFERENCE_ID, b"x" * 65)],
)
def test_attributes_that_sagemaker_does_not_pass_on(http: httpx.Client, name: str, value: bytes) -> None:
    """More than it takes, or other than visible US-ASCII, is refused by name."""
    answer = http.post("/invocations", json=[SETOSA], headers={name.encode(): value})

    assert "US-ASCII" in check_problem(answer, 400, "unreadable-request")["error"]
    assert name not in answer.headers


def test_methods(http: httpx.Client) -> None:
    """The paths of the contract take its methods alone."""
    check_problem(http.get("/invocations"), 405, "method-not-allowed")
    check_problem(http.post("/ping"), 405, "method-not-allowed")


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {"Content-Encoding": "gzip", "Content-Type": "application/json"}, 400),
        ("POST", {"Content-Encoding": "br", "Content-Type": "application/json"}, 415),
        ("GET", {}, 405),
    ],
)
def test_attributes_come_back_with_every_error(http: httpx.Client, method: str, headers: dict[str, str], status: int) -> None:
    """Also an error that comes before the endpoint carries the attributes and the id, which tell its caller what it was."""
    sent = {"X-Amzn-SageMaker-Custom-Attributes": "trace=1", "X-Amzn-SageMaker-Inference-Id": "id-1"}
    answer = http.request(method, "/invocations", content=b"x", headers=sent | headers)

    assert status == answer.status_code
    assert ["trace=1", "id-1"] == [answer.headers[name] for name in sent]
