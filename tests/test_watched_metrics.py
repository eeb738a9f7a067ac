"""Metrics that alarms look at: whatever fails on our side, models that cannot be loaded, jobs that ended, sweeps that could not finish."""

import io
import json
import time
from pathlib import Path
from typing import Any

import pytest

from app.errors import ModelNotReady, RunFailed, StoreUnavailable, WrongShape
from app.job_wiring import JobParts
from app.jobs.errors import UnknownJob
from app.observability import ColdStart, Observer
from app.prediction import PredictionRequest
from app.report import Report
from app.settings import Settings
from app.wiring import open_repository


@pytest.fixture
def observer() -> Observer:
    """As on Lambda."""
    return Observer(service="stack", level="CRITICAL", namespace="onnx-lambda", log_values=False, stream=io.StringIO())


def metrics(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The documents that were written."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def told(observer: Observer, code: str, cold: ColdStart | None = None) -> None:
    Report(dialect="predict", model="iris").tell(observer, dict, seconds=0.001, code=code, failure=None, cold=cold)


@pytest.mark.parametrize("problem", [RunFailed, ModelNotReady])
def test_failures_of_ours_are_counted_by_the_stack_alone(
    observer: Observer, capsys: pytest.CaptureFixture[str], problem: type[Any]
) -> None:
    """Beside what is counted by model and code there is one number of the whole stack, which an alarm can name."""
    told(observer, problem.code)
    by_code, of_all = metrics(capsys)
    (directive,) = of_all["_aws"]["CloudWatchMetrics"]

    assert (problem.code, "iris", [1.0]) == (by_code["code"], by_code["model"], by_code["Errors"])
    assert [["service"]] == directive["Dimensions"]
    assert ("onnx-lambda", "stack") == (directive["Namespace"], of_all["service"])
    assert [1.0] == of_all["ServerErrors"]
    assert (problem is ModelNotReady) == ("ModelLoadFailures" in of_all)


@pytest.mark.parametrize("code", ["", WrongShape.code, UnknownJob.code])
def test_failures_of_callers_are_not(observer: Observer, capsys: pytest.CaptureFixture[str], code: str) -> None:
    """What a caller did wrong, and what went well, wakes nobody."""
    told(observer, code)

    assert [] == [one for one in metrics(capsys) if "ServerErrors" in one]


@pytest.fixture
def parts(models: Path, tmp_path: Path, observer: Observer) -> JobParts:
    """Jobs of this machine, whose worker is not started."""
    settings = Settings(model_dir=str(models), jobs_dir=str(tmp_path))
    return JobParts(settings, open_repository(settings), observer)


def test_jobs_are_counted_as_they_end(parts: JobParts, capsys: pytest.CaptureFixture[str]) -> None:
    """Each job is told of once, by how it ended, whoever ended it."""
    asked = PredictionRequest(b'{"inputs": [[5.1, 3.5, 1.4, 0.2]]}', model="iris")
    jobs = [parts._jobs.submit(asked, Report(), owner="a") for _ in range(2)]
    found = [job.id for job in jobs if job]
    parts._jobs.cancel("a", found[1])
    parts.answer_jobs(found, time.monotonic() + 30)
    parts.answer_jobs(found, time.monotonic() + 30)

    assert [("cancelled", [1.0]), ("succeeded", [1.0])] == [
        (one["status"], one["JobsEnded"]) for one in metrics(capsys) if "JobsEnded" in one
    ]


def test_sweeps_that_could_not_finish_are_counted(
    parts: JobParts, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep without an error writes nothing, and one with errors how many."""
    parts.sweep(time.monotonic() + 30)
    monkeypatch.setattr(parts.stores.backend, "due", _refuse)
    swept = parts.sweep(time.monotonic() + 30)

    assert 1 == swept["errors"]
    assert [[1.0]] == [one["SweepErrors"] for one in metrics(capsys)]


def _refuse(*_: Any) -> Any:
    raise StoreUnavailable("The store does not answer.")
