"""The hook before a release, between a version that answers over Lambda's API and a CodeDeploy that takes note."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from app.errors import StoreUnavailable
from app.hooks.pre_traffic import handler
from app.storage import aws_clients
from app.wiring import event_handler, wire
from handler import ThroughMangum
from local.moto_server import Environ, StartResponse, serve
from tests.shells import Context, copy_models

VERSION = "arn:aws:lambda:eu-west-1:123456789012:function:onnx:7"
EVENT = {"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "execution"}


class Aws:
    """Lambda with one version of one function, and CodeDeploy. ``answer`` is the version's handler."""

    def __init__(self, answer: Callable[[Any, Any], Any]) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []
        self.reported: list[dict[str, str]] = []
        self.throttles = 0
        self.deaf = False

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request of either service."""
        body = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        if environ.get("HTTP_X_AMZ_TARGET", "").endswith("PutLifecycleEventHookExecutionStatus"):
            return self._take_note(body, start_response)
        if self.throttles:
            self.throttles -= 1
            return _said(start_response, "429 Too Many Requests", {"Type": "User"}, ("x-amzn-ErrorType", "TooManyRequestsException"))
        function = unquote(environ["PATH_INFO"]).split("/")[3]
        self.asked.append((function, body["rawPath"]))
        try:
            return _said(start_response, "200 OK", self.answer(body, Context()))
        except MemoryError:
            return _said(start_response, "200 OK", {"errorType": "Runtime.ExitError"}, ("X-Amz-Function-Error", "Unhandled"))

    def _take_note(self, body: dict[str, str], start_response: StartResponse) -> Iterable[bytes]:
        if self.deaf:
            return _said(start_response, "400 Bad Request", {"__type": "DeploymentDoesNotExistException"})
        self.reported.append(body)
        return _said(start_response, "200 OK", {"lifecycleEventHookExecutionId": body["lifecycleEventHookExecutionId"]})


def _said(start_response: StartResponse, status: str, answer: Any, *headers: tuple[str, str]) -> Iterable[bytes]:
    text = json.dumps(answer).encode()
    start_response(status, [("content-type", "application/json"), ("content-length", str(len(text))), *headers])
    return [text]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models of the image, with their golden samples."""
    return copy_models(tmp_path_factory.mktemp("image") / "models")


@pytest.fixture(scope="module")
def version(image: Path) -> Callable[[Any, Any], Any]:
    """The version as it is deployed."""
    program = wire({"MODEL_DIR": str(image)})
    return event_handler(program, ThroughMangum(program))


