"""The function beyond HTTP: direct invokes, pings, deadlines, limits, and what is done once."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from onnx import TensorProto as T

import handler as function
from app.errors import SettingError
from app.inference import loading
from app.triggers import router
from app.wiring import event_handler, wire
from handler import OrjsonMarshaller, ThroughMangum
from tests import graphs
from tests.lambda_events import v2
from tests.problems import check_problem
from tests.shells import ROOT, Context, emulator, in_process, server

ROW = [5.1, 3.5, 1.4, 0.2]


@pytest.fixture(scope="module")
def invoke(models: Path) -> Any:
    """The function in this process."""
    program = wire({"MODEL_DIR": str(models)})
    return event_handler(program, ThroughMangum(program))


def test_direct_invoke(invoke: Any) -> None:
    """A direct invoke answers the same object as the HTTP route."""
    answer = invoke({"model": "iris", "version": "1", "inputs": {"X": [ROW]}, "id": "a"}, Context())

    assert [0] == answer["outputs"]["output_label"]
    assert "a" == answer["id"]
    assert [0] == [row["output_label"] for row in invoke({"instances": [ROW]}, Context())["predictions"]]


@pytest.mark.parametrize(
    ("event", "code", "status", "retryable"),
    [
        ({"inputs": [[1, 2]]}, "wrong-shape", 422, False),
        ({"model": "ghost", "inputs": 1}, "unknown-model", 404, False),
        ({"model": "broken", "inputs": 1}, "model-not-ready", 503, True),
        ({"model": 7, "inputs": 1}, "invalid-request", 422, False),
        ({"inputs": 1, "instances": 1}, "invalid-request", 422, False),
        ({"inputs": [2**70]}, "invalid-request", 422, False),
    ],
)
def test_direct_invoke_failure(invoke: Any, event: dict[str, Any], code: str, status: int, retryable: bool) -> None:
    """A failed direct invoke returns an object to branch on: code, status, retryable; never errorMessage, which Lambda's tools misread."""
    answer = invoke(event, Context())

    assert (code, status, retryable) == (answer["code"], answer["status"], answer["retryable"])
    assert isinstance(answer["error"], str)
    assert "errorMessage" not in answer


@pytest.mark.parametrize(
    "event", [{"warmup": True}, {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}, "resources": []}]
)
def test_pings_are_cheap(models: Path, monkeypatch: pytest.MonkeyPatch, event: dict[str, Any]) -> None:
    """A ping or a schedule is answered without a prediction."""
    program = wire({"MODEL_DIR": str(models)})
    monkeypatch.setattr(program.predictor, "answer", lambda *_: pytest.fail("a prediction was made"))

    assert {"warm": True} == event_handler(program, ThroughMangum(program))(event, Context())


