"""The messages of :mod:`app.jobs.queue_message` in SQS."""

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from app.errors import StoreUnavailable
from app.jobs.backend import Queue
from app.jobs.queue_message import message_of, named_in
from app.storage.aws_clients import attempts, call, time_left, unavailable, within

# SendMessageBatch and ReceiveMessage take at most ten.
_BATCH = 10
# A look at dead letters ends by itself; until then its messages are hidden from other receivers.
_LOOK_S = 5.0
_HIDDEN_S = 10


class Urls(NamedTuple):
    """Where the messages of one queue are; ``dead`` is empty where dead letters are not looked at."""

    messages: str
    dead: str = ""


def send(url: str, queue: Queue, ids: Sequence[str], delay_s: float) -> None:
    """Send a message for each id, ten in a request; those that SQS took are not sent again with those it did not.

    :raises StoreUnavailable: where some were not taken.
    """
    # Whole seconds, and not before the time.
    delay = math.ceil(delay_s)
    with within():
        for first in range(0, len(ids), _BATCH):
            _send_batch(url, {str(number): message_of(queue, name) for number, name in enumerate(ids[first : first + _BATCH])}, delay)


def _send_batch(url: str, bodies: dict[str, str], delay: int) -> None:
    for _ in attempts():
        entries = [{"Id": entry, "MessageBody": body, "DelaySeconds": delay} for entry, body in bodies.items()]
        failed = call("sqs", "send_message_batch", QueueUrl=url, Entries=entries).get("Failed", [])
        if not failed:
            return
        if any(entry.get("SenderFault") for entry in failed):
            break
        bodies = {entry["Id"]: bodies[entry["Id"]] for entry in failed}
    raise unavailable("sqs", "send_message_batch")


def dead(url: str, limit: int) -> list[str]:
    """Ids in a queue of dead letters. The messages are given back at once, and one that is not of ours is left out."""
    found: dict[str, str] = {}
    with within(time.monotonic() + _LOOK_S):
        try:
            while len(found) < limit and (received := _receive(url, min(_BATCH, limit - len(found)))):
                found.update({message["ReceiptHandle"]: message["Body"] for message in received})
        finally:
            # Where this fails they come back by themselves, a few seconds later.
            with suppress(StoreUnavailable):
                _give_back(url, list(found))
    return [named[1] for body in found.values() if (named := named_in(body))]


def _receive(url: str, limit: int) -> list[dict[str, Any]]:
    # Waiting a second asks all of the queue's servers, and not some of them ("Amazon SQS short and long polling").
    if time_left() < _LOOK_S / 2:
        return []
    asked = {"QueueUrl": url, "MaxNumberOfMessages": limit, "VisibilityTimeout": _HIDDEN_S, "WaitTimeSeconds": 1}
    received: list[dict[str, Any]] = call("sqs", "receive_message", **asked).get("Messages", [])
    return received


def _give_back(url: str, receipts: Sequence[str]) -> None:
    for first in range(0, len(receipts), _BATCH):
        batch = enumerate(receipts[first : first + _BATCH])
        entries = [{"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": 0} for number, receipt in batch]
        call("sqs", "change_message_visibility_batch", QueueUrl=url, Entries=entries)
