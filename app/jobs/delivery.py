"""A webhook that is due: one message with one id, sent until its receiver takes it. Pure, like :mod:`app.jobs.job`."""

from typing import Literal, NamedTuple

DeliveryStatus = Literal["pending", "delivered", "stopped", "failed"]
Disposition = Literal["delivered", "retry", "stop"]
# A sender that died is followed by another after this many seconds; one attempt takes at most 15.
LEASE_S = 60.0
# How long a message may be on its way before the sweeper sends another.
STRANDED_S = 120.0
# The longest delay that SQS takes; what is due later is sent by the sweeper when its time comes:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-delay-queues.html
LONGEST_DELAY_S = 900.0
_KEPT_AFTER_LAST_S = 86_400.0


class Attempt(NamedTuple):
    """One try. ``outcome`` is the receiver's HTTP status as text, or a word for what went wrong before one came."""

    at: float
    outcome: str
    duration_s: float


class Delivery(NamedTuple):
    """One webhook. ``id`` is its ``webhook-id`` in every attempt; ``job_id`` the job whose end it tells of.

    Times are seconds since the epoch: ``next_at`` is when it may be sent, ``due`` when the sweeper looks at it, ``expires`` when it
    is forgotten.
    """

    id: str
    job_id: str
    owner: str
    url: str
    label: str
    body: str
    created: float
    expires: float
    due: float
    next_at: float
    status: DeliveryStatus = "pending"
    attempts: tuple[Attempt, ...] = ()
    lease_until: float = 0.0
    revision: int = 0

    @property
    def is_done(self) -> bool:
        """Whether it will not be sent again."""
        return self.status != "pending"


def claim(delivery: Delivery, now: float) -> Delivery | None:
    """The delivery as taken by a sender; None where it is done, not due, or in another's hands."""
    if delivery.is_done or delivery.next_at > now or delivery.lease_until > now:
        return None
    return delivery._replace(lease_until=now + LEASE_S, due=now + LEASE_S)


def record(delivery: Delivery, attempt: Attempt, disposition: Disposition, next_delay_s: float | None) -> Delivery:
    """The delivery after one attempt.

    :param next_delay_s: until the next attempt; None when there is none, which makes a delivery that was not taken ``failed``.
    """
    done = delivery._replace(attempts=(*delivery.attempts, attempt), lease_until=0.0)
    if disposition == "retry" and next_delay_s is not None:
        next_at = attempt.at + next_delay_s
        # A receiver that puts attempts off by Retry-After has all of them.
        expires = max(delivery.expires, next_at + _KEPT_AFTER_LAST_S)
        return done._replace(next_at=next_at, expires=expires, due=next_at if next_delay_s > LONGEST_DELAY_S else next_at + STRANDED_S)
    ended: dict[Disposition, DeliveryStatus] = {"delivered": "delivered", "stop": "stopped", "retry": "failed"}
    return done._replace(status=ended[disposition], due=delivery.expires)


def send_again(delivery: Delivery, now: float) -> Delivery | None:
    """The delivery as sent to the senders once more by the sweeper; None where that is not what it needs."""
    if delivery.is_done or delivery.lease_until > now or delivery.next_at > now:
        return None
    return delivery._replace(due=now + STRANDED_S)
