"""What one model version has done since this process loaded it, as Triton's statistics extension counts."""

import threading
import time
from collections.abc import Mapping

_PHASES = ("decode", "run", "encode")
# Requests of further different numbers of rows are counted in the sums alone.
_MOST_SIZES = 64


class Statistics:
    """Counts requests and the nanoseconds of their phases; may be used from several threads at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.last_inference_ms = 0
        self.inferences = 0
        self.successes = 0
        self.failures = 0
        self.success_ns = 0
        self.failure_ns = 0
        # phase → nanoseconds of all requests that succeeded
        self.phases_ns = dict.fromkeys(_PHASES, 0)
        # rows of a request → how many such requests succeeded, and the nanoseconds of their phases
        self.by_rows: dict[int, tuple[int, dict[str, int]]] = {}

    def count(self, phases: Mapping[str, float], seconds: float, *, rows: int, failed: bool) -> None:
        """Add one request: its phases and its whole time in seconds, and how many rows it held."""
        nanoseconds = int(seconds * 1e9)
        with self._lock:
            if failed:
                self.failures += 1
                self.failure_ns += nanoseconds
                return
            self.last_inference_ms = time.time_ns() // 1_000_000
            self.successes += 1
            self.inferences += rows
            self.success_ns += nanoseconds
            requests, of_rows = self.by_rows.get(rows) or (0, dict.fromkeys(_PHASES, 0))
            for name in _PHASES:
                took = int(phases[name] * 1e9)
                self.phases_ns[name] += took
                of_rows[name] += took
            if requests or len(self.by_rows) < _MOST_SIZES:
                self.by_rows[rows] = (requests + 1, of_rows)
