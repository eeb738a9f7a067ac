"""What becomes of a delivery of jobs: which of them come again, and what that costs them."""

import time

from app.jobs.errors import JobGivenUp
from app.prediction import PredictionRequest
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


def test_a_neighbour_costs_no_attempt(house: House) -> None:
    """A job that never ran, as another of its delivery took all the time, keeps its attempts."""
    slow = house.submit(asked=SLOW)
    others = [house.submit() for _ in range(2)]
    for other in others:
        # as after a first attempt, from which on each is run by itself
        house.workers[0]._take(other.id, time.monotonic())
    house.clock.advance(100)
    again(house, slow.id)

    assert {slow.id, *(other.id for other in others)} == set(again(house, slow.id, *(other.id for other in others)))
    assert [(2, 4)] * 2 == [(house.kept(other.id).attempt, house.kept(other.id).max_attempts) for other in others]
    assert sorted(house.work(*(other.id for other in others))) == []
    assert ["succeeded"] * 2 == [house.kept(other.id).status for other in others]


def test_a_job_with_another_worker_is_left_alone(house: House) -> None:
    """A second message of a job that somebody is working on is acknowledged, and changes nothing."""
    job = house.submit()
    house.workers[1]._take(job.id, time.monotonic() + 60)

    assert [] == house.work(job.id)
    assert ("running", 1) == (house.kept(job.id).status, house.kept(job.id).attempt)


def test_an_id_of_nobody_is_acknowledged(house: House) -> None:
    """A message of a job that there is no more is done with."""
    assert [] == house.work("0" * 32)
