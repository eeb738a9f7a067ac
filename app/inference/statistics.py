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
            decode, run, encode = int(phases["decode"] * 1e9), int(phases["run"] * 1e9), int(phases["encode"] * 1e9)
            _add(self.phases_ns, decode, run, encode)
            counted = self.by_rows.get(rows)
            if counted is not None:
                _add(counted[1], decode, run, encode)
                self.by_rows[rows] = (counted[0] + 1, counted[1])
            elif len(self.by_rows) < _MOST_SIZES:
                self.by_rows[rows] = (1, {"decode": decode, "run": run, "encode": encode})


def _add(phases_ns: dict[str, int], decode: int, run: int, encode: int) -> None:
    # Not in a loop: it stands in the way of every request.
    phases_ns["decode"] += decode
    phases_ns["run"] += run
    phases_ns["encode"] += encode
