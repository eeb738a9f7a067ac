"""What brings events to the functions of the template: pollers of its queues and keepers of its schedules, one thread each."""

import json
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from local.emulator import EventTooLarge, Invoke, InvokeFailed
from local.lambda_queue import Queue, failures
from local.stack import Stack

# Lambda polls for twenty seconds at a time; on one machine an empty answer costs nothing.
_IDLE_S = 0.2
_UNITS = {"minute": 60.0, "hour": 3600.0, "day": 86_400.0}
Say = Callable[[str], None]


class QueueSource(NamedTuple):
    """A queue whose messages a function gets: an event source mapping of the template."""

    function: str
    queue: str
    batch: int
    # Whether the answer says which messages come again; without it none does where the function succeeds.
    reports_failures: bool


class Schedule(NamedTuple):
    """An event that a function gets again and again."""

    function: str
    every_s: float
    event: Any


def queue_sources(stack: Stack) -> list[QueueSource]:
    """The queues that the functions of a stack are given."""
    found = []
    for function, properties in _events(stack, "SQS"):
        queue = properties["Queue"]["Fn::GetAtt"][0]
        reports = "ReportBatchItemFailures" in properties.get("FunctionResponseTypes", ())
        found.append(QueueSource(function, queue, int(properties.get("BatchSize", 10)), reports))
    return found


def schedules(stack: Stack) -> list[Schedule]:
    """The schedules of the functions of a stack.

    :raises ValueError: for one that is no rate.
    """
    found = []
    for kind in ("Schedule", "ScheduleV2"):
        for function, properties in _events(stack, kind):
            expression = properties.get("ScheduleExpression") or properties["Schedule"]
            rate = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression)
            if rate is None:
                raise ValueError(f"{function} has the schedule {expression}; only rate(…) is kept here.")
            found.append(Schedule(function, int(rate[1]) * _UNITS[rate[2]], json.loads(properties.get("Input", "{}"))))
    return found


def _events(stack: Stack, kind: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (function, stack.values.value(event["Properties"]))
        for function in stack.functions()
        for event in stack.properties(function).get("Events", {}).values()
        if event["Type"] == kind and ("Condition" not in event or stack.values.holds(event["Condition"]))
    ]


class Pump:
    """Brings events until it is stopped."""

    def __init__(self, invokes: Mapping[str, Invoke], say: Say) -> None:
        """:param invokes: asks each function."""
        self._invokes = invokes
        self._say = say
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def poll(self, source: QueueSource, queue: Queue) -> None:
        """Deliver a queue's messages from now on."""
        self._start(self._poll, source, queue)

    def keep(self, schedule: Schedule) -> None:
        """Keep a schedule from now on; the first event is there when its time is over once."""
        self._start(self._keep, schedule)

    def stop(self, patience_s: float) -> None:
        """End every thread, each after what it has begun."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(patience_s)

    def deliver(self, source: QueueSource, queue: Queue) -> bool:
        """One delivery; whether there was one. What the function did not work off comes again when its time in the queue is over."""
        given: list[str] = []

        def invoke(event: dict[str, Any]) -> Any:
            given.extend(record["messageId"] for record in event["Records"])
            answer = self._invokes[source.function](event)
            return answer if source.reports_failures else None

        try:
            answer = queue.deliver(invoke, source.batch)
        except (EventTooLarge, InvokeFailed) as error:
            self._say(f"{source.queue} → {source.function}: {len(given)} messages come again: {error!r}")
            return True
        if given:
            self._say(f"{source.queue} → {source.function}: {len(given)} messages, {len(failures(answer, given))} come again")
        return bool(given)

    def _start(self, run: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _poll(self, source: QueueSource, queue: Queue) -> None:
        while not self._stopped.is_set():
            if not self.deliver(source, queue):
                self._stopped.wait(_IDLE_S)

    def _keep(self, schedule: Schedule) -> None:
        while not self._stopped.wait(schedule.every_s):
            try:
                self._invokes[schedule.function](schedule.event)
            except InvokeFailed as error:
                self._say(f"schedule → {schedule.function}: {error}")
