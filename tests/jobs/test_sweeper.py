"""What a sweep repairs, and what it leaves alone."""

import time

import pytest

from app.errors import StoreUnavailable
from app.jobs.backend import Change
from app.jobs.sqlite_backend import Message, SqliteBackend
from app.jobs.sweeper import Sweeper
from tests.jobs.house import House


def sweep(house: House) -> dict[str, int]:
    swept = Sweeper(house.stores).sweep(time.monotonic() + 30, shards=range(256))
    return {name: number for name, number in swept._asdict().items() if number}


def messages(house: House) -> list[Message]:
    """What a worker would be given, at a time after the store's own clock."""
    assert isinstance(house.stores.backend, SqliteBackend)
    found = house.stores.backend.receive("jobs", 2e9, limit=9, visibility_s=9)
    house.stores.backend.acknowledge("jobs", [message.receipt for message in found])
    return found


def test_a_job_nobody_heard_of_is_sent_again(house: House) -> None:
    """A job whose message never arrived is sent again when it is due, and not before."""
    job = house.submit()

    assert [job.id] == [message.id for message in messages(house)]
    assert {} == sweep(house)
    house.clock.advance(301)
    assert {"sent": 1} == sweep(house)
    assert [job.id] == [message.id for message in messages(house)]


def test_a_job_too_old_expires(house: House) -> None:
    """A job that nobody answered within a day has expired, and is then forgotten with its bytes."""
    job = house.submit()
    house.clock.advance(86_401)

    assert {"expired": 1} == sweep(house)
    assert "expired" == house.kept(job.id).status
    house.clock.advance(501)
    assert {"deleted": 1} == sweep(house)
    assert [] == list(house.stores.storage.older_than("payloads/", time.time() + 3600))


def test_a_worker_that_died_over_the_last_attempt(house: House) -> None:
    """A job whose last worker never came back has failed."""
    job = house.submit()
    for _ in range(3):
        house.workers[0]._take(job.id, time.monotonic())
        house.clock.advance(100)

    assert {"failed": 1} == sweep(house)
    assert "did not come back" in str(house.kept(job.id).error)


def test_what_cannot_be_forgotten_holds_up_nobody(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that waits is sent again, however many before it cannot be deleted just then."""
    done = [house.submit() for _ in range(120)]
    for job in done:
        ended = house.kept(job.id)
        assert house.stores.backend.write([Change(ended, ended._replace(status="cancelled", expires=1.0, due=1.0))])
    waiting = house.submit()
    house.clock.advance(301)

    def fails(key: str) -> None:
        raise StoreUnavailable("no")

    monkeypatch.setattr(house.stores.storage, "delete", fails)

    assert {"sent": 1, "errors": 120} == sweep(house)
    assert 1 == house.kept(waiting.id).resent


def test_bytes_of_nobody_are_deleted(house: House) -> None:
    """Bytes that no record owns go an hour after they were put; those of a job stay."""
    house.submit()
    house.stores.storage.put("payloads/ab/ab" + "0" * 30, b"x")
    house.clock.now = time.time() + 7200
    before = len(list(house.stores.storage.older_than("payloads/", time.time() + 9999)))
    swept = sweep(house)

    assert (2, 1) == (before, swept["orphans"])
