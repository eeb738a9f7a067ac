"""Structured logs and metrics by Powertools: one JSON line a request, CloudWatch metrics as EMF. Quiet outside Lambda."""

import functools
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple, TextIO, cast

import numpy as np
import orjson
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from app.tensors import Value

# A log line is for a person: what came is named, never repeated at length (faults.md F-68).
_LONGEST_TEXT = 256
_SHOWN_VALUES = 10
_TENSOR_FIELDS = ("inputs", "outputs")


class ColdStart(NamedTuple):
    """What the start of this process cost, in seconds."""

    import_s: float
    load_s: float
    warm_up_s: float

    def phases(self) -> dict[str, float]:
        """By the name they have in ``Server-Timing``."""
        return {"import": self.import_s, "load": self.load_s, "warm-up": self.warm_up_s}


class Observer:
    """Writes what happened to one request. Nothing of a payload is written, unless ``log_values`` is on."""

    def __init__(
        self,
        *,
        service: str,
        level: str,
        namespace: str | None,
        log_values: bool,
        cold_start: ColdStart | None = None,
        stream: TextIO | None = None,
    ) -> None:
        """:param namespace: of the metrics, or None to write none.
        :param stream: where log lines go; None is standard output, where Lambda looks.
        """
        # Without location: it would always name the line below that writes, and costs a look at the stack.
        self._logger = Logger(service=service, level=level, use_rfc3339=True, location=None, json_serializer=_dumps, stream=stream)
        # One provider for the process, given whole metric sets: making one for each request takes 35 µs.
        self._metrics = AmazonCloudWatchEMFProvider(namespace=namespace, service=service) if namespace else None
        self._tells = self._logger.log_level <= logging.INFO
        self._service = service
        self._log_values = log_values
        # a list, because taking the last of it is one step, also between threads
        self._cold_start = [cold_start] if cold_start else []

    def take_cold_start(self) -> ColdStart | None:
        """The start's cost, for the first request that asks; None for all others."""
        # An exception for each request that is not the first would cost it most of a microsecond.
        if not self._cold_start:
            return None
        try:
            return self._cold_start.pop()
        except IndexError:
            return None

    @property
    def counts(self) -> bool:
        """Whether metrics are written."""
        return self._metrics is not None

    def writes(self, error: BaseException | None) -> bool:
        """Whether a request's line would be written, so that nothing is put together for none."""
        return self._tells or error is not None

    def request(self, fields: Mapping[str, Any], error: BaseException | None = None) -> None:
        """One line for one request: INFO, or ERROR with the stack trace for a failure of ours.

        ``inputs`` and ``outputs`` are tensors by name, and are written as their names, datatypes and shapes.
        """
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
        if self._metrics is None:
            return
        found = dict(measures)
        if cold:
            found["ColdStart"] = (1.0, "Count")
            for name, seconds in cold.phases().items():
                found[f"ColdStart{name.title().replace('-', '')}"] = (seconds * 1000, "Milliseconds")
        metrics = {name: {"Unit": unit, "Value": [number]} for name, (number, unit) in found.items()}
        document = self._metrics.serialize_metric_set(metrics, {**dimensions, "service": self._service}, {})
        print(_dumps(document))

    def _tensors(self, values: Mapping[str, Value]) -> list[dict[str, Any]]:
        return [_summary(name, value, show=self._log_values) for name, value in values.items()]


def _dumps(document: Mapping[str, Any]) -> str:
    """One line of ASCII JSON: a line separator of Unicode must not end a log line (faults.md F-68)."""
    text = orjson.dumps(document, default=str).decode()
    if text.isascii():
        return text
    import json

    return json.dumps(orjson.loads(text))


@functools.lru_cache(maxsize=64)
def _dtype_name(dtype: np.dtype[np.generic]) -> str:
    # NumPy puts the name together anew at each look, in 3 µs
    return "string" if dtype.kind == "O" else str(dtype.name)


def _clean(value: Any) -> Any:
    return value[:_LONGEST_TEXT] + "…" if isinstance(value, str) and len(value) > _LONGEST_TEXT else value


def _summary(name: str, value: Value, *, show: bool) -> dict[str, Any]:
    if value is None:
        return {"name": name, "dtype": "none"}
    if isinstance(value, list):
        return {"name": name, "dtype": "sequence", "length": len(value)}
    found: dict[str, Any] = {"name": name, "dtype": _dtype_name(value.dtype), "shape": list(value.shape)}
    if show:
        found["values"] = value.reshape(-1)[:_SHOWN_VALUES].tolist()
        if value.dtype.kind in "fiu" and value.size:
            found["min"], found["max"] = float(cast(Any, np.min(value))), float(cast(Any, np.max(value)))
    return found
