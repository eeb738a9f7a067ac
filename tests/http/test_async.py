"""``Prefer: respond-async``: any prediction, answered later as it would have been answered at once."""

import re
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from PIL import Image

from tests.http.jobs_by_hand import LATER, SETOSA, ByHand
from tests.problems import check_problem
from tests.shells import in_process, server

ROWS = {"inputs": {"X": [SETOSA]}}
SLOW = "/models/slow/predict"
# Header fields that tell of the exchange and not of the answer.
OF_THE_EXCHANGE = {"date", "x-request-id", "server-timing", "content-location", "preference-applied"}


def ended(http: httpx.Client, location: str) -> dict[str, Any]:
    """The job, once it has ended."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        job: dict[str, Any] = http.get(location).json()
        if job["status"] not in {"queued", "running"}:
            return job
        time.sleep(0.01)
    raise AssertionError(job)


def tensor(name: str, value: np.ndarray, datatype: str) -> dict[str, Any]:
    return {"name": name, "shape": list(value.shape), "datatype": datatype, "data": value.ravel().tolist()}


def npy(value: np.ndarray) -> bytes:
    import io

    file = io.BytesIO()
    np.save(file, value)
    return file.getvalue()


def png() -> bytes:
    import io

    file = io.BytesIO()
    Image.new("L", (28, 28), 200).save(file, "PNG")
    return file.getvalue()


ROW = np.array([SETOSA], np.float32)
_IN_BINARY = orjson.dumps(
    {
        "inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "parameters": {"binary_data_size": 16}}],
        "parameters": {"binary_data_output": True},
    }
)
SIZED = {"content-type": "application/octet-stream", "inference-header-content-length": str(len(_IN_BINARY))}
TRITON_BINARY = f"application/vnd.sagemaker-triton.binary+json;json-header-size={len(_IN_BINARY)}"
ATTRIBUTES = {"x-amzn-sagemaker-custom-attributes": "trace=7", "x-amzn-sagemaker-inference-id": "i-1"}
OPEN = {"id": "7", "inputs": [tensor("X", ROW, "FP32")]}
OPEN_WITHOUT_ID = {"inputs": [tensor("X", ROW, "FP32")]}
JSON = {"content-type": "application/json"}
# name → path, body, header fields
ASKED: dict[str, tuple[str, bytes, dict[str, str]]] = {
    "json": ("/predict", orjson.dumps(ROWS), JSON),
    "no-content-type": ("/predict", orjson.dumps({"instances": [SETOSA]}), {}),
    "model": ("/models/iris/predict", orjson.dumps({**ROWS, "id": "grün"}), JSON),
    "version": ("/models/iris/versions/1/predict", orjson.dumps({"instances": [SETOSA], "parameters": {"top_k": 2}}), JSON),
    "query": ("/predict?outputs=output_label", orjson.dumps(ROWS), JSON),
    "csv": ("/predict", b"5.1,3.5,1.4,0.2\n", {"content-type": "text/csv", "accept": "text/csv;header=present"}),
    "npy": ("/models/identity-float/predict", npy(np.arange(3, dtype=np.float32)), {"content-type": "application/x-npy"}),
    "npy-answer": ("/predict?outputs=output_label", orjson.dumps(ROWS), JSON | {"accept": "application/x-npy"}),
    "json-lines": ("/predict", b"[5.1,3.5,1.4,0.2]\n[1,2,3,4]\n", {"content-type": "application/jsonl", "accept": "application/jsonl"}),
    "image": ("/models/digits/predict", png(), {"content-type": "image/png"}),
    "strings": ("/models/text/predict", orjson.dumps({"inputs": [["grüße", ""]]}), JSON),
    "nan": ("/models/logarithm/predict", orjson.dumps({"inputs": [0, -1, 1]}), JSON),
    "open-inference": ("/v2/models/iris/infer", orjson.dumps(OPEN), JSON),
    "open-inference-version": ("/v2/models/versioned/versions/2/infer", orjson.dumps({"inputs": [tensor("x", ROW[0], "FP32")]}), JSON),
    "binary-tensors": ("/v2/models/iris/infer", _IN_BINARY + ROW.tobytes(), SIZED),
    "tensorflow-serving": ("/v1/models/iris:predict", orjson.dumps({"instances": [SETOSA]}), JSON),
    "tensorflow-serving-version": ("/v1/models/iris/versions/1:predict", orjson.dumps({"inputs": [SETOSA]}), JSON),
    "tensorflow-serving-label": ("/v1/models/versioned/labels/stable:predict", orjson.dumps({"instances": [1.5]}), JSON),
    "embeddings": ("/v1/embeddings", orjson.dumps({"model": "text-embedding", "input": ["hello", "cat"]}), JSON),
    "sagemaker": ("/invocations", orjson.dumps([SETOSA]), JSON | ATTRIBUTES),
    "sagemaker-target": ("/invocations", orjson.dumps([1.5]), JSON | {"x-amzn-sagemaker-target-model": "identity-float.tar.gz"}),
    "sagemaker-csv": ("/invocations", b"5.1,3.5,1.4,0.2\n", {"content-type": "text/csv"} | ATTRIBUTES),
    "sagemaker-binary": ("/invocations", _IN_BINARY + ROW.tobytes(), {"content-type": TRITON_BINARY} | ATTRIBUTES),
    # what only the run refuses
    "refused": ("/models/pick/predict", orjson.dumps({"inputs": [99]}), JSON),
    "refused-as-problem": (
        "/models/pick/predict",
        orjson.dumps({"inputs": [99]}),
        JSON | {"accept": "application/json, application/problem+json"},
    ),
    "refused-sagemaker": ("/invocations", orjson.dumps([99]), JSON | {"x-amzn-sagemaker-target-model": "pick"} | ATTRIBUTES),
    "not-finite": ("/models/nan-error/predict", orjson.dumps({"inputs": [0]}), JSON),
    "not-finite-open-inference": ("/v2/models/nan-error/infer", orjson.dumps({"inputs": [tensor("x", np.zeros(1), "FP32")]}), JSON),
}


def comparable(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    """Status, bytes and header fields, without what is of one exchange: its time and its ids."""
    headers = {name: value for name, value in answer.headers.items() if name not in OF_THE_EXCHANGE | {"content-length"}}
    return answer.status_code, re.sub(rb'"(request_)?id":"[0-9a-zA-Z-]{15,}"', b'"id":""', answer.content), headers


def submitted(http: httpx.Client, kind: str) -> httpx.Response:
    path, body, headers = ASKED[kind]
    answer = http.post(path, content=body, headers=headers | LATER)
    assert 202 == answer.status_code, answer.text
    return answer


@pytest.mark.parametrize("kind", ASKED)
def test_the_result_is_the_synchronous_answer(jobs_http: httpx.Client, kind: str) -> None:
    """The result has the status, the bytes, the content type and the header fields of the same call without Prefer."""
    path, body, headers = ASKED[kind]
    expected = jobs_http.post(path, content=body, headers=headers)
    location = submitted(jobs_http, kind).headers["location"]
    job = ended(jobs_http, location)

    assert ("succeeded" if expected.status_code == 200 else "failed") == job["status"]
    assert comparable(expected) == comparable(jobs_http.get(f"{location}/result"))


@pytest.mark.parametrize("kind", ["json", "binary-tensors", "sagemaker", "refused"])
def test_who_waits_gets_the_answer(jobs_http: httpx.Client, kind: str) -> None:
    """With wait the answer itself comes, as without Prefer, and says where the job is."""
    path, body, headers = ASKED[kind]
    waited = jobs_http.post(path, content=body, headers=headers | {"prefer": "respond-async, wait=30"})

    assert comparable(jobs_http.post(path, content=body, headers=headers)) == comparable(waited)
    assert re.fullmatch("respond-async, wait=(2[0-9]|30)", waited.headers["preference-applied"])
    assert jobs_http.get(waited.headers["content-location"]).json()["status"] in {"succeeded", "failed"}


def test_202(jobs_http: httpx.Client) -> None:
    """A 202 has the address of the job, when to look again, what was preferred, and the job itself."""
    answer = jobs_http.post("/predict", json={"inputs": [SETOSA, SETOSA]}, headers=LATER)
    job = answer.json()
    own = f"/jobs/{job['id']}"

    assert (202, "application/json") == (answer.status_code, answer.headers["content-type"])
    assert (own, "1", "respond-async") == tuple(answer.headers[name] for name in ("location", "retry-after", "preference-applied"))
    assert ("no-store", "iris", "1") == tuple(answer.headers[name] for name in ("cache-control", "x-model-name", "x-model-version"))
    assert re.fullmatch("[0-9a-f]{32}", job["id"])
    assert ("queued", "iris", "1", 0, None) == tuple(job[name] for name in ("status", "model", "version", "attempts", "finished"))
    assert ({"self": own, "result": f"{own}/result"}, {"rows": 2, "done": 0}) == (job["links"], job["progress"])
    created, expires = (datetime.fromisoformat(job[name]) for name in ("created", "expires"))
    assert 86_400 == (expires - created).total_seconds()

    done = ended(jobs_http, own)
    assert ("succeeded", 1, {"rows": 2, "done": 2}) == (done["status"], done["attempts"], done["progress"])
    assert done["finished"] >= done["created"] == job["created"]
    assert "retry-after" not in jobs_http.get(own).headers


def test_a_wait_that_ends_first(jobs_http: httpx.Client) -> None:
    """A job that does not end while its caller waits is answered 202."""
    answer = jobs_http.post(SLOW, json={"inputs": 10**9}, headers={"prefer": "respond-async, wait=1"})
    location = answer.headers["location"]

    assert (202, "respond-async, wait=1") == (answer.status_code, answer.headers["preference-applied"])
    assert answer.json()["status"] in {"queued", "running"}
    assert 200 == jobs_http.delete(location).status_code


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/predict", b"{", {}),
        ("/predict", b'{"inputs": [[1, 2]]}', {}),
        ("/predict", b'{"inputs": [["a", 2, 3, 4]]}', {}),
        ("/models/ghost/predict", b'{"inputs": [1]}', {}),
        ("/models/iris/versions/9/predict", b'{"inputs": [[1, 2, 3, 4]]}', {}),
        ("/models/broken/predict", b'{"inputs": [1]}', {}),
        ("/predict", b"1,2,3\n", {"content-type": "text/csv"}),
        ("/predict", b"<a/>", {"content-type": "text/xml"}),
        ("/predict", b'{"inputs": [[1, 2, 3, 4]]}', {"accept": "image/png"}),
        ("/predict?outputs=ghost", b'{"inputs": [[1, 2, 3, 4]]}', {}),
        ("/v2/models/iris/infer", b'{"inputs": []}', {}),
        ("/v1/models/iris:predict", b'{"instances": []}', {}),
        ("/v1/embeddings", b'{"model": "ghost", "input": "a"}', {}),
        ("/v1/embeddings", b'{"model": "text-embedding", "input": 7}', {}),
        ("/invocations", b"[[1]]", ATTRIBUTES),
        ("/invocations", b"[[1]]", {"x-amzn-sagemaker-custom-attributes": "é"}),
    ],
)
def test_a_bad_request_is_refused_at_once(by_hand: ByHand, path: str, body: bytes, headers: dict[str, str]) -> None:
    """What the synchronous call refuses before it runs is refused at submit by the same answer, and nothing of it is kept."""
    headers = {"x-request-id": "one", **headers}
    fields = {name.replace("-", "_"): value for name, value in headers.items()}
    expected = by_hand.ask("POST", path, body, **fields)
    found = by_hand.ask("POST", path, body, **fields, **LATER)
    keyed = by_hand.ask("POST", path, body, **fields, **LATER, idempotency_key="k")
    timeless = [{name: value for name, value in one.headers.items() if name != "Server-Timing"} for one in (expected, found, keyed)]

    assert expected.status >= 400
    assert (expected.status, expected.body, expected.content_type) == (found.status, found.body, found.content_type)
    assert (expected.status, expected.body) == (keyed.status, keyed.body)
    assert timeless[0] == timeless[1] == timeless[2]
    assert (0, []) == by_hand.kept()


def test_a_body_that_is_too_large_is_too_large_for_a_job(models: Path, tmp_path: Path) -> None:
    """The limit of a request's body is that of a job's too; what is larger is uploaded."""
    with ByHand.of(models, tmp_path, MAX_BODY_BYTES="100") as by_hand:
        for path in ("/predict", "/v1/embeddings", "/invocations"):
            answer = by_hand.ask("POST", path, {"inputs": [SETOSA] * 20}, **LATER)

            assert (413, (0, [])) == (answer.status, by_hand.kept())


@pytest.mark.parametrize("kind", ASKED)
def test_nothing_is_answered_later_that_does_not_ask_for_it(jobs_http: httpx.Client, kind: str) -> None:
    """Without respond-async no prediction is answered 202, whatever else is preferred."""
    path, body, headers = ASKED[kind]
    for prefer in ({}, {"prefer": "wait=5"}, {"prefer": "return=minimal"}):
        answer = jobs_http.post(path, content=body, headers=headers | prefer)

        assert answer.status_code != 202
        assert "preference-applied" not in answer.headers


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("respond-async", "respond-async"),
        ("Respond-ASYNC", "respond-async"),
        ("return=minimal,respond-async", "respond-async"),
        ('handling=lenient; x=1 , respond-async;a;b="c,d"', "respond-async"),
        ('respond-async=""', "respond-async"),
        ("respond-async, wait=0", "respond-async, wait=0"),
        ('respond-async, WAIT="0"', "respond-async, wait=0"),
        ("wait=0, respond-async, wait=50", "respond-async, wait=0"),
        ("respond-async, wait = 0", "respond-async, wait=0"),
        ("respond-async, wait=-1", "respond-async"),
        ("respond-async, wait=1.5", "respond-async"),
        ("respond-async, wait=²", "respond-async"),
        ("respond-async, wait", "respond-async"),
        ("", None),
        (",,;=,", None),
        ("wait=0", None),
        ("respond-sync", None),
        ("respond-async=no", None),
        ('x="a, respond-async"', None),
        ('x="a\\", respond-async"', None),
        ('x="respond-async', None),
        ("x;respond-async", None),
    ],
)
def test_prefer(by_hand: ByHand, prefer: str, applied: str | None) -> None:
    """Preferences are read as RFC 7240 writes them: lists, parameters, quotes, any case, the first of each; others are passed over."""
    answer = by_hand.ask("POST", "/predict", ROWS, prefer=prefer)

    assert (200 if applied is None else 202, applied) == (answer.status, answer.headers.get("Preference-Applied"))


def test_a_long_wait_is_cut(by_hand: ByHand) -> None:
    """A wait is at most as long as a call may be; the 202 says how long it was."""
    job_id = by_hand.submit(idempotency_key="k")
    by_hand.work(job_id)
    for wait in ("86400", "9" * 11, "9" * 5000):
        answer = by_hand.ask("POST", "/predict", {"inputs": [SETOSA]}, prefer=f"respond-async, wait={wait}", idempotency_key="k")

        assert (200, "respond-async, wait=60") == (answer.status, answer.headers["Preference-Applied"])


def test_prefer_in_several_fields(jobs_http: httpx.Client) -> None:
    """Preferences may stand in several header fields."""
    answer = jobs_http.post(
        "/predict", json=ROWS, headers=[("prefer", "return=minimal"), ("prefer", "respond-async"), ("prefer", "wait=0")]
    )

    assert (202, "respond-async, wait=0") == (answer.status_code, answer.headers["preference-applied"])


def test_waiting_callers_keep_nobody_from_predicting(tmp_path: Path, models: Path) -> None:
    """While more callers wait for jobs than there are threads for predictions, predictions are answered."""
    import threading

    with server(models, fast_lane=True, JOBS_DIR=str(tmp_path), REQUEST_TIMEOUT_S="8") as client:
        url = str(client.base_url)
        first = client.post(SLOW, json={"inputs": 10**9}, headers=LATER)
        late = threading.Event()

        def wait() -> None:
            answer = httpx.post(f"{url}/predict", json=ROWS, headers={"prefer": "respond-async, wait=6"}, timeout=60)
            assert answer.status_code in {200, 202}
            late.set()

        waiting = [threading.Thread(target=wait) for _ in range(20)]
        for thread in waiting:
            thread.start()
        until = time.monotonic() + 5
        while client.get("/jobs?limit=100").json()["jobs"][19:] == [] and time.monotonic() < until:
            time.sleep(0.02)

        # A CSV goes to a thread, whatever its size.
        assert 200 == client.post("/predict", content=b"1,2,3,4\n", headers={"content-type": "text/csv"}).status_code
        assert not late.is_set()
        client.delete(first.headers["location"])
        for thread in waiting:
            thread.join()


@pytest.mark.parametrize("fast_lane", [True, False])
def test_jobs_off(models: Path, *, fast_lane: bool) -> None:
    """With JOBS=off Prefer and Idempotency-Key are passed over; webhooks, jobs, uploads and references are refused and say why."""
    with in_process(models, fast_lane=fast_lane, JOBS="off") as client:
        answer = client.post("/predict", json=ROWS, headers=LATER | {"idempotency-key": "k"})
        assert 200 == answer.status_code
        assert "preference-applied" not in answer.headers
        reference = {"content-type": "application/vnd.onnx-lambda.reference+json"}
        for method, path, headers in (
            ("GET", "/jobs", {}),
            ("GET", f"/jobs/{'0' * 32}", {}),
            ("GET", f"/jobs/{'0' * 32}/result", {}),
            ("GET", f"/jobs/{'0' * 32}/deliveries", {}),
            ("DELETE", f"/jobs/{'0' * 32}", {}),
            ("POST", "/uploads", {}),
            ("PUT", "/uploads/x", {}),
            ("GET", "/downloads/x", {}),
            ("POST", "/predict", reference),
            ("POST", "/predict", LATER | {"webhook-url": "https://hooks.test"}),
        ):
            assert "JOBS" in check_problem(client.request(method, path, headers=headers), 403, "not-offered")["detail"]
