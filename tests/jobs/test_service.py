"""What callers do with jobs beside workers: whoever is first ends a job, and nobody hears of another's."""

import itertools
import time
from collections.abc import Callable

import orjson
import pytest

from app.errors import NotOffered, StoreUnavailable, WrongShape
from app.jobs.backend import Change
from app.jobs.delivery import Delivery
from app.jobs.errors import JobFinished, UnknownJob, WebhookRefused
from app.jobs.idempotency import Idempotency, Key
from app.jobs.job import Webhook
from app.jobs.notices import delivery_id
from app.jobs.worker import Claimed
from app.report import Report
from tests.jobs.house import ASKED, House

HOOK = Webhook("https://hooks.test/1", "mine")


@pytest.mark.parametrize("order", list(itertools.permutations(["cancel", "claim", "finish"])), ids="-".join)
def test_six_orders(house: House, order: tuple[str, ...]) -> None:
    """A worker that comes back after its lease, another that claims the job, its caller's cancel: the first that may end it does, once."""
    job = house.submit(webhook=HOOK)
    first = house.workers[0]._take(job.id, time.monotonic() + 1)
    assert isinstance(first, Claimed)
    house.clock.advance(3600)
    told: dict[str, bool] = {}

    def cancel() -> bool:
        try:
            return house.jobs.cancel("a", job.id).status == "cancelled"
        except JobFinished:
            return False

    steps: dict[str, Callable[[], bool]] = {
        "cancel": cancel,
        "claim": lambda: isinstance(house.workers[1]._take(job.id, time.monotonic() + 60), Claimed),
        "finish": lambda: house.workers[0]._answer([first]) == [] and house.kept(job.id).status == "succeeded",
    }
    for step in order:
        told[step] = steps[step]()
    ended = house.kept(job.id)
    results = list(house.stores.storage.older_than("results/", time.time() + 3600))

    # Whoever holds an older claim than the last is refused.
    assert (order[0] == "finish") == told["finish"]
    assert told["cancel"] == (not told["finish"])
    assert told["claim"] == (order[0] == "claim")
    assert ("succeeded" if told["finish"] else "cancelled") == ended.status
    assert ([ended.result.key] if ended.result else []) == results
    delivery = house.stores.backend.read(Delivery, delivery_id(job.id))
    assert delivery is not None
    assert f"job.{ended.status}" == orjson.loads(delivery.body)["type"]


def test_a_bad_request_is_not_kept(house: House) -> None:
    """What the model would refuse is refused at submit, and neither a record nor bytes are kept; so is a webhook that is refused."""
    with pytest.raises(WrongShape):
        house.submit(asked=ASKED._replace(body=b'{"inputs":[[1]]}'))
    with pytest.raises(WebhookRefused):
        house.submit(webhook=Webhook("https://refused.test"))

    assert [] == house.stores.backend.due(1e12, 10)
    assert [] == list(house.stores.storage.older_than("", time.time() + 3600))


def test_a_job_is_durable_before_it_is_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes are kept before the record, and the record before the message, whose loss is the sweeper's to mend."""
    steps: list[str] = []

    def spy(holder: object, name: str) -> None:
        call = getattr(holder, name)

        def spied(*arguments: object) -> object:
            steps.append(name)
            if name == "send":
                raise StoreUnavailable("no queue")
            return call(*arguments)

        monkeypatch.setattr(holder, name, spied)

    for holder, name in ((house.stores.storage, "put"), (house.stores.backend, "write"), (house.stores.backend, "send")):
        spy(holder, name)
    job = house.submit()

    assert ["put", "write", "send"] == steps
    assert "queued" == house.jobs.show("a", job.id).status


def test_a_key_taken_meanwhile(house: House) -> None:
    """A submit that loses its key keeps nothing."""
    idempotency = Idempotency(house.stores)
    key = Key("a", "k", "f" * 64)

    def lose(job_id: str) -> Change:
        change = idempotency.change(key, job_id=job_id)
        assert house.stores.backend.write([idempotency.change(key, job_id="0" * 32)])
        return change

    assert house.jobs.submit(ASKED, Report(), owner="a", reserve=lose) is None
    assert [] == list(house.stores.storage.older_than("", time.time() + 3600))
    assert [] == house.jobs.page("a", 10, "")[0]


def test_nobody_hears_of_another_s(house: House) -> None:
    """For whom it does not belong to, for an id that is none, and after its time a job is unknown in the same words."""
    job = house.submit()
    gone = house.submit()
    house.work(gone.id)
    house.clock.advance(501)
    words = set()
    for owner, job_id in (("b", job.id), ("", job.id), ("a", "0" * 32), ("a", "x"), ("a", ""), ("a", gone.id)):
        for ask in (house.jobs.show, house.jobs.cancel, lambda *names: house.jobs.wait(*names, 0)):
            with pytest.raises(UnknownJob) as raised:
                ask(owner, job_id)
            words.add(raised.value.detail)

    assert 1 == len(words)
    assert "queued" == house.jobs.show("a", job.id).status


def test_nobody_lists_the_jobs_of_nobody(house: House) -> None:
    """Where callers without an identity share one, theirs are not listed; each is found by its id."""
    job = house.submit(owner="")
    with pytest.raises(NotOffered):
        house.jobs.page("", 10, "")

    assert job.id == house.jobs.show("", job.id).id


def test_what_is_too_old_is_told_before_the_sweeper_comes(house: House) -> None:
    """A job that nobody answered in time is expired wherever it is looked at, and no worker answers it."""
    job = house.submit(webhook=HOOK)
    house.clock.advance(86_400)
    assert "queued" == house.kept(job.id).status

    assert "expired" == house.jobs.show("a", job.id).status == house.jobs.page("a", 10, "")[0][0].status
    assert [] == house.work(job.id)
    assert "expired" == house.kept(job.id).status
    with pytest.raises(JobFinished):
        house.jobs.cancel("a", job.id)


def test_a_wait_ends_with_the_job(house: House) -> None:
    """Who waits hears of the end when it has come, and otherwise of the state when his time is up."""
    job = house.submit()
    assert "queued" == house.jobs.wait("a", job.id, 0).status
    house.work(job.id)

    assert "succeeded" == house.jobs.wait("a", job.id, 60).status


def test_the_result_is_what_was_kept(house: House) -> None:
    """The result's bytes are compared with their digest; bytes that are damaged or gone are never handed out, nor to be asked for again."""
    job = house.submit()
    house.work(job.id)
    done = house.jobs.show("a", job.id)
    assert done.result is not None
    assert [1.5] == orjson.loads(house.jobs.result(done))["outputs"]["y"]
    house.stores.storage.put(done.result.key, b"other")
    with pytest.raises(StoreUnavailable, match="send the request or the upload anew") as damaged:
        house.jobs.result(done)
    house.stores.storage.delete(done.result.key)
    with pytest.raises(StoreUnavailable, match="submit the request again") as gone:
        house.jobs.result(done)

    assert ({}, {}) == (damaged.value.headers, gone.value.headers)


def test_a_cancel_that_always_loses_ends(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancel tries a number of times, and then says when to try again."""
    job = house.submit()
    monkeypatch.setattr(house.stores.backend, "write", lambda changes: False)

    with pytest.raises(StoreUnavailable) as raised:
        house.jobs.cancel("a", job.id)
    assert {"Retry-After": "5"} == raised.value.headers
