"""Ends runs that would outlive their deadline, from one thread for the whole process.

A ``threading.Timer`` for each run costs about 60 µs; here a run costs a dictionary entry, because the thread sleeps until
the earliest deadline it knows and only looks again then.
"""

import threading
import time
from typing import Protocol

# While runs come one after the other the thread looks again after this time rather than at the next run: to be woken it has to take
# the interpreter from the thread that runs (0.2 times a request, measured with 9,000 requests a second).
_LINGERS_S = 0.02


class Terminable(Protocol):
    """ONNX Runtime's ``RunOptions``: setting ``terminate`` ends the run before its next node."""

    terminate: bool


class Watchdog:
    """Sets ``terminate`` on every watched run whose deadline (``time.monotonic()`` seconds) has come."""

    def __init__(self) -> None:
        self._watched: dict[int, tuple[float, Terminable]] = {}
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        # When the thread looks again; infinity while it looks, and where nothing has been watched for a while.
        self._wakes_at = float("inf")
        self._in_use = False

    def watch(self, run: Terminable, deadline: float) -> int:
        """Watch ``run``; give the returned ticket to :meth:`release` when it has ended."""
        ticket = id(run)
        self._watched[ticket] = (deadline, run)
        self._in_use = True
        # No lock is needed where the thread looks in time: what it did not find was entered after it set infinity.
        if deadline < self._wakes_at:
            with self._condition:
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
                self._wakes_at = float("inf")
                now = time.monotonic()
                latest = now + _LINGERS_S if self._in_use else float("inf")
                self._in_use = False
                watched = list(self._watched.values())
                for deadline, run in watched:
                    if deadline <= now:
                        run.terminate = True
                self._wakes_at = min([latest, *(deadline for deadline, _ in watched if deadline > now)])
                self._condition.wait(None if self._wakes_at == float("inf") else self._wakes_at - now)
