"""The worker threads of ``serve``."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.jobs import local_worker
from app.jobs.local_worker import LocalWorker
from app.jobs.sqlite_backend import SqliteBackend

DEADLINE_S = 20.0


class Heard:
    """What a worker called, for the test to wait for."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self._changed = threading.Condition()

    def __call__(self, what: Any) -> None:
        with self._changed:
            self.calls.append(list(what) if isinstance(what, list | tuple) else what)
            self._changed.notify_all()

    def wait_for(self, holds: Callable[[list[Any]], bool]) -> list[Any]:
        with self._changed:
            assert self._changed.wait_for(lambda: holds(self.calls), DEADLINE_S), self.calls
            return list(self.calls)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[SqliteBackend]:
    with closing(SqliteBackend(tmp_path / "jobs.db")) as opened:
        yield opened


@pytest.fixture
def start(backend: SqliteBackend, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., LocalWorker]]:
    """Starts workers and stops them at the end."""
    workers = []
    # Pauses are a second and more, which no test needs to sit through.
    monkeypatch.setattr(local_worker, "_PAUSE_S", 0.01)

    def made(jobs: local_worker.Work, webhooks: local_worker.Work = lambda ids: (), **options: Any) -> LocalWorker:
        defaults = {"sweep": lambda: None, "sweep_every_s": 3600, "visibility_s": 60, "on_failure": lambda error: None}
        worker = LocalWorker(backend, {"jobs": jobs, "webhooks": webhooks}, **{**defaults, **options})
        workers.append(worker)
        worker.start()
        return worker

    yield made
    assert [] == [worker for worker in workers if not worker.stop(DEADLINE_S)]


def left(backend: SqliteBackend) -> list[str]:
    """The ids of messages that nobody has acknowledged."""
    return sorted(message.id for message in backend.receive("jobs", time.time() + 1e6, limit=100, visibility_s=0))


@pytest.fixture
def threads() -> Callable[[], list[str]]:
    """The threads of workers that were started in this test: servers of other tests have some too."""
    before = set(threading.enumerate())
    return lambda: sorted(thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("worker-"))


def test_messages_are_worked_off(backend: SqliteBackend, start: Callable[..., LocalWorker]) -> None:
    """Each queue's work hears of its own ids, of those from before the start too, and their messages are gone then."""
    jobs, webhooks = Heard(), Heard()
    backend.send("jobs", ["a"])
    worker = start(lambda ids: jobs(ids) or (), lambda ids: webhooks(ids) or ())
    jobs.wait_for(lambda calls: calls == [["a"]])
    backend.send("webhooks", ["b"])
    webhooks.wait_for(lambda calls: calls == [["b"]])
    backend.send("jobs", ["c"])
    jobs.wait_for(lambda calls: calls == [["a"], ["c"]])

    assert worker.stop(DEADLINE_S)
    assert [] == left(backend)


def test_batches_are_at_most_10(backend: SqliteBackend, start: Callable[..., LocalWorker]) -> None:
    """Work is called with up to 10 ids, none of them twice in one call."""
    jobs = Heard()
    ids = [f"{number:02}" for number in range(25)]
    backend.send("jobs", ids)
    backend.send("jobs", ["24", "24"])
    worker = start(lambda ids: jobs(ids) or ())
    jobs.wait_for(lambda calls: len(calls) == 3)

    assert worker.stop(DEADLINE_S)
    assert [ids[:10], ids[10:20], ids[20:]] == jobs.calls
    assert [] == left(backend)