@pytest.fixture
def aws(version: Callable[[Any, Any], Any], image: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """The services, and the environment of the hook."""
    found = Aws(version)
    server = serve(found, "127.0.0.1", 0)
    for service in ("LAMBDA", "CODEDEPLOY"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", f"http://127.0.0.1:{server.server_port}")
        aws_clients._clients.pop(service.lower(), None)
    settings = {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
    for name, value in {**settings, "MODEL_DIR": str(image), "RELEASED_VERSION": VERSION}.items():
        monkeypatch.setenv(name, value)
    yield found
    server.shutdown()
    server.server_close()
    for service in ("lambda", "codedeploy"):
        aws_clients._clients.pop(service, None)


def status(aws: Aws) -> str:
    """What CodeDeploy was told, once, of its own deployment."""
    (told,) = aws.reported
    assert ("d-1", "execution") == (told["deploymentId"], told["lifecycleEventHookExecutionId"])
    return told["status"]


def reasons(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the hook's own lines say."""
    return [record.reason for record in caplog.records if record.message == "the version does not answer as it should"]  # type: ignore[attr-defined]


def test_version_that_answers_is_released(aws: Aws, image: Path) -> None:
    """Every golden sample of every model is asked of the very version, beside whether it is ready."""
    samples = {name: len(json.loads((image / name / "golden.json").read_text())) for name in ("digits", "iris")}
    answer = handler(EVENT, Context(60_000))
    paths = [path for _, path in aws.asked]

    assert {"status": "Succeeded", "failures": 0} == answer
    assert "Succeeded" == status(aws)
    assert {VERSION} == {function for function, _ in aws.asked}
    assert "/health/ready" == paths[0]
    assert samples == {name: paths.count(f"/models/{name}/versions/1/predict") for name in samples}


def test_version_that_has_drifted_is_not(aws: Aws, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One number beyond the tolerance is enough, and the log names the sample and the output."""
    changed = shutil.copytree(image, tmp_path / "models")
    samples = json.loads((changed / "iris" / "golden.json").read_text())
    samples[1]["outputs"]["output_probability"][0][0] += 0.001
    (changed / "iris" / "golden.json").write_text(json.dumps(samples))
    monkeypatch.setenv("MODEL_DIR", str(changed))

    assert {"status": "Failed", "failures": 1} == handler(EVENT, Context(60_000))
    assert "Failed" == status(aws)


def test_reason_is_in_the_log(aws: Aws, caplog: pytest.LogCaptureFixture) -> None:
    """What a release failed for is said in words, without a value of a sample."""
    answer = aws.answer

    def wrong(event: Any, context: Any) -> Any:
        found = answer(event, context)
        return found | {"body": found["body"].replace('"output_label":[', '"output_label":[7')}

    aws.answer = wrong
    handler(EVENT, Context(60_000))
    (reason,) = reasons(caplog)

    assert reason.startswith("iris/1: golden sample 0: output 'output_label' has drifted")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda event, context: {"statusCode": 503, "body": '{"code":"model-not-ready"}'}, "model-not-ready"),
        (lambda event, context: {"statusCode": 200}, "no answer to an HTTP event"),
        (lambda event, context: None, "no answer to an HTTP event"),
    ],
    ids=["not ready", "no body", "nothing"],
)
def test_version_that_does_not_answer_is_not(
    aws: Aws, caplog: pytest.LogCaptureFixture, answer: Callable[[Any, Any], Any], reason: str
) -> None:
    """A version whose models are not ready, or that answers something else, is not released."""
    aws.answer = answer
    handler(EVENT, Context(60_000))

    assert "Failed" == status(aws)
    assert any(reason in found for found in reasons(caplog))


def test_version_that_crashes_is_not(aws: Aws, caplog: pytest.LogCaptureFixture) -> None:
    """A function that ends instead of answering is named by how it ended."""

    def crash(event: Any, context: Any) -> Any:
        raise MemoryError

    aws.answer = crash
    handler(EVENT, Context(60_000))

    assert "Failed" == status(aws)
    assert ["GET /health/ready ends the function with Runtime.ExitError; its log tells why."] == reasons(caplog)


def test_throttles_are_waited_out(aws: Aws) -> None:
    """Lambda's refusal for the moment fails no release."""
    aws.throttles = 2
    handler(EVENT, Context(60_000))

    assert "Succeeded" == status(aws)


def test_time_is_kept_for_the_report(aws: Aws) -> None:
    """Where there is no time left for the samples there is still time to say so, as CodeDeploy waits for an hour."""
    handler(EVENT, Context(15_000))

    assert [] == aws.asked
    assert "Failed" == status(aws)


def test_model_without_samples_has_to_answer(aws: Aws, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first example of a model stands for golden samples that it does not have."""
    changed = shutil.copytree(image, tmp_path / "models")
    shutil.rmtree(changed / "digits")
    manifest = (changed / "iris" / "model.toml").read_text()
    (changed / "iris" / "model.toml").write_text(manifest.partition("[golden]")[0])
    (changed / "models.lock").unlink(missing_ok=True)
    monkeypatch.setenv("MODEL_DIR", str(changed))
    handler(EVENT, Context(60_000))

    assert "Succeeded" == status(aws)
    assert ["/health/ready", "/models/iris/versions/1/predict"] == [path for _, path in aws.asked]


def test_who_cannot_report_fails(aws: Aws) -> None:
    """A report that CodeDeploy does not take fails the invocation, which the log shows."""
    aws.deaf = True
    with pytest.raises(StoreUnavailable, match="CodeDeploy did not answer"):
        handler(EVENT, Context(60_000))
