"""The file of jobs after its process was killed at any moment (F-33, F-36, F-75)."""

import random
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from app.jobs.backend import Record
from app.jobs.delivery import Delivery
from app.jobs.job import Job
from app.jobs.notices import delivery_id
from app.jobs.reservation import Reservation
from app.jobs.sqlite_backend import SqliteBackend
from tests.jobs.examples import NOW
from tests.jobs.killed_worker import work

ROOT = Path(__file__).parent.parent.parent
# Later than every lease, every message's time and every due.
LATER = NOW + 1e6


def start(path: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.jobs.killed_worker", str(path), *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def told(output: str) -> dict[str, set[str]]:
    """What the process was told is done. A line that was cut by the kill counts for nothing."""
    words = [line.split(" ") for line in output.splitlines(keepends=True) if line.endswith("\n")]
    return {word: {found[1].strip() for found in words if found[0] == word} for word in ("kept", "sent", "ended", "statements")}


def records(backend: SqliteBackend) -> dict[type[Record], dict[str, Record]]:
    found = backend.due(LATER, 1_000_000)
    return {kind: {record.id: record for record in found if isinstance(record, kind)} for kind in (Job, Delivery, Reservation)}


def check(path: Path, said: dict[str, set[str]]) -> None:
    """What holds whenever the process was killed: no change is there by half, and what it was told is so."""
    with closing(sqlite3.connect(path)) as connection:
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
    with closing(SqliteBackend(path)) as backend, closing(sqlite3.connect(path)) as connection:
        messages = set(connection.execute("SELECT queue, id FROM messages"))
        kept = records(backend)
        jobs = kept[Job]
        assert {f"key-{name}" for name in jobs} == set(kept[Reservation]), "a job and its key are kept together"
        ended = {name for name, job in jobs.items() if job.is_finished}
        assert {delivery_id(name) for name in ended} == set(kept[Delivery]), "an end and its webhook are kept together"
        assert {name for name, job in jobs.items() if job.result} == ended
        assert all(job.attempt > 0 for job in jobs.values() if job.status != "queued")
        assert said["kept"] <= set(jobs)
        assert said["ended"] <= ended
        assert said["sent"] <= ended | {name for queue, name in messages if queue == "jobs"}, "a message goes after its job ended"
        assert {name for queue, name in messages if queue == "jobs"} <= set(jobs), "a message is sent after its job is kept"
        assert {name for queue, name in messages if queue == "webhooks"} <= set(kept[Delivery])


def recover(path: Path) -> None:
    """A process that begins later sends what was never sent, works off all of it, and every job has ended once."""
    with closing(SqliteBackend(path, clock=lambda: NOW)) as backend:
        before = records(backend)
        backend.send("jobs", [job.id for job in before[Job].values() if not job.is_finished])
        # Past the leases and the messages' times, but within the jobs' own.
        while work(backend, NOW + 1000):
            pass
        after = records(backend)

    assert {"succeeded"} >= {job.status for job in after[Job].values()}
    assert {delivery_id(name) for name in after[Job]} == set(after[Delivery])
    assert all(after[Job][name] == job for name, job in before[Job].items() if job.is_finished), "an end never changes"


def test_killed_before_every_statement(tmp_path: Path) -> None:
    """Before whichever SQL statement the process is killed, the first start included, the file holds whole changes and goes on."""
    whole = start(tmp_path / "0", "0")
    output = whole.communicate(timeout=60)[0]
    statements = int(told(output)["statements"].pop())
    assert statements > 40

    def kill(number: int) -> tuple[int, int, dict[str, set[str]]]:
        child = start(tmp_path / str(number), str(number))
        output, complaint = child.communicate(timeout=60)
        assert "" == complaint
        return number, child.returncode, told(output)

    with ThreadPoolExecutor(4) as children:
        for number, code, said in children.map(kill, range(1, statements + 1)):
            assert -signal.SIGKILL == code
            check(tmp_path / str(number), said)
            recover(tmp_path / str(number))


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """Processes that are killed one after another at random moments, also within a statement, leave a file that the next can use."""
    moments = random.Random(33)
    path = tmp_path / "jobs.db"
    said: dict[str, set[str]] = {"kept": set(), "sent": set(), "ended": set()}
    for _ in range(15):
        child = start(path)
        assert child.stdout
        assert "opened \n" == child.stdout.readline()
        time.sleep(moments.uniform(0, 0.1))
        child.kill()
        for word, ids in told(child.communicate(timeout=60)[0]).items():
            said.setdefault(word, set()).update(ids)
        check(path, said)
    assert len(said["ended"]) > 15

    recover(path)
