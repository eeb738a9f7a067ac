"""A schedule's batch, ``{"batch": {"input": "s3://…", "output": "s3://…", …}}``: starts a run of the batch machine, and does not wait for it.

EventBridge Scheduler writes the time of the schedule where the event says ``<aws.scheduler.scheduled-time>``:
https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
"""

import re
from collections.abc import Callable
from typing import Any

from app.batches.machine_run import Asked
from app.batches.machine_start import Started
from app.errors import Invalid
from app.storage.aws_clients import within
from app.triggers.records import times_of

# event's name → that of what is asked
_NAMES = {"input": "input", "output": "output", "model": "model", "version": "version", "format": "output_format", "time": "mark"}
_NUMBERS = ("max_concurrency", "max_items_per_batch", "tolerated_failure_percentage")
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})T[0-9:.]+(?:Z|[+-]\d{2}:\d{2})")


def is_scheduled_batch(event: Any) -> bool:
    """``{"batch": {…}}`` and nothing beside it."""
    return isinstance(event, dict) and event.keys() == {"batch"} and isinstance(event["batch"], dict)


class ScheduledBatchTrigger:
    """Starts what a schedule asks for."""

    def __init__(self, start: Callable[[Asked], Started]) -> None:
        self._start = start

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """The execution's name, and whether it is new.

        An event that is delivered twice finds the first one's execution, and so does a schedule without a time whose input is still
        the same file. With a time every schedule is a run of its own, and ``{date}`` in the input or the output is its day.

        :raises Problem: raised, because Lambda tries asynchronous invokes again and keeps the event where they fail.
        """
        asked = asked_of(event["batch"])
        with within(times_of(context).write):
            started = self._start(asked)
        return {"execution": started.run.name, "started": started.is_new, "output": started.run.output}


def asked_of(told: dict[str, Any]) -> Asked:
    """What the event asks for.

    :raises Invalid: naming the member that is wrong.
    """
    found: dict[str, Any] = {}
    for name, value in told.items():
        kind = str if name in _NAMES else int if name in _NUMBERS else None
        if kind is None:
            raise Invalid(f"A batch has no '{name[:40]}'; it has {', '.join((*_NAMES, *_NUMBERS))}.", pointer="/batch")
        if type(value) is not kind:
            raise Invalid(f"'{name}' is to be a {'number' if kind is int else 'string'}.", pointer=f"/batch/{name}")
        found[_NAMES.get(name, name)] = value
    for name in ("input", "output"):
        if name not in found:
            raise Invalid(f"A batch needs '{name}', an address such as s3://bucket/key.", pointer="/batch")
        if "{date}" in found[name]:
            day = _TIME.fullmatch(found.get("mark", ""))
            if not day:
                raise Invalid('{date} needs "time": "<aws.scheduler.scheduled-time>", which a schedule of EventBridge Scheduler fills in.')
            found[name] = found[name].replace("{date}", day[1])
    return Asked(**found)
