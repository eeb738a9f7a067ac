"""What one model version has done since this process loaded it, as Triton's statistics extension counts."""

import threading
import time
from collections.abc import Mapping


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
        self.phases_ns = {"decode": 0, "run": 0, "encode": 0}

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
            for name in self.phases_ns:
                self.phases_ns[name] += int(phases[name] * 1e9)
