"""Cases of workers by their number: two at once, one that dies, comes back, is late, or can answer only some of a delivery."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from tests.faults import invariants
from tests.faults.cases import at_rest, delivered, fail_at, job_of, memory
from tests.faults.function import Function
from tests.faults.scenarios import BOB
from tests.faults.world import HOUR_S, World


def test_f35_one_message_at_two_workers_at_once(world: World) -> None:
    """Of two workers that have the same message at the same moment one answers the job, and the other has nothing to do."""
    for number in range(20):
        ask = BOB._replace(key=str(number))
        job_id = world.submit(ask)
        event = {"Records": [delivered(job_id)]}
        functions = [Function(world.cloud.names, world.clock, world.receiver.transmit) for _ in range(2)]
        with ThreadPoolExecutor(2) as workers:
            said = list(workers.map(lambda function, event=event: function.invoke(event), functions))

        assert [{"batchItemFailures": []}] * 2 == said
        assert ("succeeded", 1) == (job_of(world, job_id).status, job_of(world, job_id).attempt)
    assert [] == [violation for violation in invariants.settled(world) if violation.startswith("N3")]


@pytest.mark.parametrize(("operation", "attempts"), [("transact_write_items", 2), ("send_message_batch", 1), ("delete_message_batch", 1)])
def test_f36_a_worker_that_dies_at_the_end(world: World, operation: str, attempts: int) -> None:
    """A worker that dies after the result was put, after the end was kept, or before its message was deleted leaves one result."""
    job_id = world.submit(BOB)
    fail_at(world, operation, "kill-before")

    assert [] == at_rest(world)
    assert ("succeeded", attempts) == (job_of(world, job_id).status, job_of(world, job_id).attempt)
    world.age()
    assert [] == invariants.aged(world)


@pytest.mark.parametrize("failing", range(11))
def test_f38_some_of_a_batch(world: World, failing: int) -> None:
    """Of ten jobs in one delivery exactly those come again that could not be answered."""
    ids = [world.submit(BOB._replace(key=str(number))) for number in range(10)]
    bad = set(ids[:failing])
    send = world.cloud.send

    def no_body(service: str, operation: str, arguments: dict[str, Any]) -> Any:
        if operation == "get_object" and arguments["Key"].rpartition("/")[2] in bad:
            raise EndpointConnectionError(endpoint_url=service)
        return send(service, operation, arguments)

    world.points.send = no_body  # type: ignore[method-assign]
    records_of = [delivered(job_id) for job_id in ids]
    answer = world.invoke({"Records": records_of})

    assert bad == {item["itemIdentifier"] for item in answer["batchItemFailures"]}
    assert ["queued" if job_id in bad else "succeeded" for job_id in ids] == [job_of(world, job_id).status for job_id in ids]


@pytest.mark.parametrize("event", [{}, {"Records": []}, {"Records": [{"eventSource": "aws:sqs"}]}, None, [], {"sweep": False}])
def test_f39_an_unknown_event_raises(world: World, event: Any) -> None:
    """What is no event of ours is never answered, as an empty answer would delete messages."""
    with pytest.raises(Exception, match="event"):
        world.function.invoke(event)


def test_f40_a_deadline_in_the_middle(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs whose delivery has no time left are handed back whole, and are answered by the next."""
    ids = [world.submit(BOB._replace(key=str(number))) for number in range(3)]
    record = [delivered(job_id) for job_id in ids]
    with monkeypatch.context() as patch:
        patch.setattr("tests.faults.function.TIMEOUT_S", 1.0)
        patch.setattr("app.triggers.records._SHARE_TO_WRITE", 1.0)
        answer = world.invoke({"Records": record})

    assert set(ids) == {item["itemIdentifier"] for item in answer["batchItemFailures"]}
    assert {"queued"} == {job_of(world, job_id).status for job_id in ids}
    assert [] == [key for key in memory(world).aws.objects if key.startswith("results/")]
    assert [] == at_rest(world)


def test_f41_a_worker_that_comes_back(world: World) -> None:
    """A worker that comes back an hour after its lease finds its job answered, and what it writes is refused and leaves nothing."""
    job_id = world.submit(BOB)
    fail_at(world, "get_object", "slow-after")
    world.poll("jobs")
    job = job_of(world, job_id)

    assert ("succeeded", 2) == (job.status, job.attempt)
    assert [f"results/{job_id[:2]}/{job_id}/2"] == [key for key in memory(world).aws.objects if key.startswith("results/")]
    assert [] == at_rest(world)


def test_f43_a_claim_whose_answer_was_lost(world: World) -> None:
    """A worker whose claim was made and not answered has the job: it is answered in its first attempt."""
    job_id = world.submit(BOB)
    fail_at(world, "put_item", "after")
    world.poll("jobs")

    assert ("succeeded", 1) == (job_of(world, job_id).status, job_of(world, job_id).attempt)


def test_f46_a_late_worker_resurrects_nothing(world: World) -> None:
    """A caller who saw his job expired sees nothing else ever after, though its worker comes back with a result."""
    job_id = world.submit(BOB)
    world.clock.advance(24 * HOUR_S - 60)
    fail_at(world, "get_object", "late-after")
    world.poll("jobs")

    assert "expired" == job_of(world, job_id).status
    assert [] == at_rest(world)
