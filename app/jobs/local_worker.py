"""The workers of ``serve``: what event source mappings and a schedule do on AWS, threads do here."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from app.jobs.backend import Queue
from app.jobs.sqlite_backend import Message, SqliteBackend

Work = Callable[[Sequence[str]], Sequence[str]]
# As many as a queue's event source mapping hands to one invocation.
_BATCH = 10
# How long until a message of another process is noticed; a look reads one row of an index.
_LOOK_S = 0.5
# A queue that fails is looked at again after this time, which doubles up to the longest.
_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0


class LocalWorker:
    """Threads that work off the queues of one backend, one a queue, and one that sweeps.

    :param work: for each queue what is called with up to 10 ids, none of them twice; it answers those that failed and must come
        again. One that raises has failed with all of them.
    :param sweep: called at the start, as a crash may have left something, and then every ``sweep_every_s``.
    :param visibility_s: messages that are not worked off in this time are given to somebody else.
    :param on_failure: hears of every exception; none of them ends a thread.
    """

    def __init__(
        self,
        backend: SqliteBackend,
        work: Mapping[Queue, Work],
        *,
        sweep: Callable[[], object],
        sweep_every_s: float,
        visibility_s: float,
        on_failure: Callable[[Exception], object],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._backend = backend
        self._work = work
        self._sweep = sweep
        self._sweep_every_s = sweep_every_s
        self._visibility_s = visibility_s
        self._on_failure = on_failure
        self._clock = clock
        self._threads: list[threading.Thread] = []
        self._ended = threading.Event()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin; nothing happens where it has begun, or was stopped."""
        with self._lock:
            if self._threads or self._ended.is_set():
                return
            # Daemons, as a run that does not end must not keep the process: what was not acknowledged comes again.
            self._threads = [
                *(threading.Thread(target=self._drain, args=(queue,), name=f"worker-{queue}", daemon=True) for queue in self._work),
                threading.Thread(target=self._sweep_on, name="worker-sweep", daemon=True),
            ]
            for thread in self._threads:
                thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Begin nothing more and wait for what runs; True where all of it ended within this time."""
        self._ended.set()
        for queue in self._work:
            self._backend.wake(queue)
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _drain(self, queue: Queue) -> None:
        pause_s = _PAUSE_S
        while not self._ended.is_set():
            try:
                idle = not self._one_batch(queue)
                pause_s = _PAUSE_S
            except Exception as error:  # the thread's last line of defence: whatever it was, the next message is to be heard
                self._tell(error)
                self._ended.wait(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            else:
                if idle:
                    self._backend.wait(queue, _LOOK_S)

    def _one_batch(self, queue: Queue) -> bool:
        messages = self._backend.receive(queue, self._clock(), limit=_BATCH, visibility_s=self._visibility_s)
        if not messages:
            return False
        ids = list(dict.fromkeys(message.id for message in messages))
        try:
            failed = set(self._work[queue](ids))
        except Exception as error:  # work may raise anything; its messages must come again rather than wait for their time
            self._tell(error)
            failed = set(ids)
        self._backend.acknowledge(queue, [message.receipt for message in messages if message.id not in failed])
        for message in messages:
            if message.id in failed:
                self._backend.postpone(queue, [message.receipt], self._clock() + _delay(message))
        return True

    def _sweep_on(self) -> None:
        while not self._ended.is_set():
            try:
                self._sweep()
            except Exception as error:  # as above: the next sweep may mend what this one could not
                self._tell(error)
            self._ended.wait(self._sweep_every_s)

    def _tell(self, error: Exception) -> None:
        # Who hears of failures may fail as well, which must not end a thread.
        with suppress(Exception):
            self._on_failure(error)


def _delay(message: Message) -> float:
    return float(2 ** min(message.receives - 1, 9))
