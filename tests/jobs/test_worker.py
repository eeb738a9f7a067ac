"""What becomes of a delivery of jobs: which of them come again, and what that costs them."""

import time
from contextlib import suppress
from typing import Any

import pytest

from app.jobs.backend import Change
from app.jobs.errors import JobGivenUp
from app.jobs.worker import Worker
from app.prediction import PredictionRequest, Predictor
from tests.jobs.house import House

SLOW = PredictionRequest(b'{"inputs": 100000000}', model="slow")
# More time than a run of the other model takes, and less than this one's.
SHORT_S = 0.3


def again(house: House, *ids: str, seconds: float = SHORT_S) -> list[str]:
    return house.workers[0].work(ids, time.monotonic() + seconds)


def test_a_deadline_puts_a_job_back(house: House) -> None:
    """A job whose time is up waits for its next attempt; after the last it has failed, and says why."""
    job = house.submit(asked=SLOW)
    states = []
    for _ in range(3):
        assert [job.id] == again(house, job.id)
        states.append((house.kept(job.id).status, house.kept(job.id).attempt))
    error = house.kept(job.id).error

    assert [("queued", 1), ("queued", 2), ("failed", 3)] == states
    assert error is not None
    assert JobGivenUp.code == error["code"]
    assert "given up after 3 of 3 attempts" in error["detail"]


def test_a_message_of_a_job_that_was_given_up_is_not_acknowledged(house: House) -> None:
    """The message of a job that was given up stays until the queue puts it among the dead letters; that of any other end goes."""
    given_up, done = house.submit(asked=SLOW), house.submit()
    for _ in range(3):
        again(house, given_up.id)
    house.work(done.id)

    assert [given_up.id] == again(house, given_up.id, done.id)
    assert "failed" == house.kept(given_up.id).status


def test_a_neighbour_costs_one_attempt_at_most(house: House) -> None:
    """Jobs of one delivery with one that takes all the time lose their first attempt to it and no other, and are answered."""
    slow, others = house.submit(asked=SLOW), [house.submit() for _ in range(3)]
    names = [slow.id, *(other.id for other in others)]
    waiting = names
    for _ in range(5):
        waiting = again(house, *waiting)

    assert "failed" == house.kept(slow.id).status
    assert ["succeeded"] * 3 == [house.kept(other.id).status for other in others]


def test_a_job_that_ends_the_process_is_given_up_alone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a delivery with a job that kills its worker, however often it comes, the others are answered."""
    poison, others = house.submit(asked=SLOW), [house.submit() for _ in range(3)]
    names = [poison.id, *(other.id for other in others)]
    answer_many = Predictor.answer_many

    def dies(self: Predictor, requests: Any, reports: Any) -> Any:
        if any(request.model == "slow" for request in requests):
            raise SystemExit
        return answer_many(self, requests, reports)

    monkeypatch.setattr(Predictor, "answer_many", dies)
    for _ in range(5):
        with suppress(SystemExit):
            house.work(*names)
        # What a dead worker held is free after its lease.
        house.clock.advance(600)

    assert "failed" == house.kept(poison.id).status
    assert ["succeeded"] * 3 == [house.kept(other.id).status for other in others]


def test_what_there_is_no_time_for_is_not_begun(house: House) -> None:
    """A job whose turn comes when most of the time is over keeps its attempt."""
    jobs = [house.submit(asked=SLOW) for _ in range(3)]
    worker = Worker(house.stores, house.jobs.predictor, packed=False)

    assert [job.id for job in jobs] == worker.work([job.id for job in jobs], time.monotonic() + SHORT_S)
    assert [1, 0, 0] == [house.kept(job.id).attempt for job in jobs]


def test_large_bodies_are_not_in_memory_together(house: House) -> None:
    """New jobs share a run only as far as their bodies are small together."""
    ids = [house.submit().id for _ in range(3)]
    for name in ids[1:]:
        kept = house.kept(name)
        large = kept._replace(payload=kept.payload._replace(size=20 * 1024 * 1024))
        assert house.stores.backend.write([Change(kept, large)])

    assert [ids[:2], ids[2:]] == house.workers[0]._packs(ids)


def test_a_job_with_another_worker_is_left_alone(house: House) -> None:
    """A second message of a job that somebody is working on is acknowledged, and changes nothing."""
    job = house.submit()
    house.workers[1]._take(job.id, time.monotonic() + 60)

    assert [] == house.work(job.id)
    assert ("running", 1) == (house.kept(job.id).status, house.kept(job.id).attempt)


def test_an_id_of_nobody_is_acknowledged(house: House) -> None:
    """A message of a job that there is no more is done with."""
    assert [] == house.work("0" * 32)
