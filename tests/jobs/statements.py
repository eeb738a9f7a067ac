"""A process whose SQL statements are counted, and which is killed before one of them."""

import itertools
import os
import signal
import sqlite3
from typing import Any

from app.jobs import sqlite_file


class Countdown(sqlite3.Connection):
    """A connection that counts the statements of the process and kills it before one of them."""

    statements = itertools.count(1)
    fatal = 0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.set_trace_callback(self._count)

    def _count(self, _: str) -> None:
        if next(self.statements) == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)


def kill_before(fatal: int) -> None:
    """Have this process killed before the statement of this number; before none for 0, which only counts."""
    connect = sqlite3.connect
    Countdown.fatal = fatal
    sqlite_file.sqlite3.connect = lambda *arguments, **options: connect(*arguments, factory=Countdown, **options)  # type: ignore[assignment]


def counted() -> int:
    """How many statements there were; to be asked once, at the end."""
    return next(Countdown.statements) - 1
