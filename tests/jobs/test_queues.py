"""What every store of jobs does, asked of each of them: messages."""

from app.jobs.backend import Queue
from tests.jobs.stores import MAX_RECEIVES, VISIBILITY_S, Stores

# Past the end of a message's time in its receiver's hands.
AGAIN_S = VISIBILITY_S + 1


def drain(stores: Stores, queue: Queue = "jobs") -> list[str]:
    """The ids of all messages that are there now; they are worked off."""
    ids = []
    while messages := stores.receive(queue):
        ids += [record_id for record_id, _ in messages]
        stores.acknowledge(queue, [receipt for _, receipt in messages])
    return sorted(ids)


def test_messages_arrive(stores: Stores) -> None:
    """Every id that was sent arrives once, in batches of at most 10, and never again once it was acknowledged."""
    ids = [f"{number:032x}" for number in range(25)]
    stores.backend.send("jobs", ids)
    first = stores.receive("jobs")
    assert len(first) <= 10
    stores.acknowledge("jobs", [receipt for _, receipt in first])

    assert ids == sorted([*(record_id for record_id, _ in first), *drain(stores)])
    stores.later(AGAIN_S)
    assert [] == stores.receive("jobs")


def test_queues_are_apart(stores: Stores) -> None:
    """A message is in the queue that it was sent to."""
    stores.backend.send("jobs", ["a"])
    stores.backend.send("webhooks", ["b"])

    assert (["a"], ["b"]) == (drain(stores, "jobs"), drain(stores, "webhooks"))


def test_nothing_is_sent(stores: Stores) -> None:
    """No ids make no message."""
    stores.backend.send("jobs", [])

    assert [] == stores.receive("jobs")


def test_a_message_is_in_one_hand(stores: Stores) -> None:
    """A message that was received is not seen by others until its time is over, and then comes again (F-36)."""
    stores.backend.send("jobs", ["a"])
    assert ["a"] == [record_id for record_id, _ in stores.receive("jobs")]
    assert [] == stores.receive("jobs")

    stores.later(AGAIN_S)
    assert ["a"] == drain(stores)


def test_a_message_is_delayed(stores: Stores) -> None:
    """A message that was sent with a delay arrives after it and not before."""
    stores.backend.send("webhooks", ["a"], delay_s=2)
    assert [] == stores.receive("webhooks")

    stores.later(3)
    assert ["a"] == drain(stores, "webhooks")


def test_an_id_may_be_sent_twice(stores: Stores) -> None:
    """Two messages of one id are two messages, and each is acknowledged by itself."""
    stores.backend.send("jobs", ["a", "a"])
    stores.backend.send("jobs", ["a"])

    assert ["a", "a", "a"] == drain(stores)


def test_part_of_a_batch_is_acknowledged(stores: Stores) -> None:
    """Of a batch only the messages that were acknowledged are gone; the others come again (F-38)."""
    stores.backend.send("jobs", ["a", "b", "c"])
    receipts = dict(stores.receive("jobs"))
    stores.acknowledge("jobs", [receipts["b"]])
    stores.acknowledge("jobs", [])

    stores.later(AGAIN_S)
    assert ["a", "c"] == drain(stores)


def test_a_message_that_nobody_can_work_off_is_dead(stores: Stores) -> None:
    """A message that came as often as allowed comes no more, and its id is told as dead; the others go on (F-37)."""
    stores.backend.send("jobs", ["poison"])
    for _ in range(MAX_RECEIVES):
        assert ["poison"] == [record_id for record_id, _ in stores.receive("jobs")]
        assert [] == stores.backend.dead("jobs", 10)
        stores.later(AGAIN_S)
    stores.backend.send("jobs", ["good"])

    assert ["good"] == drain(stores)
    assert ["poison"] == stores.backend.dead("jobs", 10)
    assert ["poison"] == stores.backend.dead("jobs", 10), "a look takes nothing away"
    assert [] == stores.backend.dead("webhooks", 10)
