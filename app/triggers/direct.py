"""Direct invokes, by an SDK or a Step Functions task: ``{"model"?, "version"?, "inputs"|"instances", …}``.

The answer is a result, or an error object that has ``error``, ``code``, ``status`` and ``retryable`` to branch on. It is
returned rather than raised, because Lambda keeps only a raised error's type and text.
"""

import time
from typing import Any

import orjson

from app.errors import InternalError, Invalid, ModelNotReady, Problem
from app.observability import Observer
from app.prediction import PredictionRequest, Predictor
from app.report import Report

_ROUTING = ("model", "version")
_KEYS = frozenset({"inputs", "instances", "outputs", "parameters", "id", *_ROUTING})


def is_direct(event: Any) -> bool:
    """A prediction request and nothing else: no key of another source may stand beside it."""
    return isinstance(event, dict) and ("inputs" in event or "instances" in event) and event.keys() <= _KEYS


class DirectInvoke:
    """Answers direct invokes."""

    def __init__(self, predictor: Predictor, observer: Observer, *, margin_s: float) -> None:
        self._predictor = predictor
        self._observer = observer
        self._margin_s = margin_s

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Answer one invoke. Failures come back as an error object."""
        request_id = str(getattr(context, "aws_request_id", ""))
        started = time.perf_counter()
        report = Report()
        failure: BaseException | None = None
        try:
            answer = self._predict(event, context, report)
        except Problem as problem:
            answer = problem.as_object(request_id) | {"retryable": problem.retryable}
            report.reason = problem.detail if isinstance(problem, ModelNotReady) else ""
            failure = (problem.__cause__ or problem) if isinstance(problem, InternalError) else None
        except Exception as error:
            answer = InternalError("Something failed on our side; the log tells under this request id.").as_object(request_id)
            answer["retryable"], failure = True, error
        wanted = event.get("id")
        correlation_id = (
            wanted if isinstance(wanted, str) and wanted.isascii() and wanted.isprintable() and len(wanted) <= 128 else request_id
        )
        fields = {"request_id": request_id, "correlation_id": correlation_id, "trigger": "direct", "status": answer.get("status", 200)}
        report.tell(
            self._observer,
            lambda: fields,
            seconds=time.perf_counter() - started,
            code=str(answer.get("code", "")),
            failure=failure,
            cold=self._observer.take_cold_start(),
        )
        return answer

    def _predict(self, event: dict[str, Any], context: Any, report: Report) -> dict[str, Any]:
        for key in _ROUTING:
            if event.get(key) is not None and not isinstance(event[key], str):
                raise Invalid(f'"{key}" must be a string.', pointer=f"/{key}")
        remaining = getattr(context, "get_remaining_time_in_millis", None)
        try:
            body = orjson.dumps({key: value for key, value in event.items() if key not in _ROUTING})
        except orjson.JSONEncodeError as error:
            raise Invalid("The event holds a value that JSON cannot carry, such as an integer over 64 bits.") from error
        request = PredictionRequest(
            body=body,
            model=event.get("model"),
            version=event.get("version"),
            deadline=None if remaining is None else time.monotonic() + remaining() / 1000 - self._margin_s,
        )
        found: dict[str, Any] = orjson.loads(self._predictor.answer(request, report).body)
        return found
