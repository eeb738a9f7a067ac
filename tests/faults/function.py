"""The program as Lambda runs it, wired as in production: only its clock, and where webhooks go, are a test's."""

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from app.http.application import Application
from app.http.routes import Services
from app.job_wiring import JobParts
from app.jobs.delivery import Delivery
from app.jobs.sender import Sender, Sent
from app.storage import aws_clients
from app.wiring import Program, event_handler, wire

ROOT = Path(__file__).parent.parent.parent
SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSByZWNlaXZlcnMgaGVyZQ=="
TIMEOUT_S = 60.0
Transmit = Callable[[Delivery], Sent]


class Names(NamedTuple):
    """Where things are on AWS."""

    table: str = "table"
    bucket: str = "bucket"
    jobs: str = "jobs"
    jobs_dead: str = "jobs-dead"
    webhooks: str = "webhooks"


class Context:
    """What Lambda passes beside an event."""

    aws_request_id = "00000000-0000-4000-8000-000000000001"
    function_name = "onnx-lambda"
    memory_limit_in_mb = 1769

    def __init__(self) -> None:
        self._ends = time.monotonic() + TIMEOUT_S

    def get_remaining_time_in_millis(self) -> int:
        return int((self._ends - time.monotonic()) * 1000)


@cache
def _program(names: Names) -> Program:
    """The part of an environment that holds no state of a run: settings and loaded models."""
    return wire(
        {
            "MODEL_DIR": str(ROOT / "models"),
            "PRELOAD_MODELS": "iris",
            "INTRA_OP_THREADS": "1",
            "LOG_LEVEL": "CRITICAL",
            "JOBS": "aws",
            "JOBS_TABLE": names.table,
            "JOBS_BUCKET": names.bucket,
            "JOBS_QUEUE_URL": names.jobs,
            "JOBS_DEAD_QUEUE_URL": names.jobs_dead,
            "WEBHOOKS_QUEUE_URL": names.webhooks,
            "WEBHOOK_SECRETS": SECRET,
            "WEBHOOK_ALLOW_PRIVATE": "on",
            "PUBLIC_URL": "https://predict.example.com",
        }
    )


class Function:
    """One execution environment.

    :param transmit: one attempt at a webhook; None for the program's own, over the network.
    """

    def __init__(self, names: Names, clock: Callable[[], float], transmit: Transmit | None = None) -> None:
        program = _program(names)
        self.parts = JobParts(program.settings, program.repository, program.observer)
        stores = self.parts.stores._replace(clock=clock)
        self.parts.__dict__["stores"] = stores
        # No jitter, so that every run asks AWS for the same.
        self.parts.__dict__["_sender"] = Sender(stores, transmit or self.parts._webhooks.transmit, chance=lambda: 0.0)
        if transmit is not None:
            self.parts._webhooks.check = lambda url: None  # type: ignore[method-assign]
        application = Application(Services(program.predictor, program.repository, self.parts.jobs), program.observer)
        self._answer = event_handler(program._replace(application=application, parts=self.parts), _no_fallback)

    def invoke(self, event: dict[str, Any]) -> Any:
        """What the function answers to an event."""
        return self._answer(event, Context())


def hurry() -> None:
    """Have the retry loop wait for nothing: the faults of a run do not go away by themselves."""
    aws_clients._PAUSE_S = 0.0


def _no_fallback(request: Any) -> Any:
    raise AssertionError(f"{request.path} is not of the fast lane")
