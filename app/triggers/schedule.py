"""What a schedule asks for: to keep an environment warm, which touches no model, and to repair what crashes have left."""

import time
from collections.abc import Callable
from typing import Any

_LONGEST_S = 45.0
_LAST_CALL_S = 1.0


def is_ping(event: Any) -> bool:
    """``{"warmup": true}``, or an EventBridge rule's schedule:
    https://docs.aws.amazon.com/eventbridge/latest/ref/overview-of-EventBridge-events.html
    """
    if not isinstance(event, dict):
        return False
    scheduled = event.get("source") == "aws.events" and event.get("detail-type") == "Scheduled Event" and "requestContext" not in event
    return scheduled or (len(event) == 1 and event.get("warmup") is True)


def answer(event: Any, context: Any) -> dict[str, bool]:  # noqa: ARG001 - the signature of every trigger
    """The models were loaded when the environment started, so there is nothing left to do."""
    return {"warm": True}


def is_sweep(event: Any) -> bool:
    """``{"sweep": true}``, which the template's schedule sends."""
    return isinstance(event, dict) and len(event) == 1 and event.get("sweep") is True


class SweepTrigger:
    """Sweeps until what is due is done, or the time is up; the next schedule goes on."""

    def __init__(self, sweep: Callable[[float], dict[str, int]]) -> None:
        """:param sweep: sweeps until a deadline (``time.monotonic()`` seconds) and counts what it did."""
        self._sweep = sweep

    def __call__(self, event: Any, context: Any) -> dict[str, int]:  # noqa: ARG002
        """One sweep; the answer counts what it did."""
        remaining = getattr(context, "get_remaining_time_in_millis", None)
        left_s = _LONGEST_S if remaining is None else remaining() / 1000 - _LAST_CALL_S
        return self._sweep(time.monotonic() + left_s)
