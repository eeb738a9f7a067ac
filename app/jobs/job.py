"""What a job is and may become. Pure: time and chance are passed in, and nothing is written here.

::

    queued ──claim──▶ running ──▶ succeeded | failed
      ▲                 │
      └────put_back─────┘         queued | running ──▶ cancelled | expired

The last four never change again. Every claim counts an attempt, and every record a revision: whoever holds an older
revision than the one that is kept is refused, be it a worker that comes back after its lease ended.
"""

import secrets
from typing import Any, Literal, NamedTuple

Status = Literal["queued", "running", "succeeded", "failed", "cancelled", "expired"]
FINISHED: frozenset[Status] = frozenset({"succeeded", "failed", "cancelled", "expired"})
# The sweeper looks at a job that nobody has touched; each look that finds nothing wrong doubles the time to the next, up to this.
_LONGEST_PAUSE_S = 3600.0
# A webhook's ten attempts take up to 79.4 h, and what each points at is to be there.
_KEPT_FOR_WEBHOOK_S = 82 * 3600.0


class Policy(NamedTuple):
    """How long jobs live and how often they are tried. Times are in seconds."""

    max_attempts: int = 3
    # from submission to `expired`
    max_age_s: float = 86_400.0
    # from the end of a job to the end of its record and its result
    retention_s: float = 86_400.0
    # how long a message may be on its way before the sweeper sends another
    stranded_s: float = 300.0
    # before the paths in webhooks, whose receivers know no other address; may be empty
    public_url: str = ""


class Payload(NamedTuple):
    """Bytes in the storage: a request's body or a result. ``digest`` is the SHA-256 in hexadecimal."""

    key: str
    size: int
    digest: str
    content_type: str
    headers: tuple[tuple[str, str], ...] = ()


class Webhook(NamedTuple):
    """Who is told of a job's end. ``label`` is the receiver's own and comes back to it."""

    url: str
    label: str = ""


class Job(NamedTuple):
    """One prediction that is answered later. Times are seconds since the epoch.

    ``request`` holds what :class:`app.prediction.PredictionRequest` does besides the body. ``expires`` is when an unfinished
    job becomes ``expired`` and when a finished one is deleted; ``due`` when the sweeper looks at it next.
    """

    id: str
    owner: str
    status: Status
    request: dict[str, Any]
    payload: Payload
    model: str
    version: str
    digest: str
    created: float
    expires: float
    due: float
    max_attempts: int
    attempt: int = 0
    lease_until: float = 0.0
    finished: float = 0.0
    # how often the sweeper has sent it again
    resent: int = 0
    error: dict[str, Any] | None = None
    result: Payload | None = None
    webhook: Webhook | None = None
    revision: int = 0

    @property
    def is_finished(self) -> bool:
        """Whether it will never change again."""
        return self.status in FINISHED


def new_id() -> str:
    """128 random bits in hexadecimal, from the system: who knows the id of a job or an upload was told it."""
    return secrets.token_hex(16)


def is_id(text: str) -> bool:
    """Whether a text can be one of :func:`new_id`'s, and so a part of a key."""
    return len(text) == 32 and all(letter in "0123456789abcdef" for letter in text)


def claim(job: Job, now: float, lease_s: float) -> Job | None:
    """The job as taken by a worker for one more attempt; None where there is nothing to do or somebody else is at it."""
    idle = job.status == "queued" or (job.status == "running" and job.lease_until <= now)
    if not idle or now >= job.expires or job.attempt >= job.max_attempts:
        return None
    lease_until = now + lease_s
    return job._replace(status="running", attempt=job.attempt + 1, lease_until=lease_until, due=lease_until)


def put_back(job: Job, now: float, policy: Policy) -> Job | None:
    """The job as waiting for its next attempt; None when none is left."""
    if job.status != "running" or job.attempt >= job.max_attempts:
        return None
    return job._replace(status="queued", lease_until=0.0, due=now + policy.stranded_s)


def send_again(job: Job, now: float, policy: Policy) -> Job | None:
    """The job as sent to the workers once more by the sweeper; None where that is not what it needs."""
    if job.is_finished or job.attempt >= job.max_attempts or (job.status == "running" and job.lease_until > now):
        return None
    pause = min(policy.stranded_s * 2 ** min(job.resent, 16), _LONGEST_PAUSE_S)
    return job._replace(status="queued", lease_until=0.0, resent=job.resent + 1, due=now + pause)


def succeed(job: Job, result: Payload, now: float, policy: Policy) -> Job | None:
    """The job as answered; None where it was not running."""
    if job.status != "running":
        return None
    return _finish(job, "succeeded", now, policy)._replace(result=result)


def fail(job: Job, error: dict[str, Any], now: float, policy: Policy) -> Job | None:
    """The job as failed for good; None where it had ended already."""
    return None if job.is_finished else _finish(job, "failed", now, policy)._replace(error=error)


def cancel(job: Job, now: float, policy: Policy) -> Job | None:
    """The job as cancelled by its caller; None where it had ended already."""
    return None if job.is_finished else _finish(job, "cancelled", now, policy)


def expire(job: Job, now: float, policy: Policy) -> Job | None:
    """The job as too old to be answered; None where it had ended already or is not that old."""
    return None if job.is_finished or now < job.expires else _finish(job, "expired", now, policy)


def is_gone(job: Job, now: float) -> bool:
    """Whether its time is over. The record may still be there: DynamoDB deletes within days of the time, not at it."""
    return job.is_finished and now >= job.expires


def _finish(job: Job, status: Status, now: float, policy: Policy) -> Job:
    expires = now + (max(policy.retention_s, _KEPT_FOR_WEBHOOK_S) if job.webhook else policy.retention_s)
    return job._replace(status=status, finished=now, lease_until=0.0, expires=expires, due=expires)
