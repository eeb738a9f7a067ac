"""The file of jobs: releases before and after this one, other processes, and disks that fail."""

import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from app.errors import SettingError, StoreUnavailable
from app.jobs import sqlite_file
from app.jobs.backend import Change
from app.jobs.job import Job
from app.jobs.sqlite_backend import SqliteBackend
from tests.clock import Clock
from tests.jobs.examples import NOW, queued
from tests.jobs.stores import MAX_RECEIVES, VISIBILITY_S


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "jobs.db"


@pytest.fixture
def backend(path: Path) -> Iterator[SqliteBackend]:
    with closing(SqliteBackend(path, max_receives=MAX_RECEIVES, clock=Clock(NOW))) as opened:
        yield opened


def direct(path: Path, *statements: str) -> list[tuple[object, ...]]:
    """What SQLite answers to the last of these statements."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return [connection.execute(statement).fetchall() for statement in statements][-1]


def test_the_file_is_its_owners(backend: SqliteBackend, path: Path) -> None:
    """The file and its log can be read by their owner alone."""
    backend.write([Change(None, queued())])

    assert {"jobs.db": 0o600, "jobs.db-wal": 0o600, "jobs.db-shm": 0o600} == {
        found.name: stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()
    }


def test_every_commit_is_flushed(backend: SqliteBackend, path: Path) -> None:
    """The file is write-ahead logged and each of our connections flushes the log at every commit."""
    with backend._file.connection() as connection:
        assert (("wal",), (2,)) == tuple(connection.execute(f"PRAGMA {name}").fetchone() for name in ("journal_mode", "synchronous"))


def test_jobs_outlive_the_process(backend: SqliteBackend, path: Path) -> None:
    """What was written and sent is there when the file is opened again."""
    job = queued()
    assert backend.write([Change(None, job)])
    backend.send("jobs", [job.id])
    backend.close()

    with closing(SqliteBackend(path)) as again:
        assert job._replace(revision=1) == again.read(Job, job.id)
        assert [job.id] == [message.id for message in again.receive("jobs", NOW, limit=10, visibility_s=1)]


def test_an_older_file_is_upgraded(backend: SqliteBackend, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of an older schema goes through the steps that it has not seen, once, and keeps its records."""
    job = queued()
    assert backend.write([Change(None, job)])
    step = "ALTER TABLE records ADD COLUMN shard INTEGER NOT NULL DEFAULT 0; CREATE INDEX by_shard ON records (shard);"
    monkeypatch.setattr(sqlite_file, "STEPS", (*sqlite_file.STEPS, step))

    for _ in range(2):
        with closing(SqliteBackend(path)) as upgraded:
            assert job._replace(revision=1) == upgraded.read(Job, job.id)
    assert [(len(sqlite_file.STEPS),)] == direct(path, "PRAGMA user_version")
    assert [(0,)] == direct(path, "SELECT shard FROM records")


