"""Repairs what crashes have left, on a schedule: messages that were never sent, jobs too old, dead letters, bytes of nobody."""

import time
from collections.abc import Callable
from typing import NamedTuple

from app.errors import Problem
from app.jobs import delivery as deliveries
from app.jobs import job as jobs
from app.jobs.backend import Change, Record
from app.jobs.delivery import Delivery
from app.jobs.job import Job
from app.jobs.reservation import Reservation
from app.jobs.stores import Stores, end, send_soon
from app.jobs.worker import given_up

_PAGE = 100
_MOST_DEAD = 100
# Bytes are kept before the record that owns them; whatever nobody owns after this long never will be owned.
_ORPHAN_S = 3600.0
UPLOAD_KEPT_S = 86_400.0
_SHARDS = 256
_SHARD_S = 60.0


class Swept(NamedTuple):
    """What one sweep did: how many of each."""

    sent: int = 0
    expired: int = 0
    failed: int = 0
    deleted: int = 0
    orphans: int = 0
    errors: int = 0


class Sweeper:
    """One sweep at a time; several at once do no harm."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def sweep(self, deadline: float, *, shards: range | None = None) -> Swept:
        """Repair what is due, until that is done or the time is up.

        :param deadline: ``time.monotonic()`` seconds.
        :param shards: which 256ths of the stored bytes are looked through for those of nobody; by default one a minute in turn.
        """
        counts: dict[str, int] = dict.fromkeys(Swept._fields, 0)
        # First, as what is dead would be sent once more otherwise.
        self._step(counts, lambda: self._dead(counts, deadline))
        self._step(counts, lambda: self._due(counts, deadline))
        if shards is None:
            first = int(self._stores.clock() / _SHARD_S) % _SHARDS
            shards = range(first, first + 1)
        for shard in shards:
            if time.monotonic() < deadline:
                self._step(counts, lambda shard=shard: self._orphans(counts, f"{shard:02x}", deadline))  # type: ignore[misc]
        return Swept(**counts)

    def _step(self, counts: dict[str, int], step: Callable[[], str | None]) -> None:
        """One thing that fails leaves the others to be done; the next sweep finds it again."""
        try:
            done = step()
        except Problem as error:
            self._stores.note("the sweeper could not finish a step", error)
            done = "errors"
        if done:
            counts[done] += 1

    def _due(self, counts: dict[str, int], deadline: float) -> None:
        seen: set[tuple[type, str]] = set()
        limit = _PAGE
        while time.monotonic() < deadline:
            page = self._stores.backend.due(self._stores.clock(), limit)
            # What could not be repaired stays due: it is not tried for ever, and nothing waits behind it.
            fresh = [record for record in page if (type(record), record.id) not in seen]
            if not fresh:
                if len(page) < limit:
                    return
                limit += _PAGE
            # Work that waits comes before what is only to be forgotten.
            for record in sorted(fresh, key=lambda record: isinstance(record, Job) and record.is_finished):
                if time.monotonic() >= deadline:
                    return
                seen.add((type(record), record.id))
                self._step(counts, lambda record=record: self._repair(record))  # type: ignore[misc]

    def _repair(self, record: Record) -> str | None:
        if isinstance(record, Job):
            return self._forget_job(record) if record.is_finished else self._repair_job(record)
        now = self._stores.clock()
        if isinstance(record, Delivery) and not record.is_done and now < record.expires:
            again = deliveries.send_again(record, now)
            if again is None or not self._stores.backend.write([Change(record, again)]):
                return None
            send_soon(self._stores, "webhooks", record.id)
            return "sent"
        if isinstance(record, Reservation) and record.answer is not None:
            self._stores.storage.delete(record.answer.key)
        return "deleted" if self._stores.backend.write([Change(record, None)]) else None

    def _repair_job(self, job: Job) -> str | None:
        stores = self._stores
        now = stores.clock()
        expired = jobs.expire(job, now, stores.policy)
        if expired is not None:
            return "expired" if end(stores, job, expired) else None
        if job.status == "running" and job.lease_until > now:
            return None
        if job.attempt >= job.max_attempts:
            return "failed" if end(stores, job, jobs.fail(job, given_up(job), now, stores.policy)) else None
        again = jobs.send_again(job, now, stores.policy)
        if again is None or not stores.backend.write([Change(job, again)]):
            return None
        send_soon(stores, "jobs", job.id)
        return "sent"

    def _forget_job(self, job: Job) -> str | None:
        # The record last: as long as it is there, the bytes have an owner who is swept again.
        stores = self._stores
        if not jobs.is_gone(job, stores.clock()):
            return None
        stores.storage.delete(job.payload.key)
        for key in list(stores.storage.older_than(f"results/{job.id[:2]}/{job.id}/", stores.clock() + 1)):
            stores.storage.delete(key)
        return "deleted" if stores.backend.write([Change(job, None)]) else None

    def _dead(self, counts: dict[str, int], deadline: float) -> None:
        """Jobs that workers were told of again and again in vain fail; their messages stay for whoever looks into it."""
        for job_id in self._stores.backend.dead("jobs", _MOST_DEAD):
            if time.monotonic() < deadline:
                self._step(counts, lambda job_id=job_id: self._bury(job_id))  # type: ignore[misc]

    def _bury(self, job_id: str) -> str | None:
        job = self._stores.backend.read(Job, job_id)
        now = self._stores.clock()
        # A dead message alone is none of the job's doing: it is sent again when it is due.
        if job is None or job.is_finished or job.lease_until > now or now < job.due or job.resent < job.max_attempts:
            return None
        return "failed" if end(self._stores, job, jobs.fail(job, given_up(job), now, self._stores.policy)) else None

    def _orphans(self, counts: dict[str, int], shard: str, deadline: float) -> None:
        now = self._stores.clock()
        for prefix in (f"payloads/{shard}/", f"results/{shard}/", f"answers/{shard}/", f"uploads/{shard}/"):
            kept_s = UPLOAD_KEPT_S if prefix.startswith("uploads/") else _ORPHAN_S
            for key in list(self._stores.storage.older_than(prefix, now - kept_s)):
                if time.monotonic() < deadline:
                    self._step(counts, lambda key=key: self._delete_orphan(key))  # type: ignore[misc]

    def _delete_orphan(self, key: str) -> str | None:
        kind, _, record_id, *_ = key.split("/")
        if kind == "answers":
            reservation = self._stores.backend.read(Reservation, record_id)
            owned = reservation is not None and (reservation.answer is None or reservation.answer.key == key)
        elif kind == "uploads":
            owned = False
        else:
            job = self._stores.backend.read(Job, record_id)
            # Results of attempts that lost, once there is one that won or there never will be.
            owned = job is not None and (kind == "payloads" or not job.is_finished or (job.result is not None and job.result.key == key))
        if owned:
            return None
        self._stores.storage.delete(key)
        return "orphans"
