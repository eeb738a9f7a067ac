"""What a run asks of AWS beside what the program asks: to look at everything, with no fault in the way."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from app.jobs.backend import Record
from app.jobs.records import record_of
from tests.faults.function import Names
from tests.faults.memory_aws import MemoryAws, Queue
from tests.faults.points import Send

# As the template has them: maxReceiveCount, and six times the worker's timeout at least.
VISIBILITY_S = 360.0
MAX_RECEIVES = 5
MAX_WEBHOOK_RECEIVES = 5


class Cloud(Protocol):
    """An account of AWS for one run after the other."""

    names: Names
    # every item that a write has put into the table, in their order
    writes: list[dict[str, Any]]

    @property
    def send(self) -> Send:
        """One attempt at one operation."""

    def items(self) -> list[dict[str, Any]]:
        """The whole table."""

    def objects(self) -> list[str]:
        """The keys of all objects."""

    def waiting(self, queue: str) -> int:
        """How many messages are in a queue, be they visible or not."""

    def bodies(self, queue: str) -> list[str]:
        """The messages of a queue."""


def records(items: Sequence[dict[str, Any]]) -> list[Record]:
    """Items as records."""
    return [record_of(item["kind"]["S"], item["document"]["B"]) for item in items]


def status_of(cloud: Cloud, job_id: str) -> str:
    """The status that is kept of a job; empty where there is none."""
    asked = {"TableName": cloud.names.table, "Key": {"pk": {"S": f"job#{job_id}"}}, "ConsistentRead": True}
    item = cloud.send("dynamodb", "get_item", asked).get("Item")
    return "" if item is None else str(json.loads(item["document"]["B"])["status"])


class MemoryCloud:
    """An account in memory."""

    def __init__(self, clock: Callable[[], float], *, lag: int = 0, duplicates: Callable[[], float] | None = None) -> None:
        self.names = Names()
        self.aws = MemoryAws(clock, lag=lag, duplicates=duplicates)
        dead = Queue(visibility_s=VISIBILITY_S)
        self.aws.queues = {
            "jobs": Queue(dead, visibility_s=VISIBILITY_S, max_receives=MAX_RECEIVES),
            "jobs-dead": dead,
            "webhooks": Queue(Queue(), visibility_s=VISIBILITY_S, max_receives=MAX_WEBHOOK_RECEIVES),
        }
        self.writes = self.aws.table.writes

    @property
    def send(self) -> Send:
        """The account itself."""
        return self.aws.send

    def items(self) -> list[dict[str, Any]]:
        """The whole table."""
        return list(self.aws.table.items.values())

    def objects(self) -> list[str]:
        """The keys of all objects."""
        return list(self.aws.objects)

    def waiting(self, queue: str) -> int:
        """How many messages there are."""
        return len(self.aws.queues[queue].messages)

    def bodies(self, queue: str) -> list[str]:
        """The messages of a queue."""
        return [message.body for message in self.aws.queues[queue].messages.values()]