def test_models_and_wiring_are_made_once(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Handler, models and routes are made at start; 50 invocations of every kind make nothing anew."""
    counts = {"sessions": 0, "routers": 0}
    make_session, make_router = loading.Session.__init__, router.EventRouter.__init__

    def session(self: Any, *arguments: Any, **named: Any) -> None:
        counts["sessions"] += 1
        make_session(self, *arguments, **named)

    def event_router(self: Any, *arguments: Any) -> None:
        counts["routers"] += 1
        make_router(self, *arguments)

    monkeypatch.setattr(loading.Session, "__init__", session)
    monkeypatch.setattr(router.EventRouter, "__init__", event_router)
    program = wire({"MODEL_DIR": str(models), "PRELOAD_MODELS": "iris, digits"})
    answer = event_handler(program, ThroughMangum(program))
    assert {"sessions": 2, "routers": 1} == counts

    for _ in range(50):
        answer(v2("POST", "/predict", json.dumps({"inputs": [ROW]})), Context())
        answer(v2("GET", "/models/digits"), Context())
        answer({"inputs": [ROW]}, Context())
        answer({"warmup": True}, Context())

    assert {"sessions": 2, "routers": 1} == counts


@pytest.mark.parametrize("lane", ["on", "off"])
def test_deadline(models: Path, lane: str) -> None:
    """A run that would outlive the invocation is ended at least 200 ms before Lambda's deadline and answered 504; the next run is right."""
    program = wire({"MODEL_DIR": str(models), "HTTP_FAST_LANE": lane})
    answer = event_handler(program, ThroughMangum(program))
    answer(v2("POST", "/models/slow/predict", '{"inputs": {"times": 1}}'), Context())

    context = Context(remaining_ms=1500)
    found = answer(v2("POST", "/models/slow/predict", '{"inputs": {"times": 1000000000}}'), context)

    assert 504 == found["statusCode"], found
    assert "deadline-exceeded" == json.loads(found["body"])["code"]
    assert context.get_remaining_time_in_millis() >= 200
    again = answer(v2("POST", "/models/slow/predict", '{"inputs": {"times": 2}}'), Context())
    assert 200 == again["statusCode"], again


def test_direct_invoke_deadline(invoke: Any) -> None:
    """A direct invoke that runs out of time gets the error object, retryable, in time."""
    context = Context(remaining_ms=1200)
    answer = invoke({"model": "slow", "inputs": {"times": 1_000_000_000}}, context)

    assert ("deadline-exceeded", True) == (answer["code"], answer["retryable"])
    assert context.get_remaining_time_in_millis() >= 200


def test_no_time_left(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With less time left than the margin nothing is run."""
    program = wire({"MODEL_DIR": str(models)})
    session = program.repository.get("slow").session
    monkeypatch.setattr(session, "_ort", SimpleNamespace(run=lambda *_: pytest.fail("the model was run")))
    answer = event_handler(program, ThroughMangum(program))({"model": "slow", "inputs": {"times": 1}}, Context(remaining_ms=100))

    assert "deadline-exceeded" == answer["code"]


@pytest.mark.parametrize("fast_lane", [True, False])
def test_serve_ends_runs_too(fast_lane: bool, models: Path) -> None:
    """Under `serve` the limit is REQUEST_TIMEOUT_S, and the server answers others meanwhile."""
    with server(models, fast_lane=fast_lane, REQUEST_TIMEOUT_S="2") as client:
        started = time.monotonic()
        answers: list[httpx.Response] = []
        thread = threading.Thread(target=lambda: answers.append(client.post("/models/slow/predict", json={"inputs": {"times": 10**9}})))
        thread.start()
        while thread.is_alive():
            assert 200 == client.get("/health/live", timeout=1.5).status_code
            time.sleep(0.1)
        check_problem(answers[0], 504, "deadline-exceeded")
        assert time.monotonic() - started < 30


@pytest.mark.parametrize("fast_lane", [True, False])
def test_body_limit(models: Path, fast_lane: bool) -> None:
    """A body at the limit is taken; one byte more is a 413 with the limit and the size, before it is parsed."""
    body = json.dumps({"inputs": [ROW], "id": ""}).encode()
    with in_process(models, fast_lane=fast_lane, MAX_BODY_BYTES=str(len(body))) as client:
        headers = {"Content-Type": "application/json"}
        assert 200 == client.post("/predict", content=body, headers=headers).status_code
        problem = check_problem(client.post("/predict", content=body + b" ", headers=headers), 413, "body-too-large")
        check_problem(client.post("/predict", content=b"{" * (len(body) + 1), headers=headers), 413, "body-too-large")

    assert str(len(body)) in problem["detail"]
    assert str(len(body) + 1) in problem["detail"]


@pytest.mark.parametrize("fast_lane", [True, False])
def test_body_limit_of_the_server(models: Path, fast_lane: bool) -> None:
    """Under `serve` a body over the limit is refused by its announced length, and a chunked one while it is read; the next request is answered."""
    with server(models, fast_lane=fast_lane, MAX_BODY_BYTES="1000") as client:
        headers = {"Content-Type": "application/json"}
        check_problem(client.post("/predict", content=b" " * 1001, headers=headers), 413, "body-too-large")
        check_problem(client.post("/predict", content=(b" " * 600 for _ in range(2)), headers=headers), 413, "body-too-large")
        assert 200 == client.post("/predict", json={"inputs": [ROW]}).status_code


@pytest.mark.parametrize("fast_lane", [True, False])
def test_cold_start_is_told_once(models: Path, fast_lane: bool) -> None:
    """The first answer of a process says what its start cost, by part; the next ones do not."""
    with in_process(models, fast_lane=fast_lane) as client:
        cold, warm = (client.post("/predict", json={"inputs": [ROW]}).headers["server-timing"] for _ in range(2))

    parts = {"import", "load", "warm-up"}
    assert parts <= {entry.partition(";")[0] for entry in cold.split(", ")}
    assert not parts & {entry.partition(";")[0] for entry in warm.split(", ")}


@pytest.mark.parametrize("fast_lane", [True, False])
def test_result_limit(models: Path, fast_lane: bool) -> None:
    """A result over the limit is a 413 that names the largest output, and is refused before it is written out if that can be known."""
    with in_process(models, fast_lane=fast_lane, MAX_RESULT_BYTES="2000") as client:
        assert 200 == client.post("/models/expand/predict", json={"inputs": [300]}).status_code
        for size in (700, 2_000_000):
            problem = check_problem(client.post("/models/expand/predict", json={"inputs": [size]}), 413, "result-too-large")
            assert "'many'" in problem["detail"]
            assert "2000" in problem["detail"]


def test_result_that_lambda_cannot_carry(models: Path) -> None:
    """An answer that Lambda's own 6 MB envelope would not take is a 413 of ours, not a failed invocation."""
    with in_process(models, fast_lane=True) as client:
        plain = client.post("/models/expand/predict", json={"inputs": [2_000_000]}, headers={"Accept-Encoding": "identity"})
        packed = client.post("/models/expand/predict", json={"inputs": [2_000_000]}, headers={"Accept-Encoding": "gzip"})

    problem = check_problem(plain, 413, "result-too-large")
    assert "6291556" in problem["detail"]
    assert "'many'" in problem["detail"]
    assert "Accept-Encoding: gzip" in problem["detail"]
    assert 2_000_000 == len(packed.json()["outputs"]["many"])


def test_allocation_that_fails(invoke: Any) -> None:
    """An answer that memory cannot hold is an error of the run, and the environment goes on."""
    answer = invoke({"model": "expand", "inputs": [2**46]}, Context())

    assert answer["status"] in {422, 500}, answer
    assert [1.0, 1.0] == invoke({"model": "expand", "inputs": [2]}, Context())["outputs"]["many"]


def test_marshaller_reads_and_writes_as_awslambdarics_does() -> None:
    """The orjson marshaller gives what awslambdaric's gives, for what Lambda sends and gets."""
    from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller

    theirs, ours = LambdaMarshaller(), OrjsonMarshaller()
    event = b'{"a": [1, 2.5, null, true, "\\u00e9\\ud83d\\ude00"], "b": {}}'
    assert theirs.unmarshal_request(event) == ours.unmarshal_request(event)
    answer = {"statusCode": 200, "body": 'é"\\\n', "isBase64Encoded": False}
    text, kind = ours.marshal_response(answer)
    assert "application/json" == kind
    assert json.loads(theirs.marshal_response(answer)[0]) == json.loads(text)
    assert b"raw" == ours.unmarshal_request(b"raw", "text/plain")


def test_unknown_event_fails_the_invocation_in_the_runtime(models: Path) -> None:
    """In the real runtime an unknown event is a failed invocation that names its error."""
    with emulator(models) as invoke_runtime:
        answer = invoke_runtime({"Records": [{"eventSource": "aws:unknown"}]})

    assert "UnknownEvent" == answer["errorType"]
    assert "events/" in answer["errorMessage"]


def test_direct_invoke_in_the_runtime(models: Path) -> None:
    """In the real runtime a direct invoke answers the result as JSON."""
    with emulator(models) as invoke_runtime:
        assert [0] == invoke_runtime({"inputs": [ROW]})["outputs"]["output_label"]
        assert "wrong-shape" == invoke_runtime({"inputs": [[1]]})["code"]
        assert {"warm": True} == invoke_runtime({"warmup": True})


def test_wrong_setting_fails_the_start_with_its_name(models: Path) -> None:
    """In the real runtime a wrong setting is an init error that names it."""
    with emulator(models, MAX_BODY_BYTES="lots") as invoke_runtime:
        answer = str(invoke_runtime({"warmup": True}))

    assert "MAX_BODY_BYTES" in answer
    assert "whole number" in answer


def test_the_function_is_made_at_module_scope() -> None:
    """`handler.handler` answers with what was loaded when the module was imported."""
    assert function.program.repository.entry("iris").loaded is not None
    assert [0] == function.handler({"inputs": [ROW]}, Context())["outputs"]["output_label"]


def test_unknown_default_model_fails_the_start(models: Path) -> None:
    """A default model that does not exist stops the start."""
    with pytest.raises(SettingError, match="DEFAULT_MODEL is 'ghost'"):
        wire({"MODEL_DIR": str(models), "DEFAULT_MODEL": "ghost"})


def test_a_ranking_too_large_is_refused_before_it_is_made(models: Path) -> None:
    """With top_k too, an answer over the limit is refused before it takes memory."""
    with in_process(models, fast_lane=True, MAX_RESULT_BYTES="2000") as client:
        body = {"inputs": [[0.5, 0.5]] * 500, "parameters": {"top_k": 2}}
        problem = check_problem(client.post("/models/zipmap-strings/predict", json=body), 413, "result-too-large")

    assert "at least 2004" in problem["detail"]


def test_a_slow_value_on_a_quick_path_does_not_hold_up_the_server(models: Path) -> None:
    """A path that was quick a hundred times and then gets a value that takes seconds does not keep health checks waiting."""
    with server(models, fast_lane=True, REQUEST_TIMEOUT_S="4") as client:
        for _ in range(100):
            assert 200 == client.post("/models/slow/predict", json={"inputs": {"times": 1}}).status_code
        slow = threading.Thread(target=lambda: client.post("/models/slow/predict", json={"inputs": {"times": 10**9}}))
        slow.start()
        while slow.is_alive():
            assert 200 == client.get("/health/live", timeout=1.5).status_code
            time.sleep(0.05)


@pytest.mark.parametrize("fast_lane", [True, False])
def test_a_body_that_never_ends_is_ended(models: Path, fast_lane: bool) -> None:
    """A client that announces a body and does not send it gets a 408 after REQUEST_TIMEOUT_S."""
    with server(models, fast_lane=fast_lane, REQUEST_TIMEOUT_S="1") as client:
        with socket.create_connection((client.base_url.host, client.base_url.port or 80), 10) as connection:
            connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
            answer = connection.recv(10_000)
        assert answer.startswith(b"HTTP/1.1 408")
        assert 200 == client.post("/predict", json={"inputs": [ROW]}).status_code


@pytest.mark.parametrize("fast_lane", [True, False])
def test_head_has_the_headers_of_get(models: Path, fast_lane: bool) -> None:
    """HEAD answers the length that GET would have, and no body."""
    with server(models, fast_lane=fast_lane) as client:
        for path in ("/models", "/docs", "/openapi.json"):
            got = client.get(path)
            head = client.head(path)
            assert (200, b"", got.headers["content-length"]) == (head.status_code, head.content, head.headers["content-length"])


ONCE = """
import json, sys
counts = {"sessions": 0, "routers": 0, "programs": 0, "apps": 0}

def counted(owner, name, key):
    original = getattr(owner, name)
    def wrapper(*arguments, **named):
        counts[key] += 1
        return original(*arguments, **named)
    setattr(owner, name, wrapper)

import app.inference.session, app.triggers.router, app.wiring, app.http.fastapi_app
counted(app.inference.session.Session, "__init__", "sessions")
counted(app.triggers.router.EventRouter, "__init__", "routers")
counted(app.wiring, "wire", "programs")
counted(app.http.fastapi_app, "create", "apps")
import handler
from tests.lambda_events import v2
body = json.dumps({"inputs": [[5.1, 3.5, 1.4, 0.2]]})
for _ in range(50):
    for event in (v2("POST", "/predict", body), v2("GET", "/docs"), v2("GET", "/nowhere"), {"inputs": [[5.1, 3.5, 1.4, 0.2]]}, {"warmup": True}):
        handler.handler(event, None)
print(json.dumps(counts))
"""


def test_the_function_is_wired_once_however_often_it_is_invoked(models: Path) -> None:
    """`handler.handler`, invoked 250 times with every kind of event, wires once, loads once, makes its router and FastAPI app once."""
    environment = {"PATH": os.environ["PATH"], "MODEL_DIR": str(models)}
    ended = subprocess.run([sys.executable, "-c", ONCE], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True)

    assert {"sessions": 1, "routers": 1, "programs": 1, "apps": 1} == json.loads(ended.stdout.splitlines()[-1])


@pytest.mark.parametrize("fast_lane", [True, False])
def test_base_path_under_serve(models: Path, fast_lane: bool) -> None:
    """BASE_PATH is taken off under `serve` as it is on Lambda, and the paths below it are answered."""
    with server(models, fast_lane=fast_lane, BASE_PATH="/ml") as client:
        assert 200 == client.post("/ml/predict", json={"inputs": [ROW]}).status_code
        assert 200 == client.get("/ml/docs").status_code
        assert 200 == client.get("/ml").status_code


@pytest.mark.parametrize("fast_lane", [True, False])
def test_repeated_headers_are_joined(models: Path, fast_lane: bool) -> None:
    """A header that comes twice counts twice, in any order."""
    with server(models, fast_lane=fast_lane) as client:
        for accept in (["application/json", "text/csv"], ["text/csv", "application/json"]):
            answer = client.post("/predict", json={"inputs": [ROW]}, headers=[("Accept", kind) for kind in accept])
            assert 200 == answer.status_code


def test_readiness_looks_at_what_was_loaded_at_start(tmp_path: Path) -> None:
    """Without a default model, a broken model that somebody asked for later does not make the whole instance unready."""
    graphs.put(tmp_path, "good", graphs.identity(T.FLOAT))
    graphs.put(tmp_path, "other", graphs.identity(T.FLOAT))
    graphs.put(tmp_path, "broken", b"no model")
    with in_process(tmp_path, fast_lane=True, PRELOAD_MODELS="good") as client:
        check_problem(client.post("/models/broken/predict", json={"inputs": [1]}), 503, "model-not-ready")
        assert 200 == client.get("/health/ready").status_code
    with in_process(tmp_path, fast_lane=True, PRELOAD_MODELS="good,broken") as client:
        ready = client.get("/health/ready")
        assert (503, "30") == (ready.status_code, ready.headers["retry-after"])
