"""Results as messages of an SQS queue: the answer is the body, and what it is of stands in the attributes.

A standard queue may hold a result twice, under one ``record-id``. A FIFO queue keeps the order within a group.
"""

import base64
import hashlib
import re
from collections import deque
from collections.abc import Hashable, Sequence
from typing import Any

from app.errors import Problem, StoreUnavailable
from app.results import Result
from app.results.sending import Entry, Limits, Refusal, Service, built, send, too_large
from app.storage.aws_clients import call, within

# "SendMessageBatch": ten messages, of 1 MiB each and together
# (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html); attributes count
# with their names and types ("Amazon SQS message metadata").
_LIMITS = Limits(10, 1_048_576)
# "Amazon SQS message quotas", message content: the characters of XML 1.0.
_NO_CHARACTER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# The same page, message group ID.
_GROUP = re.compile(r"[A-Za-z0-9!-/:-@\[-`{-~]{1,128}")
_WITHOUT_GROUP = "results"


class SqsQueue:
    """A queue."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ordered = url.endswith(".fifo")
        self._service = Service("sqs", "send_message_batch", _LIMITS, self._send)

    def put(self, results: Sequence[Result]) -> list[Problem | None]:
        """Send results. To a FIFO queue each group's go in order, and after one that failed no later one of its group."""
        entries, problems = built(results, self._entry)
        with within():
            if self._ordered:
                self._send_in_order(results, entries, problems)
            else:
                problems |= send(self._service, entries.values())
        return [problems.get(place) for place in range(len(results))]

    def _send_in_order(self, results: Sequence[Result], entries: dict[int, Entry], problems: dict[int, Problem]) -> None:
        # One of a group at a time: of a batch SQS may take the second and refuse the first. Those without a group have no order.
        chains: dict[Hashable, deque[int]] = {}
        for place, result in enumerate(results):
            chains.setdefault(result.group or place, deque()).append(place)
        while chains:
            problems |= send(self._service, [entries[chain[0]] for chain in chains.values() if chain[0] in entries])
            for group, chain in list(chains.items()):
                if chain.popleft() in problems:
                    problems |= {place: _behind() for place in chain}
                    chain.clear()
                if not chain:
                    del chains[group]

    def _entry(self, place: int, result: Result) -> Entry:
        body, encoded = _text(result.body)
        attributes = {
            "content-type": result.content_type,
            "model": result.model,
            "version": result.version,
            "status": str(result.problem.status if result.problem else 200),
            "correlation-id": result.correlation_id,
            "record-id": result.id,
            # RFC 2045, section 6
            "content-transfer-encoding": "base64" if encoded else "",
        }
        # SQS refuses a value that is empty.
        values = {name: _NO_CHARACTER.sub("\ufffd", value) for name, value in attributes.items() if value}
        size = len(body.encode()) + sum(len(name) + len("String") + len(value.encode()) for name, value in values.items())
        if size > _LIMITS.size:
            raise too_large(size, _LIMITS.size, "an SQS queue")
        message: dict[str, Any] = {
            "MessageBody": body,
            "MessageAttributes": {name: {"DataType": "String", "StringValue": value} for name, value in values.items()},
        }
        if self._ordered:
            message |= {"MessageGroupId": _group(result.group), "MessageDeduplicationId": _deduplication(result)}
        return Entry(place, size, message)

    def _send(self, batch: Sequence[Entry]) -> list[Refusal | None]:
        messages = [{"Id": str(number), **entry.content} for number, entry in enumerate(batch)]
        answer = call("sqs", "send_message_batch", QueueUrl=self._url, Entries=messages)
        failed = {entry["Id"]: Refusal(entry.get("Code", ""), not entry.get("SenderFault")) for entry in answer.get("Failed", [])}
        taken = {entry["Id"] for entry in answer.get("Successful", [])}
        # One that the answer does not name is not known to be taken.
        return [None if name in taken else failed.get(name, Refusal("", passes=True)) for name in map(str, range(len(batch)))]


def _text(body: bytes) -> tuple[str, bool]:
    """A body as SQS takes it, and whether that is base64 (of nothing: an empty line, since a message has at least one character)."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = ""
    if text and not _NO_CHARACTER.search(text):
        return text, False
    return base64.b64encode(body).decode() or "\n", True


def _group(group: str) -> str:
    if not group:
        return _WITHOUT_GROUP
    return group if _GROUP.fullmatch(group) else hashlib.sha256(group.encode()).hexdigest()


def _deduplication(result: Result) -> str:
    # With the status: an error that passed must not hide the answer that came within five minutes after it.
    status = result.problem.status if result.problem else 200
    return hashlib.sha256(f"{result.source}\0{result.id}\0{status}".encode()).hexdigest()


def _behind() -> StoreUnavailable:
    return StoreUnavailable("An earlier result of the same group was not sent, so this one was not either: the order of a group is kept.")
