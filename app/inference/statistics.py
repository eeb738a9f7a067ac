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

    def count(self, phases: Mapping[str, float], seconds: float, *, rows: int, failed: bool, requests: int = 1) -> None:
        """Add a request, or several alike: the phases and the whole time of each in seconds, and how many rows it held."""
        nanoseconds = int(seconds * 1e9) * requests
        with self._lock:
            if failed:
                self.failures += requests
                self.failure_ns += nanoseconds
                return
            self.last_inference_ms = time.time_ns() // 1_000_000
            self.successes += requests
            self.inferences += rows * requests
            self.success_ns += nanoseconds
            of_all = 1e9 * requests
            decode, run, encode = int(phases["decode"] * of_all), int(phases["run"] * of_all), int(phases["encode"] * of_all)
            _add(self.phases_ns, decode, run, encode)
            counted = self.by_rows.get(rows)
            if counted is not None:
                _add(counted[1], decode, run, encode)
                self.by_rows[rows] = (counted[0] + requests, counted[1])
            elif len(self.by_rows) < _MOST_SIZES:
                self.by_rows[rows] = (requests, {"decode": decode, "run": run, "encode": encode})


def _add(phases_ns: dict[str, int], decode: int, run: int, encode: int) -> None:
    # Not in a loop: it stands in the way of every request.
    phases_ns["decode"] += decode
    phases_ns["run"] += run
    phases_ns["encode"] += encode
