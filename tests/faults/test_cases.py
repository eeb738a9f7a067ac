"""Cases of jobs on AWS by their number, each by itself: what is lost, late, twice or gone, and what callers see of it."""

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from app.jobs.job import Job
from app.storage import aws_clients
from tests.faults import invariants
from tests.faults.callers import Ask, sqs_record
from tests.faults.clock import Clock
from tests.faults.cloud import MAX_RECEIVES, VISIBILITY_S, MemoryCloud, records
from tests.faults.function import Function
from tests.faults.points import Fault
from tests.faults.scenarios import BOB, answers
from tests.faults.world import HOUR_S, World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A world without faults; ``world.points`` stands between the program and AWS."""
    clock = Clock()
    found = World(MemoryCloud(clock), clock)
    monkeypatch.setattr(aws_clients, "_PAUSE_S", 0.0)

    def send(service: str, operation: str, arguments: dict[str, Any]) -> Any:
        # Asked for each time, as some tests put another in its place.
        return found.points.send(service, operation, arguments)

    monkeypatch.setattr(aws_clients, "send", send)
    return found


def memory(world: World) -> MemoryCloud:
    assert isinstance(world.cloud, MemoryCloud)
    return world.cloud


def job_of(world: World, job_id: str) -> Job:
    return next(record for record in records(world.cloud.items()) if isinstance(record, Job) and record.id == job_id)


def delivered(job_id: str) -> dict[str, Any]:
    """A message of a job, in a delivery; its id is the job's."""
    return sqs_record({"MessageId": job_id, "ReceiptHandle": "receipt", "Body": json.dumps({"v": 1, "job": job_id})})


def fail_at(world: World, operation: str, mode: str) -> None:
    """Let the next call of an operation go wrong."""
    seen = itertools.count()
    send = world.points.send

    def counted(service: str, name: str, arguments: dict[str, Any]) -> Any:
        if name == operation and not next(seen):
            world.points._faults[world.points.count + 1] = Fault(world.points.count + 1, mode)
        return send(service, name, arguments)

    world.points.send = counted  # type: ignore[method-assign]


def at_rest(world: World) -> list[str]:
    """What is wrong once nothing is left to do, results included."""
    assert world.settle()
    for ask in world.accepted:
        world.read(ask)
    return [*invariants.settled(world), *invariants.answered(world, answers())]


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


def test_f37_poison(world: World) -> None:
    """Messages that nobody can read fail alone, and end among the dead letters; a job whose body is gone fails with the reason."""
    good, gone = world.submit(BOB), world.submit(BOB._replace(key="gone"))
    del memory(world).aws.objects[f"payloads/{gone[:2]}/{gone}"]
    for body in ("not JSON", '{"v":9,"job":"x"}', "{}"):
        world.cloud.send("sqs", "send_message_batch", {"QueueUrl": "jobs", "Entries": [{"Id": "0", "MessageBody": body}]})
    for _ in range(MAX_RECEIVES + 1):
        world.poll("jobs")
        world.clock.advance(VISIBILITY_S)

    assert ["not JSON", '{"v":9,"job":"x"}', "{}"] == world.cloud.bodies("jobs-dead")
    assert ["succeeded", "failed"] == [job_of(world, job_id).status for job_id in (good, gone)]
    assert "The body of the request is not where it was kept." == (job_of(world, gone).error or {})["detail"]
    swept = world.sweep()
    assert (0, 0) == (swept["failed"], swept["errors"])


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
        patch.setattr("app.triggers.sqs._SHARE_TO_WRITE", 1.0)
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


def test_f42_throttled(world: World) -> None:
    """A caller hears 503 where DynamoDB does not answer, and a delivery names its jobs as failed."""
    fail_at(world, "transact_write_items", "down")
    answer = world._post(BOB, {"prefer": "respond-async", "idempotency-key": BOB.key})
    assert answer is not None
    assert (503, "store-unavailable") == (answer.status, answer.json["code"])

    job_id = world.submit(BOB)
    fail_at(world, "put_item", "down")
    answer = world.invoke({"Records": [delivered(job_id)]})
    assert {"batchItemFailures": [{"itemIdentifier": job_id}]} == answer
    assert [] == at_rest(world)


