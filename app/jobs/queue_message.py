"""A message in a queue of jobs: it names a record, and nothing else, as what is to be done stands in the record. Pure."""

from typing import TYPE_CHECKING, Final, Literal

import orjson

if TYPE_CHECKING:
    from app.jobs.backend import Queue

Kind = Literal["job", "delivery"]
VERSION: Final = 1
_KINDS: "dict[Queue, Kind]" = {"jobs": "job", "webhooks": "delivery"}
_LONGEST_ID = 128


def message_of(queue: "Queue", record_id: str) -> str:
    """The body that tells a worker of a record."""
    return orjson.dumps({"v": VERSION, _KINDS[queue]: record_id}).decode()


def named_in(body: str | bytes) -> tuple[Kind, str] | None:
    """The kind and the id of the record that a body names; None for one of another shape or version."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    # A member more is a later release's, which knows what to do with it. True and 1.0 are equal to 1.
    if not isinstance(found, dict) or len(found) != 2 or type(found.get("v")) is not int or found["v"] != VERSION:
        return None
    for kind in _KINDS.values():
        record_id = found.get(kind)
        if isinstance(record_id, str) and 0 < len(record_id) <= _LONGEST_ID:
            return kind, record_id
    return None
