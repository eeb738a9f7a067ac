"""Cases of callers by their number: a submit that dies, is repeated, or finds AWS away, and a job whose time is over."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from app.jobs.job import Job
from tests.faults import invariants
from tests.faults.callers import Ask
from tests.faults.cases import at_rest, delivered, fail_at, job_of
from tests.faults.cloud import records
from tests.faults.function import Function
from tests.faults.scenarios import BOB
from tests.faults.world import HOUR_S, World


@pytest.mark.parametrize("operation", ["put_object", "transact_write_items", "send_message_batch"])
@pytest.mark.parametrize("mode", ["kill-before", "kill-after"])
def test_f33_a_crash_while_submitting(world: World, operation: str, mode: str) -> None:
    """A submit that dies around any of its writes was never told 202, or its job runs; asked again it is one job."""
    fail_at(world, operation, mode)
    world.submit(BOB)

    assert [] == at_rest(world)
    assert ["succeeded"] == [record.status for record in records(world.cloud.items()) if isinstance(record, Job)]


def test_f34_a_message_whose_answer_was_lost(world: World) -> None:
    """A message that was sent five times, as no answer came, is one job with one result; so is a request that is sent again."""
    fail_at(world, "send_message_batch", "lost")
    job_id = world.submit(BOB)
    assert 5 == world.cloud.waiting("jobs")
    assert job_id == world.submit(BOB)

    assert [] == at_rest(world)
    assert 1 == job_of(world, job_id).attempt


def test_f42_throttled(world: World) -> None:
    """A caller hears 503 and when to come again where DynamoDB does not answer, and a delivery names its jobs as failed."""
    fail_at(world, "transact_write_items", "down")
    answer = world._post(BOB, {"prefer": "respond-async", "idempotency-key": BOB.key})
    assert answer is not None
    assert (503, "store-unavailable", "5") == (answer.status, answer.json["code"], answer.headers["retry-after"])

    job_id = world.submit(BOB)
    fail_at(world, "put_item", "down")
    answer = world.invoke({"Records": [delivered(job_id)]})
    assert {"batchItemFailures": [{"itemIdentifier": job_id}]} == answer
    assert [] == at_rest(world)


def test_f46_time_is_over_and_the_record_is_there(world: World) -> None:
    """A job whose time is over is unknown to its caller while DynamoDB still has it."""
    job_id = world.submit(BOB)
    world.poll("jobs")
    world.clock.advance(7 * 24 * HOUR_S)
    assert "succeeded" == job_of(world, job_id).status

    for path in (f"/jobs/{job_id}", f"/jobs/{job_id}/result"):
        answer = world.request(BOB.owner, "GET", path)
        assert answer is not None
        assert 404 == answer.status


def test_f49_a_thousand_submits_under_one_key(world: World) -> None:
    """Of a thousand equal requests at the same time under one key all are told of the one job, or that it is being taken."""
    functions = [Function(world.cloud.names, world.clock, world.receiver.transmit) for _ in range(16)]

    def submit(number: int) -> tuple[int, str]:
        world_of_one = World(world.cloud, world.clock)
        world_of_one.function = functions[number % 16]
        answer = world_of_one._post(BOB, {"prefer": "respond-async", "idempotency-key": BOB.key})
        assert answer is not None
        return answer.status, answer.json.get("id", "")

    with ThreadPoolExecutor(16) as callers:
        said = list(callers.map(submit, range(1000)))

    jobs = [record.id for record in records(world.cloud.items()) if isinstance(record, Job)]
    assert 1 == len(jobs)
    assert {(202, jobs[0])} <= set(said) <= {(202, jobs[0]), (409, "")}
    assert [f"payloads/{jobs[0][:2]}/{jobs[0]}"] == world.cloud.objects()


def test_f54_ten_minutes_without_dynamodb(world: World) -> None:
    """While DynamoDB does not answer nobody is told 202, and what was accepted before is answered afterwards."""
    world.submit(BOB)
    up = world.points.send

    def outage(service: str, operation: str, arguments: dict[str, Any]) -> Any:
        if service == "dynamodb":
            raise EndpointConnectionError(endpoint_url=service)
        return up(service, operation, arguments)

    asks = [Ask("ann", f"in-the-outage-{number}", (5.1, 3.5, 1.4, 0.2)) for number in range(20)]
    world.points.send = outage  # type: ignore[method-assign]
    said = []
    for ask in asks:
        answer = world._post(ask, {"prefer": "respond-async", "idempotency-key": ask.key})
        said.append(answer.status if answer else 0)
        world.poll("jobs")
        world.sweep()
        world.clock.advance(30)
    assert [503] * 20 == said

    world.points.send = up  # type: ignore[method-assign]
    for ask in asks:
        world.submit(ask)
    assert world.settle()
    assert [] == invariants.settled(world)
    assert {"succeeded"} == {record.status for record in records(world.cloud.items()) if isinstance(record, Job)}
