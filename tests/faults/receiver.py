"""Who takes webhooks in a run, and notes what was durable when each of them came."""

import json
from collections.abc import Callable
from typing import NamedTuple

from app.jobs.delivery import Delivery
from app.jobs.sender import Sent


class Arrival(NamedTuple):
    """One attempt that came. ``kept`` is the job's status in the table at that moment; empty where there was no job."""

    webhook_id: str
    job_id: str
    said: str
    kept: str
    body: str
    status: int


class Receiver:
    """Answers 204; at an address that ends in ``busy`` the first attempt of each webhook is answered 503.

    :param status_of: the status that is kept of a job.
    """

    def __init__(self, status_of: Callable[[str], str]) -> None:
        self._status_of = status_of
        self.arrivals: list[Arrival] = []
        self._called: set[str] = set()

    def take(self, webhook_id: str, url: str, body: str) -> int:
        """The receiver's answer."""
        data = json.loads(body)["data"]
        status = 503 if url.endswith("busy") and webhook_id not in self._called else 204
        self._called.add(webhook_id)
        self.arrivals.append(Arrival(webhook_id, data["id"], data["status"], self._status_of(data["id"]), body, status))
        return status

    def transmit(self, delivery: Delivery) -> Sent:
        """One attempt without a network."""
        status = self.take(delivery.id, delivery.url, delivery.body)
        return Sent("delivered" if status == 204 else "retry", str(status), None, 0.0)
