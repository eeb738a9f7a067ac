"""Cases of queues by their number: messages that nobody can read, that are dead, sent again, or lost."""

from tests.faults.cases import at_rest, job_of, memory
from tests.faults.cloud import MAX_RECEIVES, VISIBILITY_S
from tests.faults.scenarios import BOB
from tests.faults.world import HOUR_S, World


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
