"""What is counted while a file is predicted."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from app.batches.rows import Failed, Piece
from app.errors import Invalid

PHASES = ("read", "decode", "run", "encode", "write")


class Progress(NamedTuple):
    """How far a file is: rows answered or failed, and the bytes that were read for them."""

    rows: int
    failures: int
    read: int
    size: int


class Tally:
    """Rows, failures and seconds of one file.

    :param max_failures: rows that may fail: a number of them from 1 on (0: none), below 1 a share of all; None for any number.
    """

    def __init__(self, max_failures: float | None) -> None:
        self.rows = 0
        self.failures = 0
        self.timings = dict.fromkeys(PHASES, 0.0)
        self._max_failures = max_failures
        self._first: Failed | None = None
        self._began = time.perf_counter()

    def count(self, piece: Piece) -> None:
        """Count a piece.

        :raises Invalid: for one failure more than may be.
        """
        self.rows += piece.rows
        if piece.failed:
            self.failures += 1
            self._first = self._first or piece.failed
            if (
                self._max_failures is not None
                and (self._max_failures >= 1 or not self._max_failures)
                and self.failures > self._max_failures
            ):
                self._refuse(f"{self.failures} of the first {self.rows} rows failed, and {self._max_failures:g} may")

    def check_share(self) -> None:
        """Compare the failures with the share of all rows that may fail.

        :raises Invalid: for more.
        """
        if self._max_failures is not None and self.failures > self._max_failures * self.rows and self._max_failures < 1:
            self._refuse(f"{self.failures} of {self.rows} rows failed, and {100 * self._max_failures:.4g} % of them may")

    def _refuse(self, text: str) -> None:
        assert self._first
        first = self._first.error
        place = "" if first.startswith("line ") else f"line {self._first.line}: "
        raise Invalid(f"{text}; nothing was written. The first: {place}{first}")

    def add(self, phases: Mapping[str, float]) -> None:
        """Count what a request took."""
        for name, seconds in phases.items():
            self.timings[name] = self.timings.get(name, 0.0) + seconds

    @contextmanager
    def timing(self, phase: str) -> Iterator[None]:
        """Count what a block takes."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.timings[phase] += time.perf_counter() - started

    def total(self) -> dict[str, float]:
        """All timings, with what the whole took."""
        return {**self.timings, "total": time.perf_counter() - self._began}
