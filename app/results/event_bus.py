"""Results as events on an EventBridge bus: ``PredictionCompleted`` and ``PredictionFailed``."""

from collections.abc import Sequence

import orjson

from app.errors import Problem
from app.results import Result
from app.results.cloud_event import event_of
from app.results.json_record import record_of
from app.results.sending import Entry, Limits, Refusal, Service, kept, too_large
from app.storage.aws_clients import call
from app.storage.aws_errors import THROTTLED

# "PutEvents": ten entries, together less than 1 MB
# (https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html); what counts is in "Calculating PutEvents
# event entry size" (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html).
_LIMITS = Limits(10, 1_048_575)
_SOURCE = "onnx-lambda"
# "PutEventsResultEntry", retryable errors
# (https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html).
_PASSES = THROTTLED | {"InternalFailure", "InternalException", "ServiceUnavailable"}


class EventBus:
    """A bus."""

    def __init__(self, arn: str, *, cloudevents: bool) -> None:
        """:param cloudevents: whether an event's detail is a CloudEvent."""
        self._arn = arn
        self._written = event_of if cloudevents else record_of
        self._service = Service("events", "put_events", _LIMITS, self._send)

    def put(self, results: Sequence[Result]) -> list[Problem | None]:
        """Put an event for each result on the bus."""
        return kept(self._service, results, self._entry)

    def _entry(self, place: int, result: Result) -> Entry:
        kind = "PredictionFailed" if result.problem else "PredictionCompleted"
        detail = orjson.dumps(self._written(result))
        size = len(_SOURCE) + len(kind) + len(detail)
        if size > _LIMITS.size:
            raise too_large(size, _LIMITS.size, "an event bus")
        return Entry(place, size, {"EventBusName": self._arn, "Source": _SOURCE, "DetailType": kind, "Detail": detail.decode()})

    @staticmethod
    def _send(batch: Sequence[Entry]) -> list[Refusal | None]:
        answers = call("events", "put_events", Entries=[entry.content for entry in batch]).get("Entries", [])
        if len(answers) != len(batch):
            return [Refusal("", passes=True)] * len(batch)
        # One that has neither an id nor a code is not known to be there.
        return [None if answer.get("EventId") else _refusal(answer.get("ErrorCode", "")) for answer in answers]


def _refusal(code: str) -> Refusal:
    return Refusal(code, not code or code in _PASSES)
