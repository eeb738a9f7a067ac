"""The part of the composition root that nobody pays for who asks for no job: made at the first job, each part once."""

import os
import threading
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from app.errors import SettingError
from app.settings import Settings

if TYPE_CHECKING:
    from app.errors import Problem
    from app.inference.repository import Repository
    from app.jobs.job import Job
    from app.jobs.local_worker import LocalWorker
    from app.jobs.sender import Sender
    from app.jobs.service import Jobs
    from app.jobs.stores import Stores
    from app.jobs.sweeper import Sweeper
    from app.jobs.worker import Worker
    from app.observability import Observer
    from app.prediction import PredictionResponse, Predictor
    from app.report import Report
    from app.webhook_wiring import WebhookParts

_SWEEP_EVERY_S = 60.0
_SWEEP_S = 45.0
# A store that fails for a moment costs a message a delivery, and its job no attempt.
_MORE_RECEIVES = 2


class JobParts:
    """Everything that works with jobs, each part made when it is first asked for."""

    def __init__(self, settings: Settings, repository: "Repository", observer: "Observer") -> None:
        self._settings = settings
        self._repository = repository
        self._observer = observer
        self._lock = threading.RLock()
        if settings.webhook_secrets:
            # Keys that sign nothing are found out now.
            assert self._webhooks

    def jobs(self, deadline: float | None) -> "Jobs":
        """What callers do with jobs.

        :param deadline: ``time.monotonic()`` seconds until which the store may take.
        """
        with self._lock:
            found = self._jobs
            if self._settings.jobs == "sqlite":
                self.local_worker.start()
        self.set_deadline(deadline)
        return found

    def set_deadline(self, deadline: float | None) -> None:
        """Until when the calls of this thread to AWS may go on."""
        if self._settings.jobs == "aws":
            from app.storage.aws_clients import until

            until(deadline)

    def answer_jobs(self, ids: Sequence[str], deadline: float) -> list[str]:
        """See :meth:`app.jobs.worker.Worker.work`."""
        return self._worker.work(ids, deadline)

    def send_webhooks(self, ids: Sequence[str], deadline: float) -> list[str]:
        """See :meth:`app.jobs.sender.Sender.work`."""
        return self._sender.work(ids, deadline)

    def sweep(self, deadline: float) -> dict[str, int]:
        """See :meth:`app.jobs.sweeper.Sweeper.sweep`."""
        self.set_deadline(deadline)
        swept = self._sweeper.sweep(deadline)
        if swept.errors:
            self._observer.count({"SweepErrors": (float(swept.errors), "Count")}, {}, None)
        return swept._asdict()

    def start_local_worker(self) -> None:
        """Work off what an earlier process left, if there was one.

        :raises SettingError: where jobs can never be kept.
        """
        if self._settings.jobs != "sqlite":
            return
        folder = Path(self._settings.jobs_dir).absolute()
        place = next(path for path in (folder, *folder.parents) if path.exists())
        if not (place.is_dir() and os.access(place, os.W_OK)):
            raise SettingError(
                f"JOBS_DIR is '{self._settings.jobs_dir}', where nothing can be written; name another folder, or set JOBS=off."
            )
        if place == folder:
            self.jobs(None)

    @cached_property
    def stores(self) -> "Stores":
        """Where jobs are kept."""
        from app.jobs.job import Policy
        from app.jobs.stores import Stores

        settings = self._settings
        policy = Policy(
            max_attempts=settings.job_max_attempts,
            max_age_s=settings.job_max_age_s,
            retention_s=settings.job_retention_s,
            public_url=settings.public_url.rstrip("/"),
        )
        if settings.jobs == "aws":
            from app.jobs.aws_backend import AwsBackend
            from app.jobs.aws_queues import Urls
            from app.storage.s3 import S3Storage

            backend = AwsBackend(
                settings.jobs_table,
                jobs=Urls(settings.jobs_queue_url, settings.jobs_dead_queue_url),
                webhooks=Urls(settings.webhooks_queue_url),
            )
            return Stores(backend, S3Storage(settings.jobs_bucket), policy, note=self._note, ended=self._ended)
        from app.jobs.sqlite_backend import SqliteBackend
        from app.storage.files import FileStorage

        folder = Path(settings.jobs_dir)
        storage = FileStorage(folder / "storage")
        return Stores(
            SqliteBackend(folder / "jobs.db", max_receives=policy.max_attempts + _MORE_RECEIVES),
            storage,
            policy,
            note=self._note,
            ended=self._ended,
        )

    @cached_property
    def _worker(self) -> "Worker":
        from app.jobs.worker import Worker

        return Worker(self.stores, self._predictor, packed=self._settings.job_packing, observe=self._observe)

    @cached_property
    def _webhooks(self) -> "WebhookParts":
        from app.webhook_wiring import WebhookParts

        return WebhookParts(self._settings, self._observer)

    @cached_property
    def _sender(self) -> "Sender":
        from app.jobs.sender import Sender

        return Sender(self.stores, self._webhooks.transmit)

    @cached_property
    def _sweeper(self) -> "Sweeper":
        from app.jobs.sweeper import Sweeper

        return Sweeper(self.stores)

    @cached_property
    def local_worker(self) -> "LocalWorker":
        """The threads of ``serve``."""
        from app.jobs.local_worker import LocalWorker
        from app.jobs.sqlite_backend import SqliteBackend

        run_s = float(self._settings.request_timeout_s)
        backend = self.stores.backend
        assert isinstance(backend, SqliteBackend)
        return LocalWorker(
            backend,
            {
                "jobs": lambda ids: self.answer_jobs(ids, time.monotonic() + run_s),
                "webhooks": self._send_side_by_side,
            },
            sweep=lambda: self.sweep(time.monotonic() + _SWEEP_S),
            sweep_every_s=_SWEEP_EVERY_S,
            # The lease of a job is its time to run and a little; its message comes again after that.
            visibility_s=run_s + 60.0,
            on_failure=lambda error: self._note("a local worker failed", error),
        )

    @cached_property
    def _jobs(self) -> "Jobs":
        from app.jobs.service import Jobs

        settings = self._settings
        return Jobs(
            self.stores,
            self._predictor,
            list_anonymous=not settings.on_lambda,
            check_webhook=self._webhooks.check,
            max_upload_bytes=settings.max_upload_bytes,
            max_response_bytes=settings.max_result_bytes,
        )

    @cached_property
    def _predictor(self) -> "Predictor":
        from app.prediction import Predictor

        most = self._settings.max_upload_bytes
        return Predictor(self._repository, max_body_bytes=most, max_result_bytes=most)

    def _send_side_by_side(self, ids: Sequence[str]) -> list[str]:
        """One thread a webhook, so that none waits for another's receiver."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max(1, len(ids))) as pool:
            return [failed for found in pool.map(lambda one: self.send_webhooks([one], time.monotonic()), ids) for failed in found]

    def _observe(self, job: "Job", report: "Report", answer: "PredictionResponse | Problem", seconds: float) -> None:
        from app.errors import InternalError, Problem

        problem = answer if isinstance(answer, Problem) else None
        failure = (problem.__cause__ or problem) if isinstance(problem, InternalError) else None
        fields = {"request_id": job.id, "trigger": "job", "attempt": job.attempt, "status": problem.status if problem else 200}
        report.tell(self._observer, lambda: fields, seconds=seconds, code=problem.code if problem else "", failure=failure, cold=None)

    def _ended(self, job: "Job") -> None:
        self._observer.count({"JobsEnded": (1.0, "Count")}, {"status": job.status}, None)

    def _note(self, message: str, error: Exception) -> None:
        self._observer.note(message, reason=str(getattr(error, "detail", type(error).__name__)))
