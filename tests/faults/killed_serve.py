"""What ``serve`` is without its HTTP server, in processes that are killed: ``python -m tests.faults.killed_serve`` is their parent.

A process submits jobs as a caller would, over the route table, while the real :class:`app.jobs.local_worker.LocalWorker` works them
off and sends their webhooks. It ends when there is nothing left to do, or by SIGKILL: before an SQL statement, or at a moment.
"""

import json
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from app.http.application import Application
from app.http.message import Request, Response
from app.http.routes import Services
from app.job_wiring import JobParts
from app.jobs.sqlite_backend import SqliteBackend
from app.storage.files import FileStorage
from app.wiring import Program, wire
from tests.faults.function import ROOT, SECRET
from tests.faults.points import sigkill
from tests.jobs.statements import kill_before

_LONGEST_S = 30.0


class Serve:
    """One process of ``serve``."""

    def __init__(self, program: Program, folder: Path, ahead_s: float) -> None:
        settings = program.settings._replace(jobs_dir=str(folder))
        parts = JobParts(settings, program.repository, program.observer)

        def clock() -> float:
            return time.time() + ahead_s

        backend = SqliteBackend(folder / "jobs.db", max_receives=settings.job_max_attempts, clock=clock)
        storage = FileStorage(folder / "storage", clock=clock)
        parts.__dict__["stores"] = parts.stores._replace(backend=backend, storage=storage, clock=clock)
        parts.local_worker._clock = clock
        self.application = Application(Services(program.predictor, program.repository, parts.jobs), program.observer)

    def request(self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Response:
        """One request of the one caller."""
        return self.application.handle(Request(method, path, headers or {}, body=body, caller="ann"))

    def submit(self, key: str, row: list[float], url: str) -> str:
        """Ask until it is accepted."""
        fields = {"content-type": "application/json", "prefer": "respond-async", "idempotency-key": key, "webhook-url": url}
        answer = self.request("POST", "/models/iris/predict", fields, json.dumps({"instances": [row]}).encode())
        assert answer.status == 202, answer.body
        return str(json.loads(answer.body)["id"])

    def wait(self, job_id: str) -> None:
        """Until a job has ended and its receiver was told."""
        for path, done in ((f"/jobs/{job_id}", "succeeded"), (f"/jobs/{job_id}/deliveries", "delivered")):
            until = time.monotonic() + _LONGEST_S
            while f'"status":"{done}"'.encode() not in self.request("GET", path).body:
                assert time.monotonic() < until, self.request("GET", path).body
                time.sleep(0.005)


def models() -> Program:
    """Settings and loaded models, for any folder."""
    # Every process that is killed over a job costs it an attempt, and many are.
    switches = {
        "JOB_MAX_ATTEMPTS": "100",
        "WEBHOOK_SECRETS": SECRET,
        "WEBHOOK_ALLOW_PRIVATE": "on",
        "LOG_LEVEL": "CRITICAL",
        "INTRA_OP_THREADS": "1",
    }
    return wire({"MODEL_DIR": str(ROOT / "models"), "PRELOAD_MODELS": "iris", "JOBS": "sqlite", **switches})


def live(program: Program, asked: dict[str, Any], listener: int) -> None:
    """The life of a process: submit, wait for all, tell the results to who listens to this file."""

    def tell(told: dict[str, list[str]]) -> None:
        os.write(listener, json.dumps(told).encode() + b"\n")

    if asked["fatal"]:
        kill_before(asked["fatal"])
    if asked["after_s"] is not None:
        threading.Timer(asked["after_s"], sigkill).start()
    serve = Serve(program, Path(asked["folder"]), asked["ahead_s"])
    ids = []
    for key, row in asked["asks"]:
        ids.append(serve.submit(key, row, asked["url"]))
        tell({"accepted": [key, ids[-1]]})
    for job_id in ids:
        serve.wait(job_id)
    for (key, row), job_id in zip(asked["asks"], ids, strict=True):
        now = serve.request("POST", "/models/iris/predict", {"content-type": "application/json"}, json.dumps({"instances": [row]}).encode())
        later = serve.request("GET", f"/jobs/{job_id}/result")
        assert (200, now.body, now.content_type) == (later.status, later.body, later.content_type)
        tell({"answered": [key, job_id]})


def main() -> None:
    """Fork for each line, and answer what the process told and how it ended."""
    program = models()
    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            live(program, json.loads(line), writing)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as answer:
            # The last line may have been cut by the kill.
            told = [json.loads(line) for line in answer if line.endswith("\n")]
        status = os.waitpid(child, 0)[1]
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print(json.dumps({"told": told, "killed": killed, "failed": bool(status) and not killed}), flush=True)


if __name__ == "__main__":
    main()
