"""A program with jobs whose clock stands still and whose worker works when it is told, asked without a shell."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson

from app.http.message import Request, Response
from app.job_wiring import JobParts
from app.jobs.job import Job
from app.wiring import Program, wire
from tests.clock import Clock

SETOSA = [5.1, 3.5, 1.4, 0.2]
LATER = {"prefer": "respond-async"}


class ByHand:
    """Asks as a caller that the gateway knows, ``""`` for nobody."""

    def __init__(self, program: Program, parts: JobParts, clock: Clock) -> None:
        self.program, self.parts, self.clock = program, parts, clock

    @classmethod
    @contextmanager
    def of(cls, models: Path, folder: Path, **settings: str) -> "Iterator[ByHand]":
        program = wire({"MODEL_DIR": str(models), "JOBS": "sqlite", "JOBS_DIR": str(folder), **settings})
        assert program.parts is not None
        clock = Clock(time.time())
        program.parts.stores = program.parts.stores._replace(clock=clock)
        program.parts.local_worker = SimpleNamespace(start=lambda: None)  # type: ignore[assignment]
        try:
            yield cls(program, program.parts, clock)
        finally:
            program.parts.stores.backend.close()  # type: ignore[attr-defined]

    def ask(self, method: str, path: str, body: Any = None, *, caller: str = "", base: str = "", **headers: str) -> Response:
        """One request; ``base`` is what the gateway has before every path."""
        path, _, query = path.partition("?")
        content = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.program.application.handle(
            Request(method, path, {"content-type": "application/json"} | fields, query, content, caller=caller, base=base)
        )

    def submit(self, body: Any = None, path: str = "/predict", *, caller: str = "", **headers: str) -> str:
        """A job of a request; its id."""
        answer = self.ask("POST", path, body or {"inputs": [SETOSA]}, caller=caller, **(LATER | headers))
        assert 202 == answer.status, answer.body
        return str(json.loads(answer.body)["id"])

    def work(self, *ids: str) -> list[str]:
        """Let the worker answer jobs; those that must come again."""
        return self.parts.answer_jobs(ids, time.monotonic() + 60)

    def job(self, job_id: str) -> Job:
        """The job as it is kept."""
        found = self.parts.stores.backend.read(Job, job_id)
        assert found is not None
        return found

    def change(self, job_id: str, **fields: Any) -> None:
        """Keep the job with other fields."""
        from app.jobs.backend import Change

        old = self.job(job_id)
        assert self.parts.stores.backend.write([Change(old, old._replace(**fields))])

    def stored(self, prefix: str = "") -> list[str]:
        """The keys of all bytes that are kept."""
        return sorted(self.parts.stores.storage.older_than(prefix, time.time() + 3600))

    def kept(self) -> tuple[int, list[str]]:
        """How many records there are, and the keys of all bytes."""
        return len(self.parts.stores.backend.due(1e12, 10_000)), self.stored()
