"""Ends runs that would outlive their deadline, from one thread for the whole process.

A ``threading.Timer`` for each run costs about 60 µs; here a run costs a dictionary entry, because the thread sleeps until
the earliest deadline it knows and only looks again then.
"""

import threading
import time
from typing import Protocol


class Terminable(Protocol):
    """ONNX Runtime's ``RunOptions``: setting ``terminate`` ends the run before its next node."""

    terminate: bool


class Watchdog:
    """Sets ``terminate`` on every watched run whose deadline (``time.monotonic()`` seconds) has come."""

    def __init__(self) -> None:
        self._watched: dict[int, tuple[float, Terminable]] = {}
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._wakes_at = float("inf")

    def watch(self, run: Terminable, deadline: float) -> int:
        """Watch ``run``; give the returned ticket to :meth:`release` when it has ended."""
        ticket = id(run)
        with self._condition:
            self._watched[ticket] = (deadline, run)
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="deadline-watchdog", daemon=True)
                self._thread.start()
            elif deadline < self._wakes_at:
                self._condition.notify()
        return ticket

    def release(self, ticket: int) -> None:
        """Stop watching."""
        self._watched.pop(ticket, None)

    def _loop(self) -> None:
        with self._condition:
            while True:
                now = time.monotonic()
                for deadline, run in list(self._watched.values()):
                    if deadline <= now:
                        run.terminate = True
                waiting = [deadline for deadline, _ in list(self._watched.values()) if deadline > now]
                self._wakes_at = min(waiting, default=float("inf"))
                self._condition.wait(None if self._wakes_at == float("inf") else self._wakes_at - now)
