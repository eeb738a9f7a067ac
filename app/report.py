"""What happened to one request, for its headers, its log line and the metrics."""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.errors import ModelNotReady, Problem
from app.observability import ColdStart, Observer
from app.tensors import Value


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class Report:
    """Filled in on the way, so that it also tells of a request that failed. Phases are in seconds; tensors are by name."""

    dialect: str = ""
    model: str = ""
    version: str = ""
    digest: str = ""
    rows: int = 0
    inputs: dict[str, Value] = field(default_factory=dict)
    outputs: dict[str, Value] = field(default_factory=dict)
    phases: dict[str, float] = field(default_factory=dict)
    # the first, impatient try of a request: its end by the deadline is none of the request
    provisional: bool = False
    # why a model is not ready; never anything of a payload
    reason: str = ""

    def tell(
        self,
        observer: Observer,
        fields: Callable[[], dict[str, Any]],
        *,
        seconds: float,
        code: str,
        failure: BaseException | None,
        cold: ColdStart | None,
    ) -> None:
        """Write the log line and the metrics.

        :param fields: makes what the shell knows of the request; not called where nothing is written.
        :param code: the error's, or empty.
        :param failure: a failure of ours, which is logged with its stack trace.
        :param cold: the start's cost, if this was the first request.
        """
        if observer.writes(failure):
            timing = {"duration_ms": round(seconds * 1000, 3), "cold_start": cold is not None}
            observer.request(fields() | timing | self._fields(code), failure)
        if observer.counts and (self.dialect or code or cold):
            observer.count(self._measures(seconds, code), {"model": self.model or "none"} | ({"code": code} if code else {}), cold)
            if code and (watched := _watched(code)):
                observer.count(watched, {}, None)

    def _fields(self, code: str) -> dict[str, Any]:
        found: dict[str, Any] = {"code": code} if code else {}
        if self.reason:
            found["reason"] = self.reason
        if not self.dialect:
            return found
        return found | {
            "model": self.model,
            "version": self.version,
            "digest": self.digest,
            "dialect": self.dialect,
            "batch_size": self.rows,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "timings_ms": {name: round(value * 1000, 3) for name, value in self.phases.items()},
        }

    def _measures(self, seconds: float, code: str) -> dict[str, tuple[float, str]]:
        found = {"Latency": (seconds * 1000, "Milliseconds")}
        for name, value in self.phases.items():
            found[f"{name.capitalize()}Latency"] = (value * 1000, "Milliseconds")
        if code:
            return found | {"Errors": (1.0, "Count")}
        rows = float(self.rows)
        return found | ({"Predictions": (rows, "Count"), "BatchSize": (rows, "Count")} if self.dialect else {})


@functools.lru_cache(maxsize=128)
def _watched(code: str) -> Mapping[str, tuple[float, str]]:
    """What alarms look at, of all models and codes together: an alarm names every dimension of its metric."""
    found: dict[str, tuple[float, str]] = {}
    if any(kind.code == code and kind.status >= 500 for kind in _kinds(Problem)):
        found["ServerErrors"] = (1.0, "Count")
    if code == ModelNotReady.code:
        found["ModelLoadFailures"] = (1.0, "Count")
    return found


def _kinds(kind: type[Problem]) -> Iterator[type[Problem]]:
    yield kind
    for one in kind.__subclasses__():
        yield from _kinds(one)
