"""What is written about a request: enough to operate by, and nothing of its payload."""

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.wiring import event_handler, wire
from handler import ThroughMangum
from tests.lambda_events import v2
from tests.shells import Context

ON_LAMBDA = {"AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769"}
_numbers = itertools.count()
BODY = json.dumps({"inputs": [[5.1, 3.5, 1.4, 0.2]]})


def fresh() -> dict[str, str]:
    """A service name of its own: Powertools keeps one logger, with the stream of its time, for each name."""
    return {"SERVICE_NAME": f"service-{next(_numbers)}"}


def lines(models: Path, capsys: pytest.CaptureFixture[str], *events: Any, **settings: str) -> list[dict[str, Any]]:
    """What the function writes for these events."""
    program = wire({"MODEL_DIR": str(models), **fresh(), **settings})
    answer = event_handler(program, ThroughMangum(program))
    capsys.readouterr()
    for event in events:
        answer(event, Context())
    written = capsys.readouterr()
    return [json.loads(line) for line in (written.out + written.err).splitlines()]


@pytest.mark.parametrize("lane", ["on", "off"])
def test_one_line_and_one_metric_document_a_request(models: Path, capsys: pytest.CaptureFixture[str], lane: str) -> None:
    """On Lambda each prediction writes one log line and one EMF document, whichever lane answers."""
    event = v2("POST", "/predict", BODY)
    event["headers"]["x-request-id"] = "mine-7"
    found = lines(models, capsys, event, event, HTTP_FAST_LANE=lane, **ON_LAMBDA)
    logs, metrics = [line for line in found if "_aws" not in line], [line for line in found if "_aws" in line]

    assert (2, 2) == (len(logs), len(metrics))
    log = logs[1]
    assert {
        "level": "INFO",
        "request_id": "gateway-1",
        "correlation_id": "mine-7",
        "function_request_id": Context.aws_request_id,
        "model": "iris",
        "version": "1",
        "dialect": "predict",
        "batch_size": 1,
        "status": 200,
        "cold_start": False,
        "inputs": [{"name": "X", "dtype": "float32", "shape": [1, 4]}],
    }.items() <= log.items()
    assert log["digest"].startswith("sha256:")
    assert {"decode", "run", "encode"} == set(log["timings_ms"])
    assert {"output_label", "output_probability", "output_probability_labels"} == {entry["name"] for entry in log["outputs"]}
    assert [True, False] == [entry["cold_start"] for entry in logs]


