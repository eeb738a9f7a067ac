"""A schedule's batch: what it starts, and what it is not taken for."""

from typing import Any

import pytest

from app.batches.machine_run import Asked
from app.batches.machine_start import start_batch
from app.errors import Invalid
from app.triggers.scheduled_batch import ScheduledBatchTrigger, asked_of, is_scheduled_batch
from tests.machine.conftest import Cloud, table
from tests.machine.memory_machine import ARN, MemoryMachine, in_the_way
from tests.shells import Context

TIME = "2026-03-04T05:06:07Z"


@pytest.mark.parametrize("event", [{"batch": {}, "sweep": True}, {"batch": []}, {"batch": {}, "requestContext": {}}, {}, [], None])
def test_nothing_stands_beside_it(event: Any) -> None:
    """Any other shape is nobody's batch."""
    assert is_scheduled_batch({"batch": {}})
    assert not is_scheduled_batch(event)


def test_one_execution_for_one_schedule(cloud: Cloud) -> None:
    """Delivered twice there is one execution; the next schedule is a run of its own, and its day stands in the addresses."""
    cloud.put("in/2026-03-04.csv", table(2))
    told = {"input": f"s3://{cloud.bucket}/in/{{date}}.csv", "output": f"s3://{cloud.bucket}/out/{{date}}/", "time": TIME}
    machine = MemoryMachine(*[("SUCCEEDED", {})] * 2)
    trigger = ScheduledBatchTrigger(lambda asked: start_batch(ARN, asked))
    with in_the_way(machine):
        first, again = (trigger({"batch": told}, Context()) for _ in range(2))
        other = trigger({"batch": {**told, "time": "2026-03-04T17:06:07Z"}}, Context())

    assert first == {**again, "started": True}
    assert (False, True) == (again["started"], other["started"])
    assert 2 == len(set(machine.started))
    assert first["output"].startswith(f"s3://{cloud.bucket}/out/2026-03-04/2026-03-04.csv/")


def test_without_a_time_an_unchanged_input_is_done_once(cloud: Cloud) -> None:
    """A schedule without its time finds the run of the same file, and starts one for another."""
    cloud.put("in.csv", table(2))
    told = {"input": f"s3://{cloud.bucket}/in.csv", "output": f"s3://{cloud.bucket}/out/"}
    machine = MemoryMachine(*[("SUCCEEDED", {})] * 2)
    trigger = ScheduledBatchTrigger(lambda asked: start_batch(ARN, asked))
    with in_the_way(machine):
        for _ in range(2):
            trigger({"batch": told}, Context())
        assert 1 == len(machine.started)
        cloud.put("in.csv", table(3))
        trigger({"batch": told}, Context())

    assert 2 == len(machine.started)


def test_an_input_that_is_not_there_fails(cloud: Cloud) -> None:
    """The invocation fails, so that Lambda tries it again and keeps the event."""
    trigger = ScheduledBatchTrigger(lambda asked: start_batch(ARN, asked))
    told = {"input": f"s3://{cloud.bucket}/in.csv", "output": f"s3://{cloud.bucket}/out/"}
    with in_the_way(MemoryMachine()), pytest.raises(Invalid, match="nothing at"):
        trigger({"batch": told}, Context())
    with in_the_way(MemoryMachine()), pytest.raises(Invalid, match="nothing at"):
        trigger({"batch": {**told, "input": f"s3://{cloud.bucket}/empty/"}}, Context())


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"input": "s3://b/k"}, "output"),
        ({"input": 1, "output": "s3://bucket/o/"}, "input"),
        ({"input": "s3://bucket/k", "output": "s3://bucket/o/", "speed": 1}, "speed"),
        ({"input": "s3://bucket/{date}", "output": "s3://bucket/o/"}, "scheduled-time"),
        ({"input": "s3://bucket/{date}", "output": "s3://bucket/o/", "time": "<aws.scheduler.scheduled-time>"}, "scheduled-time"),
        ({"input": "s3://bucket/k", "output": "s3://bucket/o/", "max_concurrency": True}, "max_concurrency"),
    ],
)
def test_mistakes_are_named(told: dict[str, Any], says: str) -> None:
    """What is wrong is named with what it takes."""
    with pytest.raises(Invalid, match=says):
        asked_of(told)


def test_all_that_can_be_asked() -> None:
    """Every member has its place."""
    told = {"input": "s3://bucket/k", "output": "s3://bucket/o/", "model": "m", "version": "2", "format": "csv", "max_concurrency": 3}

    assert Asked("s3://bucket/k", "s3://bucket/o/", model="m", version="2", output_format="csv", max_concurrency=3) == asked_of(told)