def test_what_failed_comes_again(backend: SqliteBackend, start: Callable[..., LocalWorker], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a batch the ids that failed come again, later each time; the others do not (F-38)."""
    monkeypatch.setattr(local_worker, "_delay", lambda message: 0.01 * message.receives)
    jobs = Heard()

    def work(ids: Sequence[str]) -> Sequence[str]:
        jobs(ids)
        return ["b"] if len(jobs.calls) < 3 else []

    backend.send("jobs", ["a", "b", "c"])
    worker = start(work)
    jobs.wait_for(lambda calls: calls == [["a", "b", "c"], ["b"], ["b"]])

    assert worker.stop(DEADLINE_S)
    assert [] == left(backend)


def test_delays_grow() -> None:
    """What failed comes again after a second, then two, four and so on."""
    assert [1, 2, 4, 8, 512, 512] == [local_worker._delay(local_worker.Message("a", "1-1", receives)) for receives in (1, 2, 3, 4, 10, 99)]


def test_work_that_raises_has_failed(backend: SqliteBackend, start: Callable[..., LocalWorker], monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception is told, all ids of its batch come again, and the next messages are worked off."""
    monkeypatch.setattr(local_worker, "_delay", lambda message: 0.0)
    jobs, failures = Heard(), Heard()

    def work(ids: Sequence[str]) -> Sequence[str]:
        jobs(ids)
        if len(jobs.calls) == 1:
            raise ZeroDivisionError
        return []

    backend.send("jobs", ["a", "b"])
    worker = start(work, on_failure=failures)
    jobs.wait_for(lambda calls: calls == [["a", "b"], ["a", "b"]])

    assert worker.stop(DEADLINE_S)
    assert [ZeroDivisionError] == [type(error) for error in failures.calls]
    assert [] == left(backend)


def test_a_store_that_fails_ends_no_thread(
    backend: SqliteBackend, start: Callable[..., LocalWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker outlives a store that fails again and again, and an ear for failures that raises itself (F-42)."""
    failures, jobs = Heard(), Heard()
    receive = backend.receive

    def failing(queue: Any, now: float, **options: Any) -> Any:
        if len(failures.calls) < 6:
            raise OSError("no")
        return receive(queue, now, **options)

    def on_failure(error: Exception) -> None:
        failures(error)
        raise ValueError("nor this")

    monkeypatch.setattr(backend, "receive", failing)
    start(lambda ids: jobs(ids) or (), on_failure=on_failure)
    backend.send("jobs", ["a"])

    jobs.wait_for(lambda calls: calls == [["a"]])


def test_messages_of_another_process_are_noticed(backend: SqliteBackend, start: Callable[..., LocalWorker], tmp_path: Path) -> None:
    """A worker that waits hears of what another process sends, by looking again."""
    jobs = Heard()
    start(lambda ids: jobs(ids) or ())
    program = "import sys, pathlib; from app.jobs.sqlite_backend import SqliteBackend; "
    program += "SqliteBackend(pathlib.Path(sys.argv[1])).send('jobs', ['a'])"
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "jobs.db")], check=True, timeout=60)

    jobs.wait_for(lambda calls: calls == [["a"]])


def test_a_message_ends_a_wait(backend: SqliteBackend) -> None:
    """What this process sends ends a wait for that queue, also where it was sent just before the wait began."""
    backend.send("jobs", ["a"])
    assert backend.wait("jobs", DEADLINE_S)
    assert not backend.wait("jobs", 0)

    backend.send("webhooks", ["b"])
    assert not backend.wait("jobs", 0)
    threading.Timer(0.05, backend.send, args=("jobs", ["c"])).start()
    assert backend.wait("jobs", DEADLINE_S)


def test_the_sweeper_comes_again(start: Callable[..., LocalWorker]) -> None:
    """The sweeper is called at the start and then again and again, whatever it raises."""
    sweeps, failures = Heard(), Heard()

    def sweep() -> None:
        sweeps(len(sweeps.calls))
        raise ZeroDivisionError

    start(lambda ids: (), sweep=sweep, sweep_every_s=0.01, on_failure=failures)

    sweeps.wait_for(lambda calls: len(calls) > 3)
    failures.wait_for(lambda calls: len(calls) > 3)


def test_a_worker_starts_once(backend: SqliteBackend, start: Callable[..., LocalWorker], threads: Callable[[], list[str]]) -> None:
    """A worker that was started twice has its threads once, and one that was stopped begins nothing."""
    sweeps = Heard()
    worker = start(lambda ids: (), sweep=lambda: sweeps("sweep"))
    sweeps.wait_for(bool)
    worker.start()
    assert ["worker-jobs", "worker-sweep", "worker-webhooks"] == threads()

    assert worker.stop(DEADLINE_S)
    worker.start()
    assert [] == threads()


def test_a_stop_ends_a_wait(start: Callable[..., LocalWorker], monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that waits for messages or for its next sweep stops at once."""
    monkeypatch.setattr(local_worker, "_LOOK_S", 100 * DEADLINE_S)
    sweeps = Heard()
    worker = start(lambda ids: (), sweep=lambda: sweeps("sweep"))
    sweeps.wait_for(bool)

    assert worker.stop(DEADLINE_S)


def test_a_worker_that_was_stopped_first_never_starts(backend: SqliteBackend, threads: Callable[[], list[str]]) -> None:
    """A stop that comes before the start holds."""
    worker = LocalWorker(backend, {}, sweep=list, sweep_every_s=1, visibility_s=1, on_failure=print)
    assert worker.stop(0)
    worker.start()

    assert [] == threads()


def test_a_stop_waits_for_no_longer_than_it_may(backend: SqliteBackend, start: Callable[..., LocalWorker]) -> None:
    """A stop lets work that runs end, says so where it does not in time, and hands out no more messages."""
    begun, go_on = threading.Event(), threading.Event()
    jobs = Heard()

    def work(ids: Sequence[str]) -> Sequence[str]:
        jobs(ids)
        begun.set()
        assert go_on.wait(DEADLINE_S)
        return []

    backend.send("jobs", [f"{number:02}" for number in range(15)])
    worker = start(work)
    assert begun.wait(DEADLINE_S)
    assert not worker.stop(0.05)
    go_on.set()

    assert worker.stop(DEADLINE_S)
    assert 1 == len(jobs.calls)
    assert [f"{number:02}" for number in range(10, 15)] == left(backend)