def test_metrics(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Metrics count predictions, rows, latency by phase, the parts of a cold start (once), and errors by code."""
    bad = json.dumps({"inputs": [[1]]})
    batch = json.dumps({"inputs": [[5.1, 3.5, 1.4, 0.2]] * 3})
    found = lines(models, capsys, v2("POST", "/predict", batch), v2("POST", "/predict", bad), v2("GET", "/models"), **ON_LAMBDA)
    cold, error = [line for line in found if "_aws" in line]
    assert "iris" == cold["model"]

    assert ([3.0], [3.0], ["iris"]) == (cold["Predictions"], cold["BatchSize"], [cold["model"]])
    for name in ("Latency", "DecodeLatency", "RunLatency", "EncodeLatency", "ColdStartImport", "ColdStartLoad", "ColdStartWarmUp"):
        assert cold[name][0] > 0, name
    assert [1.0] == cold["ColdStart"]
    assert ([1.0], "wrong-shape") == (error["Errors"], error["code"])
    assert "ColdStart" not in error
    directive = cold["_aws"]["CloudWatchMetrics"][0]
    assert "onnx-lambda" == directive["Namespace"]
    assert {"model", "service"} == set(directive["Dimensions"][0])


def test_quiet_outside_lambda(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Outside Lambda nothing is written for requests that went well."""
    assert [] == lines(models, capsys, v2("POST", "/predict", BODY))


def test_values_only_on_request(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """LOG_VALUES writes the first values and the range of each tensor."""
    (log,) = lines(models, capsys, v2("POST", "/predict", BODY), LOG_VALUES="on", LOG_LEVEL="INFO")

    assert pytest.approx([5.1, 3.5, 1.4, 0.2]) == log["inputs"][0]["values"]
    assert pytest.approx((0.2, 5.1)) == (log["inputs"][0]["min"], log["inputs"][0]["max"])


def test_our_own_failures_have_a_trace(models: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure of ours is a 500 without any detail, and its stack trace is in the log under the same id."""
    program = wire({"MODEL_DIR": str(models), **fresh()})
    answer = event_handler(program, ThroughMangum(program))
    monkeypatch.setattr(program.predictor, "answer", lambda *_: 1 / 0)
    found = answer(v2("POST", "/predict", BODY), Context())
    log = json.loads(capsys.readouterr().err.splitlines()[-1])

    assert 500 == found["statusCode"]
    assert "division" not in found["body"]
    assert ("ERROR", "internal-error", "gateway-1") == (log["level"], log["code"], log["request_id"])
    assert "ZeroDivisionError" in log["exception"]
    assert "gateway-1" in json.loads(found["body"])["request_id"]


CANARY = "canary-7f3a9"


@pytest.mark.parametrize("lane", ["on", "off"])
@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_nothing_of_a_payload_is_written(models: Path, capsys: pytest.CaptureFixture[str], level: str, lane: str) -> None:
    """Payload, tokens and secrets are in no line at any level: canaries in every field, none in the output."""
    secret = {"headers": {"content-type": "application/json", "authorization": f"Bearer {CANARY}", "cookie": CANARY, "x-api-key": CANARY}}
    bodies = [
        json.dumps({"inputs": [[CANARY, CANARY]], "id": CANARY}),
        json.dumps({"inputs": {"x": [[CANARY, CANARY]], "id": CANARY}}),
        json.dumps({"inputs": [[1, 2]], "id": CANARY}),
        json.dumps({CANARY: 1}),
        json.dumps({"inputs": {CANARY: 1}}),
        '{"inputs": ' + CANARY,
        CANARY,
    ]
    events = [
        v2("POST", path, body) | secret | {"rawQueryString": f"token={CANARY}"}
        for path in ("/models/text/predict", "/predict")
        for body in bodies
    ]
    events += [{"inputs": [[CANARY]], "model": "text"}, {"inputs": {"x": CANARY}}]
    program = wire({"MODEL_DIR": str(models), "LOG_LEVEL": level, "HTTP_FAST_LANE": lane, **fresh(), **ON_LAMBDA})
    answer = event_handler(program, ThroughMangum(program))
    for event in events:
        answer(event, Context())
    written = capsys.readouterr()

    assert len(events) == sum('"status"' in line for line in written.out.splitlines())
    assert CANARY not in written.out + written.err


@pytest.mark.parametrize("evil", ["a\nb", "a\x1b[31mred", "${jndi:ldap://x}", "a\u2028b", "x" * 100_000, '","level":"ERROR'])
def test_log_lines_cannot_be_forged(models: Path, capsys: pytest.CaptureFixture[str], evil: str) -> None:
    """Whatever stands in a path, one request writes one line of JSON, of bounded length."""
    (log,) = lines(models, capsys, v2("GET", "/models/" + evil), LOG_LEVEL="INFO")

    assert "INFO" == log["level"]
    assert len(log["path"]) <= 300


def test_one_request_leaves_nothing_for_the_next(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fields of one request are not in the next one's line, not even after a failure."""
    first, second = lines(models, capsys, v2("POST", "/predict", "{"), v2("GET", "/models"), LOG_LEVEL="INFO")

    assert "unreadable-json" == first["code"]
    assert not {"code", "model", "digest", "inputs"} & set(second)


def test_unloadable_model_is_told_at_start(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model that does not load is a warning in the log when the environment starts."""
    wire({"MODEL_DIR": str(models), "PRELOAD_MODELS": "broken,iris", **fresh()})
    log = json.loads(capsys.readouterr().err.splitlines()[0])

    assert ("WARNING", "broken") == (log["level"], log["model"])
    assert "ONNX Runtime" in log["reason"]


TRACE = """
import json, os, sys
sys.path.insert(0, {root!r})
os.environ["MODEL_DIR"] = {models!r}
{prepare}
handler.handler({{"inputs": [[1, 2, 3, 4]]}}, None)
import time; time.sleep(1.0)
links = [os.readlink(f"/proc/self/fd/{{fd}}") for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{{fd}}")]
threads = sorted(open(f"/proc/self/task/{{t}}/comm").read().strip() for t in os.listdir("/proc/self/task"))
files = [name for _, _, names in os.walk({home!r}) for name in names]
print(json.dumps({{"files": files, "sockets": [l for l in links if l.startswith("socket")], "threads": len(threads)}}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("switched_off", [True, False])
def test_onnx_runtime_reports_to_nobody(models: Path, tmp_path: Path, switched_off: bool) -> None:
    """No device id, no socket and no uploader thread comes of a prediction; without our switch they do, which shows that the test would see them."""
    prepare = (
        "import handler"
        if switched_off
        else (
            "import onnxruntime; onnxruntime.disable_telemetry_events = lambda: None; "
            "import numpy; onnxruntime.InferenceSession({!r}, providers=['CPUExecutionProvider']); import handler".format(
                str(models / "iris/1/model.onnx")
            )
        )
    )
    script = TRACE.format(root=str(Path(__file__).parent.parent), models=str(models), home=str(tmp_path), prepare=prepare)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    ended = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=True)
    found = json.loads(ended.stdout.splitlines()[-1])

    quiet = found["files"] == [] and found["sockets"] == []
    assert quiet == switched_off, found


@pytest.mark.parametrize("first", [v2("GET", "/health/live"), v2("GET", "/nowhere"), {"inputs": [[5.1, 3.5, 1.4, 0.2]]}])
def test_a_cold_start_is_counted_whatever_comes_first(models: Path, capsys: pytest.CaptureFixture[str], first: dict[str, Any]) -> None:
    """The metrics of a cold start are written with the first request, be it a health check, a mistake or a direct invoke."""
    found = lines(models, capsys, first, v2("GET", "/health/live"), **ON_LAMBDA)

    assert [1.0] == [value for line in found for value in line.get("ColdStart", [])]


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (v2("GET", "/nowhere"), "unknown-path"),
        (v2("DELETE", "/predict"), "method-not-allowed"),
        (v2("POST", "/predict", BODY) | {"headers": {"accept": "text/html"}}, "not-acceptable"),
        (v2("POST", "/predict", "\ud800"), "unreadable-request"),
        ({"model": "ghost", "inputs": 1}, "unknown-model"),
    ],
)
def test_every_error_is_counted_by_its_code(models: Path, capsys: pytest.CaptureFixture[str], event: dict[str, Any], code: str) -> None:
    """Each error is one in the metrics, with its code, also where no model was asked."""
    (found,) = [line for line in lines(models, capsys, event, **ON_LAMBDA) if "_aws" in line]

    assert ([1.0], code) == (found["Errors"], found["code"])


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/docs/swagger-ui.css"])
def test_pages_are_answered_like_everything_else(models: Path, capsys: pytest.CaptureFixture[str], path: str) -> None:
    """The pages that FastAPI makes have a request id, a log line, and on failure the one error shape."""
    program = wire({"MODEL_DIR": str(models), "LOG_LEVEL": "INFO", **fresh()})
    answer = event_handler(program, ThroughMangum(program))
    found = answer(v2("GET", path), Context())
    (log,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    assert ("gateway-1", 200, path) == (found["headers"]["x-request-id"], log["status"], log["path"])


def test_a_page_that_fails_tells_nothing(models: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure in making a page is a 500 in the one shape, with its trace in the log."""
    from app.http import openapi

    monkeypatch.setattr(openapi, "add_models", lambda *_: 1 / 0)
    program = wire({"MODEL_DIR": str(models), **fresh()})
    found = event_handler(program, ThroughMangum(program))(v2("GET", "/openapi.json"), Context())

    assert (500, "internal-error") == (found["statusCode"], json.loads(found["body"])["code"])
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_model_that_is_not_ready_is_logged_with_the_reason(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A 503 has its reason in the log, whenever the model was first asked."""
    (log,) = lines(models, capsys, v2("POST", "/models/broken/predict", BODY), LOG_LEVEL="INFO")

    assert "protobuf" in log["reason"]


def test_direct_invokes_can_be_joined(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A direct invoke's line has Lambda's request id, and the caller's own id beside it."""
    (log,) = lines(models, capsys, {"inputs": [[5.1, 3.5, 1.4, 0.2]], "id": "job-7"}, LOG_LEVEL="INFO")

    assert (Context.aws_request_id, "job-7") == (log["request_id"], log["correlation_id"])
