"""Structured logs and metrics by Powertools: one JSON line a request, CloudWatch metrics as EMF. Quiet outside Lambda."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from app.tensors import Value

# A log line is for a person: what came is named, never repeated at length (faults.md F-68).
_LONGEST_TEXT = 256
_SHOWN_VALUES = 10
_TENSOR_FIELDS = ("inputs", "outputs")


@dataclass(frozen=True, slots=True)
class ColdStart:
    """What the start of this process cost, in seconds."""

    import_s: float
    load_s: float
    warm_up_s: float

    def phases(self) -> dict[str, float]:
        """By the name they have in ``Server-Timing``."""
        return {"import": self.import_s, "load": self.load_s, "warm-up": self.warm_up_s}


class Observer:
    """Writes what happened to one request. Nothing of a payload is written, unless ``log_values`` is on."""

    def __init__(self, *, service: str, level: str, namespace: str | None, log_values: bool, cold_start: ColdStart | None = None) -> None:
        """:param namespace: of the metrics, or None to write none."""
        # Without location: it would always name the line below that writes, and costs a look at the stack.
        self._logger = Logger(service=service, level=level, use_rfc3339=True, location=None)
        self._service = service
        self._namespace = namespace
        self._log_values = log_values
        self._cold_start = cold_start

    def take_cold_start(self) -> ColdStart | None:
        """The start's cost, for the first request that asks; None for all others."""
        found, self._cold_start = self._cold_start, None
        return found

    def request(self, fields: Mapping[str, Any], error: BaseException | None = None) -> None:
        """One line for one request: INFO, or ERROR with the stack trace for a failure of ours.

        ``inputs`` and ``outputs`` are tensors by name, and are written as their names, datatypes and shapes.
        """
        if error is None and self._logger.log_level > logging.INFO:
            return
        cleaned = {key: self._tensors(value) if key in _TENSOR_FIELDS else _clean(value) for key, value in fields.items()}
        if error is not None:
            self._logger.error("request failed", extra=cleaned, exc_info=error)
        else:
            self._logger.info("request", extra=cleaned)

    def note(self, message: str, **fields: Any) -> None:
        """A warning about the process rather than a request."""
        self._logger.warning(message, extra={key: _clean(value) for key, value in fields.items()})

    def count(self, measures: Mapping[str, tuple[float, str]], dimensions: Mapping[str, str], cold: ColdStart | None) -> None:
        """One EMF document: ``measures`` are ``name: (value, unit)``."""
        if self._namespace is None:
            return
        metrics = EphemeralMetrics(namespace=self._namespace, service=self._service)
        for name, value in dimensions.items():
            metrics.add_dimension(name, value)
        for name, (number, unit) in measures.items():
            metrics.add_metric(name, MetricUnit(unit), number)
        for name, seconds in cold.phases().items() if cold else ():
            metrics.add_metric(f"ColdStart{name.title().replace('-', '')}", MetricUnit.Milliseconds, seconds * 1000)
        if cold:
            metrics.add_metric("ColdStart", MetricUnit.Count, 1)
        metrics.flush_metrics()

    def _tensors(self, values: Mapping[str, Value]) -> list[dict[str, Any]]:
        return [_summary(name, value, show=self._log_values) for name, value in values.items()]


def _clean(value: Any) -> Any:
    return value[:_LONGEST_TEXT] + "…" if isinstance(value, str) and len(value) > _LONGEST_TEXT else value


def _summary(name: str, value: Value, *, show: bool) -> dict[str, Any]:
    if value is None:
        return {"name": name, "dtype": "none"}
    if isinstance(value, list):
        return {"name": name, "dtype": "sequence", "length": len(value)}
    found: dict[str, Any] = {"name": name, "dtype": "string" if value.dtype == object else value.dtype.name, "shape": list(value.shape)}
    if show:
        found["values"] = value.reshape(-1)[:_SHOWN_VALUES].tolist()
        if value.dtype.kind in "fiu" and value.size:
            found["min"], found["max"] = float(cast(Any, np.min(value))), float(cast(Any, np.max(value)))
    return found
