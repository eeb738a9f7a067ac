"""Asks a version the golden samples of its models before it is given traffic, and tells CodeDeploy what came of it.

https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-hooks.html: the event names a deployment,
not a version; that stands in ``RELEASED_VERSION``, from the template. The samples and the models' manifests are those of this image,
which is the version's own. They are asked over HTTP events, as callers ask.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from app.errors import ModelRefused, Problem, SettingError
from app.inference.golden import asked, check_answer, samples_in
from app.inference.manifest import Manifest
from app.inference.repository import Entry
from app.observability import Observer
from app.settings import Settings, from_environment
from app.storage import releases
from app.storage.aws_clients import within
from app.wiring import open_repository

# Of the invocation's time, kept for telling CodeDeploy: whoever says nothing holds the deployment up for an hour.
_REPORT_S = 20.0
_LONGEST_S = 600.0
_SHOWN = 20

# Answers an event as the version does.
Ask = Callable[[dict[str, Any]], Any]


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Check the version and report. CodeDeploy is told in any case that this is able to; nothing but that failing is raised.

    :raises StoreUnavailable: where CodeDeploy could not be told.
    """
    settings = from_environment(os.environ)
    observer = Observer(service=settings.service_name, level="INFO", namespace=None, log_values=False)
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    ends = time.monotonic() + (_LONGEST_S if remaining is None else remaining() / 1000)
    failures: list[str] = []
    with within(ends - _REPORT_S):
        try:
            failures = check(settings, _asking(os.environ["RELEASED_VERSION"]))
        except Exception as error:  # whatever it was, the version has not shown that it answers
            failures = [str(error) if isinstance(error, Problem | ModelRefused | SettingError) else type(error).__name__]
    for failure in failures[:_SHOWN]:
        observer.note("the version does not answer as it should", reason=failure)
    with within(ends):
        releases.report(event["DeploymentId"], event["LifecycleEventHookExecutionId"], succeeded=not failures)
    return {"status": "Failed" if failures else "Succeeded", "failures": len(failures)}


def check(settings: Settings, ask: Ask) -> list[str]:
    """What is wrong with a version; nothing where it is ready and every golden sample of every model has its known answer.

    :param settings: of the image, whose models the version has as well.
    :raises StoreUnavailable: where it could not be asked.
    """
    failures = list(_unready(ask))
    for entry in open_repository(settings).entries():
        try:
            _check_model(Path(settings.model_dir), entry, ask)
        except ModelRefused as error:
            failures.append(str(error))
    return failures


def _unready(ask: Ask) -> Iterator[str]:
    status, _ = _answered(ask, "GET", "/health/ready")
    if status != 200:
        yield f"GET /health/ready is answered {status}."


def _check_model(folder: Path, entry: Entry, ask: Ask) -> None:
    manifest = entry.manifest
    if not isinstance(manifest, Manifest):
        raise manifest
    path = f"/models/{entry.name}/versions/{entry.version}/predict"
    golden = manifest.golden
    samples = samples_in(folder / entry.name / golden.file) if golden else []
    for number, sample in enumerate(samples):
        where = f"{entry.name}/{entry.version}: golden sample {number}"
        status, answer = _answered(ask, "POST", path, asked(sample))
        if status != 200:
            raise ModelRefused(f"{where} is answered {status} {_code(answer)}".rstrip() + ".")
        assert golden
        check_answer(answer["outputs"], sample["outputs"], golden, where)
    if not samples and manifest.example is not None:
        # Without known answers it has to answer at all.
        status, answer = _answered(ask, "POST", path, orjson.dumps({"inputs": manifest.example}))
        if status != 200:
            raise ModelRefused(f"{entry.name}/{entry.version}: its first example is answered {status} {_code(answer)}".rstrip() + ".")


def _answered(ask: Ask, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
    """The status and the parsed body of an answer."""
    answer = ask(
        {
            "version": "2.0",
            "routeKey": f"{method} {path}",
            "rawPath": path,
            "rawQueryString": "",
            "headers": {"content-type": "application/json", "accept": "application/json", "host": "release-check"},
            "requestContext": {"http": {"method": method, "path": path, "sourceIp": "127.0.0.1"}, "stage": "$default"},
            "body": body.decode(),
            "isBase64Encoded": False,
        }
    )
    try:
        return int(answer["statusCode"]), orjson.loads(answer["body"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelRefused(f"{method} {path} is answered by something that is no answer to an HTTP event.") from error


def _code(answer: Any) -> str:
    return str(answer.get("code", "")) if isinstance(answer, dict) else ""


def _asking(version: str) -> Ask:
    def ask(event: dict[str, Any]) -> Any:
        found = releases.invoke(version, event)
        if found.failure:
            raise ModelRefused(f"{event['routeKey']} ends the function with {found.failure[:64]}; its log tells why.")
        return found.answer

    return ask