def test_f43_a_claim_whose_answer_was_lost(world: World) -> None:
    """A worker whose claim was made and not answered has the job: it is answered in its first attempt."""
    job_id = world.submit(BOB)
    fail_at(world, "put_item", "after")
    world.poll("jobs")

    assert ("succeeded", 1) == (job_of(world, job_id).status, job_of(world, job_id).attempt)


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


def test_f46_a_late_worker_resurrects_nothing(world: World) -> None:
    """A caller who saw his job expired sees nothing else ever after, though its worker comes back with a result."""
    job_id = world.submit(BOB)
    world.clock.advance(24 * HOUR_S - 60)
    fail_at(world, "get_object", "late-after")
    world.poll("jobs")

    assert "expired" == job_of(world, job_id).status
    assert [] == at_rest(world)


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


def _die(world: World, job_id: str) -> None:
    """Give the message of a job to workers that die over it, until it is a dead letter."""
    dead = world.cloud.waiting("jobs-dead")
    for _ in range(MAX_RECEIVES + 1):
        # Nobody deletes what a worker that died was given.
        world.cloud.send("sqs", "receive_message", {"QueueUrl": "jobs", "MaxNumberOfMessages": 10})
        world.clock.advance(VISIBILITY_S)
    assert dead + 1 == world.cloud.waiting("jobs-dead")


def test_f52_dead_letters_that_are_sent_again(world: World) -> None:
    """A dead letter that is redriven has its job answered, once, and its receiver hears of one id."""
    job_id = world.submit(BOB)
    _die(world, job_id)
    assert "queued" == job_of(world, job_id).status

    queues = memory(world).aws.queues
    for number, message in queues["jobs-dead"].messages.items():
        message.receives = 0
        queues["jobs"].messages[number] = message
    queues["jobs-dead"].messages.clear()
    assert [] == at_rest(world)
    assert "succeeded" == job_of(world, job_id).status
    assert {f"msg_{job_id}"} == {arrival.webhook_id for arrival in world.receiver.arrivals}


def test_dead_letters_end_a_job(world: World) -> None:
    """A job whose messages end among the dead letters, however often the sweeper sends another, has failed, and its receiver knows."""
    job_id = world.submit(BOB)
    for _ in range(MAX_RECEIVES):
        _die(world, job_id)
        world.sweep()
        if job_of(world, job_id).is_finished:
            break

    assert "failed" == job_of(world, job_id).status
    assert [] == at_rest(world)
    assert {f"msg_{job_id}"} == {arrival.webhook_id for arrival in world.receiver.arrivals}


def test_f53_a_queue_that_lost_its_messages(world: World) -> None:
    """A job whose message is gone is sent again, and one that nobody answered in a day has expired and its receiver knows."""
    first, late = world.submit(BOB), world.submit(BOB._replace(key="late"))
    memory(world).aws.queues["jobs"].messages.clear()
    world.clock.advance(600)
    assert 2 == world.sweep()["sent"]
    memory(world).aws.queues["jobs"].messages.pop(next(iter(memory(world).aws.queues["jobs"].messages)))
    world.poll("jobs")
    assert {"queued", "succeeded"} == {job_of(world, job_id).status for job_id in (first, late)}

    memory(world).aws.queues["jobs"].messages.clear()
    world.clock.advance(25 * HOUR_S)
    assert 1 == world.sweep()["expired"]
    world.poll("webhooks")
    assert {"expired", "succeeded"} == {arrival.said for arrival in world.receiver.arrivals}


def test_f54_ten_minutes_without_dynamodb(world: World) -> None:
    """While DynamoDB does not answer nobody is told 202, and what was accepted before is answered afterwards."""
    world.submit(BOB)
    up = world.points.send

    def outage(service: str, operation: str, arguments: dict[str, Any]) -> Any:
        if service == "dynamodb":
            raise EndpointConnectionError(endpoint_url=service)
        return up(service, operation, arguments)

    asks = [Ask("ann", f"in the outage {number}", (5.1, 3.5, 1.4, 0.2)) for number in range(20)]
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
