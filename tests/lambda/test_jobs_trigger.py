"""The triggers of jobs by themselves: which messages of a delivery come again, and which events they take."""

import time
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from app.errors import Invalid, Problem
from app.triggers import schedule, sqs
from app.triggers.records import Record, Times
from app.triggers.sqs import SqsTrigger
from tests.shells import Context

JOBS = [f"{number:032x}" for number in range(10)]
POISON = [
    "",
    "not JSON",
    "null",
    "[]",
    '"job"',
    "{}",
    '{"v":1}',
    '{"v":2,"job":"a"}',
    '{"v":"1","job":"a"}',
    '{"v":true,"job":"a"}',
    '{"v":1.0,"job":"a"}',
    '{"job":"a"}',
    '{"v":1,"job":7}',
    '{"v":1,"job":""}',
    '{"v":1,"job":null}',
    '{"v":1,"job":"' + "a" * 129 + '"}',
    '{"v":1,"job":"a","delivery":"b"}',
    '{"v":1,"job":"a","more":1}',
    '{"v":1,"else":"a"}',
    "[" * 2000,
]


def _refuse(records: Sequence[Record], times: Times) -> list[Problem | None]:
    """Stands for what answers requests: none of these messages is one."""
    return [Invalid("no request") for _ in records]


_NO_REQUESTS = (_refuse, lambda ids, bodies, source, times: None, lambda body, times: None)


class Works:
    """Stands for the worker and the sender: remembers what it was given, and says which of it must come again."""

    def __init__(self, again: Sequence[str] = ()) -> None:
        self.again = again
        self.jobs: list[list[str]] = []
        self.deliveries: list[list[str]] = []
        self.deadlines: list[float] = []
        self.until: list[float] = []

    def trigger(self) -> SqsTrigger:
        return SqsTrigger({"job": self._jobs, "delivery": self._deliveries}, self.until.append, *_NO_REQUESTS)

    def _jobs(self, ids: Sequence[str], deadline: float) -> Sequence[str]:
        self.jobs.append(list(ids))
        self.deadlines.append(deadline)
        return [one for one in ids if one in self.again]

    def _deliveries(self, ids: Sequence[str], deadline: float) -> Sequence[str]:
        self.deliveries.append(list(ids))
        return [one for one in ids if one in self.again]


def event(*bodies: Any) -> dict[str, Any]:
    """A delivery whose messages are called m0, m1, …"""
    return {"Records": [{"eventSource": "aws:sqs", "messageId": f"m{number}", "body": body} for number, body in enumerate(bodies)]}


def body(kind: str, record_id: str) -> str:
    return orjson.dumps({"v": 1, kind: record_id}).decode()


def named(answer: dict[str, Any]) -> list[str]:
    assert ["batchItemFailures"] == list(answer)
    return [entry["itemIdentifier"] for entry in answer["batchItemFailures"] if list(entry) == ["itemIdentifier"]]


@pytest.mark.parametrize("k", range(11))
def test_k_of_ten_that_fail_are_named(k: int) -> None:
    """Of ten messages exactly those come again whose jobs must, be it none or all of them."""
    works = Works(JOBS[10 - k :])
    answer = works.trigger()(event(*(body("job", job) for job in JOBS)), Context())

    assert [JOBS] == works.jobs
    assert [f"m{number}" for number in range(10 - k, 10)] == named(answer)


@pytest.mark.parametrize("k", range(11))
def test_k_of_ten_that_nobody_can_read_are_named(k: int) -> None:
    """Of ten messages the k that are not of ours come again, and the others are worked off."""
    works = Works()
    answer = works.trigger()(event(*POISON[1 : k + 1], *(body("job", job) for job in JOBS[k:])), Context())

    assert [f"m{number}" for number in range(k)] == named(answer)
    assert ([JOBS[k:]] if k < 10 else []) == works.jobs


@pytest.mark.parametrize("poison", POISON)
def test_poison(poison: Any) -> None:
    """A message of another version or shape is nobody's: it comes again alone, and ends among the dead letters."""
    works = Works()

    assert ["m0"] == named(works.trigger()(event(poison, body("job", JOBS[0])), Context()))
    assert [JOBS[:1]] == works.jobs


def test_two_messages_of_one_job_fail_together() -> None:
    """A job that is named twice in a delivery is worked off once, and where it must come again so do both its messages."""
    works = Works(JOBS[:1])
    answer = works.trigger()(event(body("job", JOBS[0]), body("job", JOBS[1]), body("job", JOBS[0])), Context())

    assert [JOBS[:2]] == works.jobs
    assert ["m0", "m2"] == named(answer)


def test_jobs_and_webhooks_in_one_delivery() -> None:
    """A message tells by its member what it names."""
    works = Works(["msg_1"])
    answer = works.trigger()(event(body("job", JOBS[0]), body("delivery", "msg_1"), body("delivery", "msg_2")), Context())

    assert ([JOBS[:1]], [["msg_1", "msg_2"]]) == (works.jobs, works.deliveries)
    assert ["m1"] == named(answer)


def test_an_error_of_ours_fails_the_invocation() -> None:
    """What the worker raises is not swallowed: Lambda keeps all messages then."""

    def fails(ids: Sequence[str], deadline: float) -> Sequence[str]:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        SqsTrigger({"job": fails, "delivery": fails}, lambda deadline: None, *_NO_REQUESTS)(event(body("job", JOBS[0])), Context())


def test_time_is_left_to_write_down_what_was_done() -> None:
    """Runs end before the calls to AWS do, and those before the invocation does."""
    works = Works()
    now = time.monotonic()
    works.trigger()(event(body("job", JOBS[0])), Context(100_000))

    assert now + 80 < works.deadlines[0] < works.until[0] < time.monotonic() + 100


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"Records": []},
        {"Records": None},
        {"Records": [{"eventSource": "aws:sns", "messageId": "m"}]},
        {"Records": [{"eventSource": "aws:sqs"}]},
        {"Records": [{"eventSource": "aws:sqs", "messageId": "m", "body": None}]},
        {"Records": [{"eventSource": "aws:sqs", "messageId": "m", "body": {"v": 1, "job": "a"}}]},
        {"Records": [{"eventSource": "aws:sqs", "messageId": 1, "body": ""}]},
        {"Records": [{"eventSource": "aws:sqs", "messageId": "m", "body": ""}, {"eventSource": "aws:sns", "messageId": "m", "body": ""}]},
        {"Records": [{"eventSource": "aws:sqs", "messageId": "m", "body": ""}], "requestContext": {"authorizer": {}}},
        ["Records"],
        None,
    ],
)
def test_what_is_no_delivery(other: Any) -> None:
    """An event of another source, of several, or with another's members beside it is not taken for a delivery."""
    assert not sqs.is_delivery(other)


@pytest.mark.parametrize("other", [{"sweep": 1}, {"sweep": False}, {"sweep": True, "requestContext": {}}, {"warmup": True}, [], None])
def test_what_is_no_sweep(other: Any) -> None:
    """Only the schedule's own event sweeps."""
    assert not schedule.is_sweep(other)
    assert schedule.is_sweep({"sweep": True})


def test_a_sweep_ends_before_the_invocation() -> None:
    """The sweeper is told to end a second before Lambda would end it, and its counts are the answer."""
    deadlines: list[float] = []

    def sweep(deadline: float) -> dict[str, int]:
        deadlines.append(deadline)
        return {"sent": 1}

    now = time.monotonic()

    assert {"sent": 1} == schedule.SweepTrigger(sweep)({"sweep": True}, Context(60_000))
    assert now + 50 < deadlines[0] < time.monotonic() + 59.5
