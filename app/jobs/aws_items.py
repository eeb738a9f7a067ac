"""Records as items of a DynamoDB table.

An item holds the whole record as a document, and beside it what DynamoDB compares: ``revision``, and the ``token`` of the write
that made it. ``owner`` and ``mark`` are there for jobs alone, ``expires_at`` for what is over, so that indexes and deletion by time
pass over the rest.
"""

import hashlib
import zlib
from typing import Any, Final

from app.jobs.backend import Record, mark_of
from app.jobs.delivery import Delivery
from app.jobs.job import Job
from app.jobs.records import kind_name, to_document

# A partition of an index takes 1,000 writes a second, and a job changes its time about four times. A record stays in the
# shard it was last written to: more may be added, and none taken away.
SHARDS: Final = 8
# DynamoDB's own deletion is for what the sweeper missed: the sweeper also deletes what the record names in the storage.
_SWEEPER_FIRST_S = 86_400


def item_of(record: Record, token: str) -> dict[str, Any]:
    """The item of a record that a write with this token makes."""
    key = key_of(record)
    item: dict[str, Any] = {
        "pk": {"S": key},
        "kind": {"S": kind_name(type(record))},
        "revision": {"N": str(record.revision)},
        "token": {"S": token},
        "shard": {"S": str(zlib.crc32(key.encode()) % SHARDS)},
        "due": {"N": number(record.due)},
        "document": {"B": to_document(record)},
    }
    if isinstance(record, Job):
        item |= {"owner": {"S": owner_key(record.owner)}, "mark": {"S": mark_of(record)}}
    if _is_over(record):
        # A whole number of seconds ("Using time to live (TTL) in DynamoDB").
        item["expires_at"] = {"N": str(int(max(record.due, record.expires)) + _SWEEPER_FIRST_S)}
    return item


def _is_over(record: Record) -> bool:
    """Whether nothing will change any more; of a reservation the end is known from its beginning."""
    match record:
        case Job():
            return record.is_finished
        case Delivery():
            return record.status != "pending"
        case _:
            return True


def key_of(record: Record) -> str:
    """The table's key."""
    return f"{kind_name(type(record))}#{record.id}"


def owner_key(owner: str) -> str:
    """The key of an owner's jobs in the index."""
    # An owner may be empty, longer than a key may be, or hold what is no text in UTF-8.
    return hashlib.sha256(owner.encode(errors="surrogatepass")).hexdigest()


def number(seconds: float) -> str:
    """A time as DynamoDB compares it."""
    # In microseconds, as in a mark; 38 digits are what a number may have.
    return f"{seconds:.6f}"
