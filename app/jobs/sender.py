"""Sends the webhooks that are due: claim, one attempt, keep what came of it, and when the next one is."""

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from app.errors import Problem
from app.jobs import delivery as deliveries
from app.jobs.backend import Change
from app.jobs.delivery import LONGEST_DELAY_S, Attempt, Delivery, Disposition
from app.jobs.stores import Stores, send_soon
from app.jobs.webhook_schedule import next_attempt_delay


class Sent(NamedTuple):
    """What came of an attempt. ``outcome`` is the receiver's status as text, or a word for what went wrong."""

    disposition: Disposition
    outcome: str
    retry_after_s: float | None
    duration_s: float


class Sender:
    """Works off deliveries of webhook ids."""

    def __init__(self, stores: Stores, transmit: Callable[[Delivery], Sent], chance: Callable[[], float] = random.random) -> None:
        """:param transmit: one attempt; raises nothing that a receiver causes.
        :param chance: numbers from 0 to 1 that keep receivers that failed together from being called together again.
        """
        self._stores = stores
        self._transmit = transmit
        self._chance = chance

    def work(self, ids: Sequence[str], deadline: float) -> list[str]:  # noqa: ARG002 - an attempt has a deadline of its own
        """Send webhooks.

        :returns: those whose messages must come again.
        """
        again = []
        for delivery_id in dict.fromkeys(ids):
            try:
                self._send(delivery_id)
            except Problem as error:
                self._stores.note("a webhook's attempt could not be kept", error)
                again.append(delivery_id)
        return again

    def _send(self, delivery_id: str) -> None:
        stores = self._stores
        kept = stores.backend.read(Delivery, delivery_id)
        now = stores.clock()
        if kept is None or kept.is_done:
            return
        mine = deliveries.claim(kept, now)
        if mine is None:
            # Too early; where another sender has it, the sweeper sees to it if that one dies.
            self._send_at(kept, now)
            return
        if not stores.backend.write([Change(kept, mine)]):
            return
        mine = mine._replace(revision=kept.revision + 1)
        sent = self._transmit(mine)
        attempt = Attempt(now, sent.outcome, sent.duration_s)
        delay_s = next_attempt_delay(len(mine.attempts) + 1, sent.retry_after_s, self._chance())
        after = deliveries.record(mine, attempt, sent.disposition, delay_s)
        if stores.backend.write([Change(mine, after)]):
            self._send_at(after, now)

    def _send_at(self, delivery: Delivery, now: float) -> None:
        """Have a delivery come again when its time has come; what is far off is the sweeper's to send."""
        delay_s = delivery.next_at - now
        if not delivery.is_done and 0 < delay_s <= LONGEST_DELAY_S:
            send_soon(self._stores, "webhooks", delivery.id, delay_s)
