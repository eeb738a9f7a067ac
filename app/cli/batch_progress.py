"""How far a file is, on standard error: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from app.batches.tally import Progress
from app.cli.printable import printable

_REDRAW_S, _LINE_S = 0.1, 10.0
_WIDTH = 24


class Bar:
    """The progress of one file."""

    def __init__(self, name: str, *, quiet: bool) -> None:
        self._name = name
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._began = time.monotonic()
        # Where nobody watches, a short file says nothing but its result.
        self._last = 0.0 if self._terminal else self._began
        self._drawn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._drawn and self._terminal:
            _put("\n")

    def show(self, progress: Progress) -> None:
        """Draw it, if it is time to."""
        now = time.monotonic()
        done = progress.read >= progress.size
        if self._quiet or (now - self._last < (_REDRAW_S if self._terminal else _LINE_S) and not (done and self._drawn)):
            return
        self._last, self._drawn = now, True
        text = told(self._name, progress, now - self._began)
        _put(f"\r{text}\x1b[K" if self._terminal else f"{text}\n")


def _put(text: str) -> None:
    # A file is predicted whether somebody looks or not.
    with suppress(OSError):
        print(text, end="", file=sys.stderr, flush=True)


def told(name: str, progress: Progress, seconds: float) -> str:
    """``iris.csv [######------] 50 %, 500,000 rows, 250,000 rows/s, 2 s left``."""
    share = progress.read / progress.size if progress.size else 1.0
    bar = "#" * int(share * _WIDTH)
    left = seconds / share - seconds if share else 0.0
    failed = f", {progress.failures:,} failed" if progress.failures else ""
    speed = progress.rows / seconds if seconds else 0.0
    short = printable(name.rpartition("/")[2])[-32:]
    return f"{short} [{bar:-<{_WIDTH}}] {100 * share:.0f} %, {progress.rows:,} rows{failed}, {speed:,.0f} rows/s, {left:.0f} s left"
