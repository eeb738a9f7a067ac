"""What callers do with jobs: submit, look, wait, cancel, list, read the result. Every change is durable before it is told."""

import time
from collections.abc import Callable
from typing import Any

from app.codecs.call import ModelTag
from app.errors import NotOffered, StoreUnavailable
from app.jobs import job as jobs
from app.jobs.backend import Change, mark_of
from app.jobs.errors import JobFinished, UnknownJob
from app.jobs.job import Job, Payload, Webhook
from app.jobs.stores import Stores, end, send_soon
from app.prediction import PredictionRequest, Predictor
from app.report import Report

_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.02, 0.5
# Another's write came in between; each round one of them wins, so that a few are enough.
_MOST_ROUNDS = 20


class Jobs:
    """The jobs of all callers. ``owner`` is who asks; nobody hears of another's."""

    def __init__(
        self,
        stores: Stores,
        predictor: Predictor,
        *,
        list_anonymous: bool,
        check_webhook: Callable[[str], None],
        max_upload_bytes: int,
        max_response_bytes: int,
    ) -> None:
        """:param predictor: with the limits of jobs.
        :param max_response_bytes: results larger than this are answered as a link.
        :param list_anonymous: whether callers without an identity may list the jobs of all such: on one's own machine they may.
        :param check_webhook: raises :class:`app.jobs.errors.WebhookRefused` for an address that is never sent to.
        """
        self.stores = stores
        self.predictor = predictor
        self.max_upload_bytes = max_upload_bytes
        self.max_response_bytes = max_response_bytes
        self._list_anonymous = list_anonymous
        self._check_webhook = check_webhook

    def submit(
        self,
        asked: PredictionRequest,
        report: Report,
        *,
        owner: str,
        webhook: Webhook | None = None,
        source: Payload | None = None,
        reserve: Callable[[str], Change] | None = None,
    ) -> Job | None:
        """Check a request, keep it, and tell a worker.

        :param source: where the body is in the storage, if it is there already.
        :param reserve: makes the idempotency key's record for a job's id.
        :returns: the job; None where the key was taken meanwhile.
        :raises Problem: for a request that the model would refuse now, and for a webhook's address that is never sent to.
        :raises KeyInUse: where the key was taken before the body was kept.
        :raises StoreUnavailable: where it is not known to be kept.
        """
        if webhook is not None:
            self._check_webhook(webhook.url)
        tag = self.predictor.check(asked, report)
        job_id = jobs.new_id()
        # Before anything is kept, as it may refuse.
        reserved = [reserve(job_id)] if reserve else []
        payload = self._keep_payload(job_id, asked, source)
        kept = _without_body(asked._replace(model=tag.name, version=tag.version)) | {"rows": report.rows}
        job = self._queued(job_id, tag, payload)._replace(owner=owner, request=kept, webhook=webhook)
        if not self.stores.backend.write([Change(None, job), *reserved]):
            self.stores.storage.delete(payload.key)
            return None
        send_soon(self.stores, "jobs", job_id)
        return job

    def show(self, owner: str, job_id: str) -> Job:
        """A caller's job as it is now.

        :raises UnknownJob: where there is none, where it is another's, and where its time is over, in the same words.
        """
        job = self.stores.backend.read(Job, job_id) if jobs.is_id(job_id) else None
        now = self.stores.clock()
        if job is None or job.owner != owner or jobs.is_gone(job, now):
            raise UnknownJob("There is no job of this id.")
        return self._as_of(job, now)

    def wait(self, owner: str, job_id: str, seconds: float) -> Job:
        """The job once it has ended, or after some seconds.

        :raises UnknownJob: see :meth:`show`.
        """
        until, pause = time.monotonic() + seconds, _FIRST_LOOK_S
        while True:
            job = self.show(owner, job_id)
            left = until - time.monotonic()
            if job.is_finished or left <= 0:
                return job
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_LOOK_S)

    def cancel(self, owner: str, job_id: str) -> Job:
        """The job, cancelled, be it now or before.

        :raises UnknownJob: see :meth:`show`.
        :raises JobFinished: where it has ended otherwise.
        """
        for _ in range(_MOST_ROUNDS):
            job = self.show(owner, job_id)
            if job.status == "cancelled":
                return job
            cancelled = jobs.cancel(job, self.stores.clock(), self.stores.policy)
            if cancelled is None:
                raise JobFinished(f"The job has ended (it is {job.status}), so there is nothing left to cancel.")
            if end(self.stores, job, cancelled):
                return cancelled
        raise StoreUnavailable("The job changes faster than it can be cancelled; ask again.")

    def page(self, owner: str, limit: int, before: str) -> tuple[list[Job], str]:
        """A caller's jobs, newest first, and the mark of the last where there are more.

        :raises NotOffered: to callers that nobody can tell from others.
        """
        if not owner and not self._list_anonymous:
            raise NotOffered("Callers without an identity share one, so that their jobs are not listed; each is found by its id.")
        found = self.stores.backend.owned(owner, limit + 1, before)
        now = self.stores.clock()
        shown = [self._as_of(job, now) for job in found[:limit] if not jobs.is_gone(job, now)]
        return shown, mark_of(found[limit - 1]) if len(found) > limit else ""

    def result(self, job: Job) -> bytes:
        """The bytes of a job that succeeded.

        :raises StoreUnavailable: also where they are not those that were kept.
        """
        assert job.result is not None
        body = self.stores.storage.get(job.result.key, job.result.digest)
        if body is None:
            raise StoreUnavailable("The result is not where it was kept: submit the request again.", transient=False)
        return body

    def _as_of(self, job: Job, now: float) -> Job:
        # The sweeper may be late. The end is kept before it is told: a worker that comes back late would turn it into another.
        for _ in range(_MOST_ROUNDS):
            expired = jobs.expire(job, now, self.stores.policy)
            if expired is None:
                return job
            if end(self.stores, job, expired):
                return expired
            job = self.stores.backend.read(Job, job.id) or expired
        raise StoreUnavailable("The job changes faster than it can be read; ask again.")

    def _queued(self, job_id: str, tag: ModelTag, payload: Payload) -> Job:
        policy, now = self.stores.policy, self.stores.clock()
        return Job(
            id=job_id,
            owner="",
            status="queued",
            request={},
            payload=payload,
            model=tag.name,
            # The version that was checked answers, also where a newer one is deployed meanwhile.
            version=tag.version,
            digest=tag.digest,
            created=now,
            expires=now + policy.max_age_s,
            due=now + policy.stranded_s,
            max_attempts=policy.max_attempts,
        )

    def _keep_payload(self, job_id: str, asked: PredictionRequest, source: Payload | None) -> Payload:
        key = f"payloads/{job_id[:2]}/{job_id}"
        size, content_type = len(asked.body), asked.content_type
        if source is not None and self.stores.storage.copy(source.key, key):
            return Payload(key, size, source.digest, content_type)
        return Payload(key, size, self.stores.storage.put(key, asked.body), content_type)


def _without_body(asked: PredictionRequest) -> dict[str, Any]:
    return {name: value for name, value in asked._asdict().items() if name not in {"body", "deadline"}}
