"""A store, callers and workers in one process, for the tests of what they do to each other."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from onnx import TensorProto as T

from app.jobs.errors import WebhookRefused
from app.jobs.job import Job, Policy, Webhook
from app.jobs.service import Jobs
from app.jobs.stores import Stores
from app.jobs.worker import Worker
from app.prediction import PredictionRequest, Predictor
from app.report import Report
from app.settings import Settings
from app.wiring import open_repository
from tests import graphs
from tests.clock import Clock
from tests.jobs.stores import sqlite_stores

ASKED = PredictionRequest(b'{"inputs":[1.5]}', model="identity")


class House(NamedTuple):
    """Callers, and two workers that know nothing of each other, over one store."""

    jobs: Jobs
    workers: tuple[Worker, Worker]
    stores: Stores
    clock: Clock

    def submit(self, owner: str = "a", asked: PredictionRequest = ASKED, webhook: Webhook | None = None) -> Job:
        job = self.jobs.submit(asked, Report(), owner=owner, webhook=webhook)
        assert job is not None
        return job

    def work(self, *ids: str) -> list[str]:
        return self.workers[0].work(ids, time.monotonic() + 60)

    def kept(self, job_id: str) -> Job:
        found = self.stores.backend.read(Job, job_id)
        assert found is not None
        return found


@contextmanager
def build(tmp_path: Path) -> Iterator[House]:
    """The house, with models in a folder."""
    graphs.put(tmp_path, "identity", graphs.identity(T.FLOAT))
    graphs.put(tmp_path, "slow", graphs.slow())
    repository = open_repository(Settings(model_dir=str(tmp_path)))
    predictor = Predictor(repository, max_body_bytes=10**6, max_result_bytes=10**6)
    with sqlite_stores() as found:
        clock = Clock(time.time())
        stores = Stores(found.backend, found.storage, Policy(retention_s=500), clock)

        def check(url: str) -> None:
            if "refused" in url:
                raise WebhookRefused("no")

        jobs = Jobs(stores, predictor, list_anonymous=False, check_webhook=check, max_upload_bytes=10**6, max_response_bytes=10**6)
        yield House(jobs, (Worker(stores, predictor, packed=True), Worker(stores, predictor, packed=True)), stores, clock)
