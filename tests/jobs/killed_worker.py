"""A process that submits and works off jobs until it is killed: ``python -m tests.jobs.killed_worker FILE [STATEMENT]``.

It says on its standard output what it was told is done: ``kept ID``, ``sent ID``, ``ended ID``. With a number it kills itself before
the SQL statement of that number, and without it goes on for ever; with 0 it says how many statements it takes.
"""

import os
import sys
from pathlib import Path

from app.jobs.backend import Change
from app.jobs.job import Job, claim, new_id, succeed
from app.jobs.notices import ending
from app.jobs.sqlite_backend import SqliteBackend
from tests.jobs.examples import NOW, POLICY, RESULT, queued, reservation
from tests.jobs.statements import counted, kill_before

# Two submits, one batch of both, and one batch of what was left.
ROUND = 2


def tell(word: str, record_id: str) -> None:
    os.write(1, f"{word} {record_id}\n".encode())


def submit(backend: SqliteBackend) -> None:
    """Keep a job together with the key it was asked under, and then tell a worker."""
    job = queued(id=new_id())
    assert backend.write([Change(None, job), Change(None, reservation(id=f"key-{job.id}", job_id=job.id))])
    tell("kept", job.id)
    backend.send("jobs", [job.id])
    tell("sent", job.id)


def work(backend: SqliteBackend, now: float = NOW) -> bool:
    """Work off one batch; a job's end is kept together with its webhook, and the message goes last."""
    messages = backend.receive("jobs", now, limit=10, visibility_s=60)
    for message in messages:
        job = backend.read(Job, message.id)
        claimed = job and claim(job, now, 60)
        if job is None or claimed is None:
            continue
        assert backend.write([Change(job, claimed)])
        held = claimed._replace(revision=job.revision + 1)
        done = succeed(held, RESULT, now, POLICY)
        assert done
        changes = ending(held, done, POLICY)
        assert backend.write(changes)
        tell("ended", job.id)
        backend.send("webhooks", [change.new.id for change in changes[1:] if change.new])
    backend.acknowledge("jobs", [message.receipt for message in messages])
    return bool(messages)


def main(path: Path, fatal: int | None) -> None:
    if fatal is not None:
        kill_before(fatal)
    backend = SqliteBackend(path, clock=lambda: NOW)
    tell("opened", "")
    while True:
        for _ in range(ROUND):
            submit(backend)
        while work(backend):
            pass
        if fatal is not None:
            tell("statements", str(counted()))
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
