"""The definition in moto's own engine, as far as its grammar goes: see :func:`tests.machine.moto_machine.reduced`."""

import json

import pytest

from app.batches.machine_start import start_batch
from app.storage import step_functions
from tests.machine.conftest import COLUMNS, FLOWERS, Cloud, table
from tests.machine.moto_machine import ended, moto_machine


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_rows(cloud: Cloud, kind: str) -> None:
    """CSV and JSON are read, each row is predicted, Map's items are counted, and the summary is written."""
    values = [dict(zip(COLUMNS, row, strict=True)) for row in FLOWERS]
    cloud.put(f"in.{kind}", table(2) if kind == "csv" else json.dumps(values))
    with moto_machine(cloud.server, cloud.bucket, cloud.invoke) as machine:
        started = start_batch(machine, cloud.asked(f"in.{kind}"))
        found = ended(started.arn)

        assert "SUCCEEDED" == found["status"], found
        assert (2, 2, 0, 0, 2) == tuple(json.loads(found["output"])[name] for name in ("rows", "answered", "failed", "missing", "parts"))
        assert (2, 2, 0) == step_functions.counts(started.arn)
        assert json.loads(cloud.part("summary.json"))["answered"] == 2


def test_a_prefix(cloud: Cloud) -> None:
    """The files of a listing are predicted."""
    cloud.put("in/a.csv", table(3))
    with moto_machine(cloud.server, cloud.bucket, cloud.invoke) as machine:
        found = ended(start_batch(machine, cloud.asked("in/")).arn)

    assert "SUCCEEDED" == found["status"], found
    assert ["in/a.csv"] == cloud.predicted


def test_a_refused_batch_fails_the_execution(cloud: Cloud) -> None:
    """What the function raises is the Task's error; moto's Map tolerates all, so that it is the summary that ends the run."""
    cloud.put("in.csv", table(2, bad=(0,)))
    with moto_machine(cloud.server, cloud.bucket, cloud.invoke) as machine:
        started = start_batch(machine, cloud.asked("in.csv", tolerated_failure_percentage=0))
        found = ended(started.arn)

        assert "FAILED" == found["status"]
        assert "TooManyFailedRows" == found["error"]
        assert step_functions.counts(started.arn).failed > 0


def test_the_same_question_is_the_same_execution(cloud: Cloud) -> None:
    """Asked again there is no second execution; another version of the input, output, model or mark is another one."""
    cloud.put("in.csv", table(1))
    with moto_machine(cloud.server, cloud.bucket, cloud.invoke) as machine:
        first = start_batch(machine, cloud.asked("in.csv"))
        ended(first.arn)
        again = start_batch(machine, cloud.asked("in.csv", max_concurrency=7))
        cloud.put("in.csv", table(2))
        other = start_batch(machine, cloud.asked("in.csv"))
        ended(other.arn)

    assert first.arn == again.arn
    assert (True, False, True) == (first.is_new, again.is_new, other.is_new)
    assert other.arn != first.arn
