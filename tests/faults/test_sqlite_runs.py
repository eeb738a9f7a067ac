"""From submit to webhook on one machine, with processes of ``serve`` that are killed at every SQL statement and at any moment."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.jobs.delivery import Delivery
from app.jobs.job import Job
from app.jobs.sqlite_backend import SqliteBackend
from tests.faults.function import ROOT
from tests.faults.http_receiver import http_receiver
from tests.faults.receiver import Receiver
from tests.faults.runs import SEED

ASKS = [["monday", [5.1, 3.5, 1.4, 0.2]], ["tuesday", [6.3, 3.3, 6.0, 2.5]]]
# Longer than every lease and every time that a message is invisible for.
_LATER_S = 1000.0
_NEVER = 1e12
# More statements than one run takes.
_MOST = 1000
SAMPLE = 8
MOMENTS = 60


class Serves:
    """Processes of ``serve``, one after the other, each later than the one before."""

    def __init__(self, parent: subprocess.Popen[str]) -> None:
        self._parent = parent
        self._ahead_s = 0.0

    def live(self, folder: Path, url: str, asks: list[list[Any]] = ASKS, *, fatal: int = 0, after_s: float | None = None) -> dict[str, Any]:
        """What one process told."""
        assert self._parent.stdin
        assert self._parent.stdout
        self._ahead_s += _LATER_S
        asked = {"folder": str(folder), "ahead_s": self._ahead_s, "asks": asks, "url": url, "fatal": fatal, "after_s": after_s}
        self._parent.stdin.write(json.dumps(asked) + "\n")
        self._parent.stdin.flush()
        found: dict[str, Any] = json.loads(self._parent.stdout.readline())
        assert not found["failed"]
        return found


@pytest.fixture(scope="module")
def serves() -> Iterator[Serves]:
    """The parent of the processes."""
    command = [sys.executable, "-m", "tests.faults.killed_serve"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        yield Serves(parent)
        assert parent.stdin
        parent.stdin.close()


def status_of(folder: Path, job_id: str) -> str:
    with closing(SqliteBackend(folder / "jobs.db")) as backend:
        job = backend.read(Job, job_id)
    return job.status if job else ""


def check(folder: Path, receiver: Receiver, told: list[dict[str, Any]], keys: int) -> None:
    """N1 to N4 and N7, on what all processes of a folder were told and what is kept."""
    accepted = {(key, job_id) for line in told for name, (key, job_id) in line.items() if name == "accepted"}
    with closing(SqliteBackend(folder / "jobs.db")) as backend:
        kept = backend.due(_NEVER, 10_000)
    jobs = {record.id: record for record in kept if isinstance(record, Job)}
    assert keys == len({key for key, _ in accepted}) == len(accepted), "one job a key"
    assert {job_id for _, job_id in accepted} == set(jobs), "each submit is accounted for"
    assert {"succeeded"} == {job.status for job in jobs.values()}
    assert {"delivered"} == {record.status for record in kept if isinstance(record, Delivery)}
    assert {(f"msg_{job_id}", job_id) for job_id in jobs} == {(arrival.webhook_id, arrival.job_id) for arrival in receiver.arrivals}
    assert {("succeeded", "succeeded")} == {(arrival.said, arrival.kept) for arrival in receiver.arrivals}
    answered = {(key, job_id) for line in told for name, (key, job_id) in line.items() if name == "answered"}
    assert accepted == answered


def killed_before(serves: Serves, folder: Path, statement: int) -> bool:
    """Whether a process was killed before this statement; the next one leaves nothing to do in both cases."""
    with http_receiver(lambda job_id: status_of(folder, job_id)) as (receiver, url):
        first = serves.live(folder, f"{url}/hooks", fatal=statement)
        second = serves.live(folder, f"{url}/hooks")
        assert not second["killed"]
        check(folder, receiver, first["told"] + second["told"], len(ASKS))
    return bool(first["killed"])


def test_a_sample_of_kills_of_serve(serves: Serves, tmp_path: Path) -> None:
    """Whichever SQL statement a process of serve is killed before, the next one answers its jobs and tells their receivers."""
    statements = random.Random(SEED).sample(range(1, 60), SAMPLE)

    assert {True} == {killed_before(serves, tmp_path / str(statement), statement) for statement in statements}


@pytest.mark.faults
def test_every_statement_of_serve(serves: Serves, tmp_path: Path) -> None:
    """The same for every statement from the first to the last."""
    # Threads take turns, so that the last one is not always of the same number.
    last = next(number for number in range(1, _MOST) if not killed_before(serves, tmp_path / str(number), number))
    print(f"\nkilled before each of {last - 1} statements")

    assert last > 60


@pytest.mark.faults
def test_serve_is_killed_at_any_moment(serves: Serves, tmp_path: Path) -> None:
    """Processes that are killed one after another at random moments, over one folder, leave nothing lost and nothing done twice."""
    moments = random.Random(SEED)
    told: list[dict[str, Any]] = []
    asks: list[list[Any]] = []
    killed = 0
    with http_receiver(lambda job_id: status_of(tmp_path, job_id)) as (receiver, url):
        for number in range(MOMENTS):
            # What was asked before is asked again, as callers do who heard nothing.
            asks = [*asks[-3:], [f"key-{number}", [5.0 + number / 50, 3.0, 4.0, 1.5]]]
            found = serves.live(tmp_path, f"{url}/hooks", asks, after_s=moments.uniform(0.0, 0.06))
            told += found["told"]
            killed += found["killed"]
        every = [[f"key-{number}", [5.0 + number / 50, 3.0, 4.0, 1.5]] for number in range(MOMENTS)]
        told += serves.live(tmp_path, f"{url}/hooks", every)["told"]

        assert killed > MOMENTS / 3
        check(tmp_path, receiver, told, MOMENTS)
