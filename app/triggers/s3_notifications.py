"""Which objects an event of S3 names, in each of the shapes in which it comes: from S3 itself, from EventBridge, and as a queue's message.

S3's own notifications have encoded keys (S3 User Guide, "Event message structure"), EventBridge's have them as they are ("Using
EventBridge"). Both come at least once, and in any order.
"""

from typing import Any, NamedTuple
from urllib.parse import unquote_plus

import orjson

from app.errors import UnknownEvent

_SOURCE, _BUS_SOURCE = "aws:s3", "aws.s3"
_CREATED, _BUS_CREATED = "ObjectCreated:", "Object Created"
# A later major version is one that this was not written for ("Event message structure").
_MAJOR_VERSION = "2."
_TEST_EVENT = "s3:TestEvent"
_TEST_MEMBERS = frozenset({"Service", "Event", "Time", "Bucket", "RequestId", "HostId"})
_BUS_MEMBERS = frozenset({"version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"})
# There when an archive is played back.
_REPLAYED = "replay-name"
# https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-s3.html
_BUS_TYPES = frozenset(
    {
        _BUS_CREATED,
        "Async Copy Completion",
        "Object ACL Updated",
        "Object Access Tier Changed",
        "Object Deleted",
        "Object Restore Completed",
        "Object Restore Expired",
        "Object Restore Initiated",
        "Object Storage Class Changed",
        "Object Tags Added",
        "Object Tags Deleted",
    }
)
# Most messages are not of S3, and are not parsed to find that out.
_TRACES = (_SOURCE, _BUS_SOURCE, _TEST_EVENT)


class S3Object(NamedTuple):
    """An object that was created; without a version id, what is there under this key by now."""

    bucket: str
    key: str
    version_id: str = ""


def is_s3_event(event: Any) -> bool:
    """An event of S3 and of nothing else."""
    return isinstance(event, dict) and (_is_notification(event) or _is_test(event) or _is_of_bus(event))


def objects_of(event: dict[str, Any]) -> list[S3Object]:
    """The objects that were created, each once; none for a test, a deletion and whatever else :func:`is_s3_event` recognises.

    :raises UnknownEvent: for a key that is not encoded as S3 does it.
    """
    if "detail" in event:
        detail = event["detail"]
        created = event["detail-type"] == _BUS_CREATED
        return [S3Object(detail["bucket"]["name"], detail["object"]["key"], detail["object"].get("version-id") or "")] if created else []
    found = [
        S3Object(parts["bucket"]["name"], _decoded(parts["object"]["key"]), parts["object"].get("versionId") or "")
        for record in event.get("Records", ())
        if _is_creation(record)
        for parts in [record["s3"]]
    ]
    return list(dict.fromkeys(found))


def objects_in(body: str | bytes) -> list[S3Object] | None:
    """The objects that a queue's message names: an event of S3 or EventBridge, or one in the envelope of an SNS topic.

    None for a message that is not of S3.

    :raises UnknownEvent: for one that is of S3 and of something else, or of a shape that nobody knows.
    """
    found = _parsed(body)
    if isinstance(found, dict) and found.get("Type") == "Notification" and "TopicArn" in found:
        found = _parsed(found.get("Message"))
    if is_s3_event(found):
        return objects_of(found)
    if _claims_to_be(found):
        raise UnknownEvent("The message is of S3, but not of a shape that is known; events/ holds a sample of each.")
    return None


def _parsed(body: Any) -> Any:
    traces = _TRACES if isinstance(body, str) else tuple(trace.encode() for trace in _TRACES)
    if not isinstance(body, str | bytes) or not any(trace in body for trace in traces):  # type: ignore[operator]
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _is_notification(event: dict[str, Any]) -> bool:
    records = event.get("Records") if event.keys() == {"Records"} else None
    return isinstance(records, list) and bool(records) and all(_is_record(record) for record in records)


def _is_record(record: Any) -> bool:
    known = (
        isinstance(record, dict)
        and record.get("eventSource") == _SOURCE
        and isinstance(record.get("eventName"), str)
        and str(record.get("eventVersion", "")).startswith(_MAJOR_VERSION)
        and isinstance(record.get("s3"), dict)
    )
    # Others may have other parts: an archived object's is called "get_object".
    return known and (not _is_creation(record) or _names_an_object(record["s3"], "versionId"))


def _is_creation(record: dict[str, Any]) -> bool:
    return bool(record["eventName"].startswith(_CREATED))


def _is_test(event: dict[str, Any]) -> bool:
    return event.get("Event") == _TEST_EVENT and event.get("Service") == "Amazon S3" and event.keys() <= _TEST_MEMBERS


def _is_of_bus(event: dict[str, Any]) -> bool:
    known = event.keys() - {_REPLAYED} == _BUS_MEMBERS and event["source"] == _BUS_SOURCE and event["detail-type"] in _BUS_TYPES
    detail = event["detail"] if known else None
    return isinstance(detail, dict) and (event["detail-type"] != _BUS_CREATED or _names_an_object(detail, "version-id"))


def _names_an_object(parts: dict[str, Any], version: str) -> bool:
    bucket, found = parts.get("bucket"), parts.get("object")
    return (
        isinstance(bucket, dict)
        and isinstance(found, dict)
        and all(isinstance(name, str) and name != "" for name in (bucket.get("name"), found.get("key")))
        and isinstance(found.get(version), str | None)
    )


def _claims_to_be(found: Any) -> bool:
    if not isinstance(found, dict):
        return False
    records = found.get("Records")
    of_s3 = isinstance(records, list) and any(isinstance(record, dict) and record.get("eventSource") == _SOURCE for record in records)
    return of_s3 or found.get("source") == _BUS_SOURCE or found.get("Event") == _TEST_EVENT


def _decoded(key: str) -> str:
    try:
        return unquote_plus(key, errors="strict")
    except UnicodeDecodeError as error:
        raise UnknownEvent("An object's key is not encoded as S3 does it: its bytes are no UTF-8.") from error