def test_a_step_is_made_whole_or_not(backend: SqliteBackend, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that fails half-way leaves the file in its older schema."""
    step = "ALTER TABLE records ADD COLUMN shard INTEGER; CREATE INDEX by_shard ON nothing (shard);"
    monkeypatch.setattr(sqlite_file, "STEPS", (*sqlite_file.STEPS, step))
    with pytest.raises(StoreUnavailable):
        SqliteBackend(path)

    assert [(1,)] == direct(path, "PRAGMA user_version")
    assert [] == direct(path, "SELECT * FROM pragma_table_info('records') WHERE name = 'shard'")


def test_a_newer_file_is_refused(backend: SqliteBackend, path: Path) -> None:
    """A file of a newer schema is left alone, and the message says what to do."""
    direct(path, "PRAGMA user_version = 99")
    with pytest.raises(SettingError, match="schema 99; this release knows up to 1"):
        SqliteBackend(path)

    assert [(99,)] == direct(path, "PRAGMA user_version")


def test_another_programs_file_is_refused(path: Path) -> None:
    """A database that is not ours is left alone."""
    path.parent.mkdir()
    direct(path, "CREATE TABLE theirs (a)")
    with pytest.raises(SettingError, match="belongs to another program"):
        SqliteBackend(path)

    assert [("theirs",)] == direct(path, "SELECT name FROM sqlite_master")


def test_records_of_a_newer_release_keep_nobody_waiting(backend: SqliteBackend, path: Path) -> None:
    """A record that this release cannot read is left out of what is due and of lists; the others come, as many as asked for."""
    jobs = [queued(due=NOW + number, created=NOW + number) for number in range(5)]
    assert backend.write([Change(None, job) for job in jobs])
    for job in jobs[:3]:
        direct(path, f"UPDATE records SET document = CAST(replace(document, '\"schema\":1', '\"schema\":2') AS BLOB) WHERE id = '{job.id}'")

    assert [job.id for job in jobs[3:]] == [record.id for record in backend.due(NOW + 10, 2)]
    assert [job.id for job in reversed(jobs[3:])] == [job.id for job in backend.owned("owner", 4)]


def test_a_late_receipt_is_nobodys(backend: SqliteBackend) -> None:
    """A worker that comes back after its message was given to another can neither acknowledge nor put it off."""
    backend.send("jobs", ["a"])
    (first,) = backend.receive("jobs", NOW, limit=1, visibility_s=VISIBILITY_S)
    (second,) = backend.receive("jobs", NOW + VISIBILITY_S, limit=1, visibility_s=60)
    assert (1, 2) == (first.receives, second.receives)
    backend.acknowledge("jobs", [first.receipt])
    backend.postpone("jobs", [first.receipt], NOW)
    assert [] == backend.receive("jobs", NOW + 10, limit=1, visibility_s=60)
    (third,) = backend.receive("jobs", NOW + 100, limit=1, visibility_s=60)
    assert 3 == third.receives

    backend.acknowledge("jobs", [third.receipt])
    assert [] == backend.receive("jobs", NOW + 1000, limit=1, visibility_s=60)


def test_a_message_is_put_off(backend: SqliteBackend) -> None:
    """A message comes again when its receiver says, not when its time is over."""
    backend.send("jobs", ["a"])
    (message,) = backend.receive("jobs", NOW, limit=1, visibility_s=60)
    backend.postpone("jobs", [message.receipt], NOW + 5)

    assert [] == backend.receive("jobs", NOW + 4.9, limit=1, visibility_s=60)
    assert ["a"] == [message.id for message in backend.receive("jobs", NOW + 5, limit=1, visibility_s=60)]


def test_the_dead_are_forgotten_after_14_days(backend: SqliteBackend, path: Path) -> None:
    """A dead message is kept for 14 days, and then goes when its queue is used."""
    backend.send("jobs", ["a"])
    for number in range(MAX_RECEIVES + 1):
        backend.receive("jobs", NOW + number, limit=1, visibility_s=1)
    assert ["a"] == backend.dead("jobs", 10)

    for days, dead in ((13.9, ["a"]), (14.1, [])):
        backend.send("jobs", ["b"])
        backend.receive("jobs", NOW + days * 86_400, limit=1, visibility_s=1)
        assert dead == backend.dead("jobs", 10)


def test_another_process_holds_the_file(backend: SqliteBackend, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another process holds the file for too long, writes fail with a text without a path, reads go on, and all is well after."""
    job = queued()
    monkeypatch.setattr(sqlite_file, "_BUSY_S", 0.05)
    with closing(SqliteBackend(path)) as impatient, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable) as refused:
            impatient.write([Change(None, job)])
        assert "The store of jobs does not answer: another process holds it. Try again in a moment." == refused.value.detail
        assert {"Retry-After": "5"} == refused.value.headers
        assert impatient.read(Job, job.id) is None
        other.execute("ROLLBACK")

        assert impatient.write([Change(None, job)])


def test_a_full_disk_changes_nothing(backend: SqliteBackend) -> None:
    """A write that finds the disk full raises, leaves all as it was, and succeeds once there is room (F-76)."""
    job, large = queued(), queued(request={"accept": "x" * 1_000_000})
    with backend._file.connection() as connection:
        pages = connection.execute("PRAGMA max_page_count = 30").fetchone()
    with pytest.raises(StoreUnavailable, match="its disk is full"):
        backend.write([Change(None, job), Change(None, large)])
    assert (30,) == pages
    assert (None, None) == (backend.read(Job, job.id), backend.read(Job, large.id))

    assert backend.write([Change(None, job), Change(None, large)])


