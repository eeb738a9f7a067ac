"""An ``Idempotency-Key`` in use: draft-ietf-httpapi-idempotency-key-header-07. Pure, like :mod:`app.jobs.job`."""

import hashlib
from typing import NamedTuple

from app.jobs.job import Payload

# The draft leaves the time to the server and asks it to say so; 24 h is what most payment services give.
KEPT_S = 86_400.0


class Reservation(NamedTuple):
    """What was asked under a key, and what came of it: a job, or the answer of a synchronous call.

    ``id`` is :func:`reservation_id` of the caller and the key, ``fingerprint`` the SHA-256 of what was asked. A synchronous call
    that is still running has neither job nor answer, and until ``lease_until`` nobody else may run it.
    """

    id: str
    owner: str
    fingerprint: str
    created: float
    expires: float
    due: float
    lease_until: float = 0.0
    job_id: str = ""
    status: int = 0
    answer: Payload | None = None
    revision: int = 0

    @property
    def is_done(self) -> bool:
        """Whether there is an answer to repeat."""
        return bool(self.job_id or self.answer)


def reservation_id(owner: str, key: str) -> str:
    """Where a caller's key is kept; another caller's same key is another reservation."""
    return hashlib.sha256(f"{len(owner)}:{owner}{key}".encode()).hexdigest()


def reserve(owner: str, key: str, fingerprint: str, now: float, *, lease_s: float = 0.0, job_id: str = "") -> Reservation:
    """A key just taken, by a synchronous call for ``lease_s`` seconds, or by a job for good."""
    expires = now + KEPT_S
    return Reservation(
        reservation_id(owner, key),
        owner,
        fingerprint,
        now,
        expires,
        expires,
        lease_until=now + lease_s if lease_s else 0.0,
        job_id=job_id,
        # A key is taken again after its record was deleted: who still holds the one from before must not change this one.
        revision=int(now * 1_000_000),
    )


def is_free(reservation: Reservation, now: float) -> bool:
    """Whether the key can be taken anew: its time is over, or whoever ran under it died."""
    return now >= reservation.expires or (not reservation.is_done and now >= reservation.lease_until)
