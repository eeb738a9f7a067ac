"""Changes of a DynamoDB table whose items hold requests.

An item holds one in a map ``request``, or by its own attributes ``inputs`` or ``instances``; others are passed over, and so is a
change that left the request as it was: else a prediction that is written into its item would ask for the next one.
The answer names every record that failed (ReportBatchItemFailures), and Lambda begins again at the lowest of them:
https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
"""

from typing import Any

import orjson

from app.errors import Problem, Unreadable
from app.triggers.dynamodb_values import json_of
from app.triggers.record_batches import answered, item_failures, records_of
from app.triggers.records import AnswerRecords, Record

_SOURCE = "aws:dynamodb"
_CHANGES = ("INSERT", "MODIFY")
# By a caller, or by the table's time to live.
_REMOVAL = "REMOVE"
# Attributes of an item that are its request, with the types that make them so: ``version`` is a number in many tables, and theirs.
_ASKS = {"inputs": ("M", "L"), "instances": ("L",)}
_SAYS_MORE = {"outputs": ("L", "SS"), "parameters": ("M",)}
_NAMES = {"model": ("S",), "version": ("S",), "id": ("S",)}


def is_stream(event: Any) -> bool:
    """Records of a DynamoDB stream and of nothing else."""
    records = records_of(event, _SOURCE)
    return bool(records) and all(_is_record(record) for record in records)


def _is_record(record: dict[str, Any]) -> bool:
    change = record["dynamodb"]
    named = (record.get("eventID"), change.get("SequenceNumber"))
    return (
        all(isinstance(name, str) and name != "" for name in named)
        and record.get("eventName") in (*_CHANGES, _REMOVAL)
        and all(isinstance(change.get(image, {}), dict) for image in ("NewImage", "OldImage"))
    )


class DynamoDbTrigger:
    """Answers deliveries of a table's stream."""

    def __init__(self, answer: AnswerRecords) -> None:
        self._answer = answer

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, list[dict[str, str]]]:
        """Work off one delivery. What is passed over counts as done."""
        found = [(record["dynamodb"]["SequenceNumber"], _read(record)) for record in event["Records"]]
        asked = [(number, read) for number, read in found if read is not None]
        outcomes = answered([read for _, read in asked], self._answer, context)
        return item_failures([number for number, _ in asked], outcomes)


def _read(record: dict[str, Any]) -> Record | None:
    if record["eventName"] == _REMOVAL:
        return None
    body, change = b"", record["dynamodb"]
    refused: Problem | None = None
    if "NewImage" not in change:
        # Passing over would lose every request of a table whose stream was set up wrongly.
        refused = Unreadable("The stream does not say what the item is now. Set its StreamViewType to NEW_AND_OLD_IMAGES, or to NEW_IMAGE.")
    else:
        request, pointer = _request_in(change["NewImage"])
        if request is None or ("OldImage" in change and request == _request_in(change["OldImage"])[0]):
            return None
        try:
            body = request.encode() if isinstance(request, str) else orjson.dumps(json_of({"M": request}, pointer))
        except Problem as problem:
            refused = problem
        except (orjson.JSONEncodeError, UnicodeEncodeError):
            refused = Unreadable("The item's request holds text that is no Unicode.")
    return Record(record["eventID"], "dynamodb", body, refused=refused)


def _request_in(image: dict[str, Any]) -> tuple[Any, str]:
    """The request's attributes, and where they stand; None where the item holds no request."""
    if _is_of(image.get("request"), ("M",)):
        return image["request"]["M"], "/request"
    if _is_of(image.get("request"), ("S",)) and str(image["request"]["S"]).lstrip().startswith("{"):
        # JSON as text
        return str(image["request"]["S"]), "/request"
    if not any(_is_of(image.get(name), kinds) for name, kinds in _ASKS.items()):
        return None, ""
    known = {**_ASKS, **_SAYS_MORE, **_NAMES}
    return {name: image[name] for name, kinds in known.items() if _is_of(image.get(name), kinds)}, ""


def _is_of(value: Any, kinds: tuple[str, ...]) -> bool:
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in kinds