def test_a_damaged_file_is_told(path: Path) -> None:
    """A file that is no database is told as such and not overwritten."""
    path.parent.mkdir()
    path.write_bytes(b"this is no database, and long enough to be one" * 100)
    with pytest.raises(StoreUnavailable, match=r"its file is damaged\. Waiting does not mend that") as damaged:
        SqliteBackend(path)

    assert {} == damaged.value.headers
    assert path.read_bytes().startswith(b"this is no database")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A place where no file can be is told without naming it."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable) as refused:
        SqliteBackend(tmp_path / "file" / "jobs.db")

    expected = "The store of jobs does not answer: its file cannot be opened. Waiting does not mend that: tell whoever runs the server."
    assert expected == refused.value.detail


def test_mistakes_of_ours_are_not_the_stores(backend: SqliteBackend) -> None:
    """A record that no store could keep is told as a mistake, as trying again would not help, and its transaction is over."""
    job = queued()
    with pytest.raises(sqlite3.IntegrityError) as mistake:
        backend.write([Change(None, job), Change(None, queued(due=float("nan")))])
    assert backend.write([Change(None, job)]), mistake
    with pytest.raises(ValueError, match="needs a record"):
        backend.write([Change(None, None)])


CLAIMS = """
import sys, pathlib
from app.jobs.backend import Change
from app.jobs.job import Job, claim
from app.jobs.sqlite_backend import SqliteBackend

sys.stdin.read()
backend = SqliteBackend(pathlib.Path(sys.argv[1]))
while messages := backend.receive("jobs", 1_800_000_001.0, limit=3, visibility_s=60):
    for message in messages:
        # The same message twice, so that both processes try to claim every job.
        job = backend.read(Job, message.id)
        claimed = claim(job, 1_800_000_001.0, 60)
        if claimed and backend.write([Change(job, claimed)]):
            print(message.id)
    backend.acknowledge("jobs", [message.receipt for message in messages])
"""


def test_processes_share_the_file(path: Path) -> None:
    """Processes that open a new file together work off its messages, each job claimed by one of them (F-35)."""
    children = [
        subprocess.Popen([sys.executable, "-c", CLAIMS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    jobs = [queued() for _ in range(40)]
    with closing(SqliteBackend(path, clock=Clock(NOW))) as backend:
        assert backend.write([Change(None, job) for job in jobs])
        backend.send("jobs", [job.id for job in jobs] * 3)
        for child in children:
            assert child.stdin
            child.stdin.close()
            child.stdin = None
        claimed = [line for child in children for line in child.communicate(timeout=60)[0].split()]

        assert [0, 0, 0] == [child.returncode for child in children]
        assert sorted(job.id for job in jobs) == sorted(claimed)
        assert [] == backend.receive("jobs", NOW + 10, limit=10, visibility_s=1)


def test_a_new_file_is_opened_by_many_at_once(tmp_path: Path) -> None:
    """Whoever opens a new file at the same moment as others finds it complete, which SQLite by itself does not promise.

    Threads do here, as each has a connection with locks of its own, and they start closer together than processes.
    """
    for attempt in range(30):
        start = threading.Barrier(6)

        def opened(_: int, path: Path = tmp_path / f"{attempt}.db", start: threading.Barrier = start) -> bool:
            start.wait(10)
            with closing(SqliteBackend(path)) as backend:
                return backend.write([Change(None, queued())])

        with ThreadPoolExecutor(6) as threads:
            assert [True] * 6 == list(threads.map(opened, range(6)))


def test_connections_are_used_again(backend: SqliteBackend) -> None:
    """Threads that come one after another share one connection, so that a server's threads leave none open."""
    for _ in range(20):
        thread = threading.Thread(target=backend.read, args=(Job, "a"))
        thread.start()
        thread.join(10)

    assert 1 == len(backend._file._idle)
