"""Records as JSON documents, as every store keeps them; releases one step apart read each other's (faults.md F-78).

A document holds the fields of its record by name, nested ones as objects, beside ``kind`` and ``schema``. A field that is new in
a release has a default: a document without it reads as the default, and a release that does not know it leaves it out. Only a
change that an older release would read wrongly counts up the schema, and an older release then refuses the document.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Final, cast

from app.errors import InternalError
from app.jobs.backend import Record, RecordType
from app.jobs.delivery import Attempt, Delivery
from app.jobs.job import Job, Payload, Webhook
from app.jobs.reservation import Reservation

SCHEMA: Final = 1
KINDS: Final[dict[str, type[Job] | type[Delivery] | type[Reservation]]] = {
    "job": Job,
    "delivery": Delivery,
    "reservation": Reservation,
}
_NAMES = {kind: name for name, kind in KINDS.items()}


def kind_name(kind: type[Job] | type[Delivery] | type[Reservation]) -> str:
    """What documents and keys call a kind of record."""
    return _NAMES[kind]


def to_document(record: Record) -> bytes:
    """A record as ASCII JSON, its revision included. Tuples inside of a job's ``request`` or ``error`` come back as lists."""
    fields = {name: _plain(value) for name, value in record._asdict().items()}
    # Not orjson, which refuses lone surrogates and integers over 64 bits: what was taken from a caller can always be kept.
    return json.dumps({"kind": _NAMES[type(record)], "schema": SCHEMA, **fields}, separators=(",", ":")).encode()


def from_document(kind: type[RecordType], document: bytes) -> RecordType:
    """The record that was made a document.

    :raises InternalError: for a document of another kind, of a newer schema, or of none.
    """
    return cast("RecordType", record_of(_NAMES[kind], document))


def record_of(name: str, document: bytes) -> Record:
    """As :func:`from_document`, for a kind by its name in :data:`KINDS`."""
    try:
        fields = json.loads(document)
        kept, schema = fields.pop("kind"), fields.pop("schema")
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise InternalError(f"A kept {name} cannot be read: its document is damaged.") from error
    if kept != name:
        raise InternalError(f"A kept {name} cannot be read: its document is of another kind.")
    if not isinstance(schema, int) or schema > SCHEMA:
        raise InternalError(f"A kept {name} was written by a newer release; this one reads documents up to schema {SCHEMA}.")
    kind = KINDS[name]
    nested = _NESTED.get(kind, {})
    try:
        values = {field: nested.get(field, _as_it_is)(fields[field]) for field in kind._fields if field in fields}
        return kind(**values)
    except (ValueError, TypeError, AttributeError) as error:
        raise InternalError(f"A kept {name} cannot be read: its document lacks what every {name} has.") from error


def readable(documents: Iterable[tuple[str, bytes]]) -> Iterator[Record]:
    """The records of names and documents; one that cannot be read is left out."""
    for name, document in documents:
        with suppress(InternalError):
            yield record_of(name, document)


def _plain(value: Any) -> Any:
    # A named tuple is a tuple to the JSON encoder, which would write it without its names.
    if hasattr(value, "_asdict"):
        return {name: _plain(item) for name, item in value._asdict().items()}
    return [_plain(item) for item in value] if type(value) is tuple else value


def _as_it_is(value: Any) -> Any:
    return value


def _payload(value: dict[str, Any] | None) -> Payload | None:
    if value is None:
        return None
    known = _known(Payload._fields, value)
    return Payload(**{**known, "headers": tuple((name, text) for name, text in known.get("headers", ()))})


def _webhook(value: dict[str, Any] | None) -> Webhook | None:
    return None if value is None else Webhook(**_known(Webhook._fields, value))


def _attempts(value: list[dict[str, Any]]) -> tuple[Attempt, ...]:
    return tuple(Attempt(**_known(Attempt._fields, item)) for item in value)


def _known(names: tuple[str, ...], value: dict[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in value.items() if name in names}


_NESTED: Final[dict[type, dict[str, Callable[[Any], Any]]]] = {
    Job: {"payload": _payload, "result": _payload, "webhook": _webhook},
    Delivery: {"attempts": _attempts},
    Reservation: {"answer": _payload},
}
