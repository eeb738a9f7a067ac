"""Events of an EventBridge bus that ask for a prediction: ``PredictionRequested``.

``detail`` is a request as a direct invoke has it, or a CloudEvent (1.0) whose data is one. The rule says whose events come here:
https://docs.aws.amazon.com/eventbridge/latest/ref/events-structure.html
"""

import binascii
from base64 import b64decode
from typing import Any

import orjson

from app.errors import Invalid, Problem, UnknownEvent, Unreadable
from app.triggers.record_batches import all_answered, answered
from app.triggers.records import AnswerRecords, Record

DETAIL_TYPE = "PredictionRequested"
_MEMBERS = frozenset({"version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"})
# There when an archive is played back.
_REPLAYED = "replay-name"
# Sources that AWS keeps for itself, and that nobody else can put.
_OF_AWS = "aws."
# A CloudEvent's extensions and the attributes of a record that they are; their names have no hyphens.
_EXTENSIONS = {
    "model": "model",
    "version": "version",
    "dialect": "dialect",
    "accept": "accept",
    "replyto": "reply-to",
    "correlationid": "correlation-id",
    "datacontenttype": "content-type",
}


def is_bus_event(event: Any) -> bool:
    """An event that somebody other than AWS put on a bus."""
    return (
        isinstance(event, dict)
        and event.keys() - {_REPLAYED} == _MEMBERS
        and all(isinstance(event[name], str) and event[name] != "" for name in ("id", "detail-type", "source"))
        and not event["source"].startswith(_OF_AWS)
        and isinstance(event["detail"], dict)
    )


class EventBridgeTrigger:
    """Answers events."""

    def __init__(self, answer: AnswerRecords) -> None:
        self._answer = answer

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, int]:
        """Answer one event.

        :raises UnknownEvent: for an event of another type, so that the rule's dead-letter queue has it.
        :raises RecordsFailed: where it failed. Lambda invokes twice more, and then tells the on-failure destination.
        """
        if event["detail-type"] != DETAIL_TYPE:
            raise UnknownEvent(
                f'The event is of another detail-type than "{DETAIL_TYPE}", the only one that is answered. Name it in the rule\'s pattern.'
            )
        return all_answered(answered([_read(event)], self._answer, context))


def _read(event: dict[str, Any]) -> Record:
    detail = event["detail"]
    body: str | bytes = b""
    attributes: dict[str, str] = {}
    refused: Problem | None = None
    try:
        if "specversion" in detail:
            attributes = _attributes(detail)
            body = _data(detail)
        else:
            body = _json(detail, "/detail")
    except Problem as problem:
        refused = problem
    return Record(event["id"], "eventbridge", body, attributes, refused=refused)


def _attributes(detail: dict[str, Any]) -> dict[str, str]:
    """Those of a CloudEvent: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md"""
    if detail["specversion"] != "1.0" or not all(isinstance(detail.get(name), str) and detail[name] for name in ("id", "source", "type")):
        raise Invalid('A CloudEvent has "specversion": "1.0", and "id", "source" and "type" as text.', pointer="/detail")
    attributes = {"correlation-id": detail["id"]}
    for name, attribute in _EXTENSIONS.items():
        if name in detail:
            if not isinstance(detail[name], str):
                raise Invalid(f'"{name}" must be a string.', pointer=f"/detail/{name}")
            attributes[attribute] = detail[name]
    return attributes


def _data(detail: dict[str, Any]) -> str | bytes:
    if ("data" in detail) == ("data_base64" in detail):
        raise Invalid('The CloudEvent needs its request in "data", or in "data_base64" where it is binary.', pointer="/detail")
    if "data" in detail:
        data = detail["data"]
        # Text in another format than JSON stands in a string (section 3.1.1).
        media_type = detail.get("datacontenttype", "application/json").partition(";")[0].strip().lower()
        is_json = media_type == "application/json" or media_type.endswith("+json")
        return data if isinstance(data, str) and not is_json else _json(data, "/detail/data")
    try:
        return b64decode(detail["data_base64"], validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise Unreadable('"data_base64" is no base64 (RFC 4648, section 4).', pointer="/detail/data_base64") from None


def _json(value: Any, pointer: str) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise Invalid("The event holds a value that JSON cannot carry, such as an integer over 64 bits.", pointer=pointer) from error
