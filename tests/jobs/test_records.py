"""Records as documents, also those of the releases before and after this one (F-78)."""

import json
from typing import Any

import pytest

from app.errors import InternalError
from app.jobs.backend import Record
from app.jobs.delivery import Delivery
from app.jobs.job import Job, claim, succeed
from app.jobs.records import KINDS, SCHEMA, from_document, kind_name, record_of, to_document
from app.jobs.reservation import Reservation
from tests.jobs.examples import EVERY_KIND, NOW, POLICY, RESULT, delivery, queued, reservation


def finished() -> Job:
    running = claim(queued(), NOW, 60)
    assert running
    job = succeed(running, RESULT, NOW + 1, POLICY)
    assert job
    return job._replace(revision=7)


def changed(record: Record, drop: str = "", **fields: Any) -> bytes:
    document = json.loads(to_document(record))
    document.pop(drop, None)
    return json.dumps({**document, **fields}).encode()


@pytest.mark.parametrize(
    "record",
    [
        queued(),
        queued(webhook=None, error={"error": "no", "pointer": None}),
        finished(),
        delivery(revision=3),
        delivery(attempts=()),
        reservation(),
        reservation(answer=None, job_id="j"),
    ],
    ids=lambda record: type(record).__name__,
)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    """A document holds all of a record: nested payloads, webhooks and attempts with their types, times to the last digit."""
    assert record == from_document(type(record), to_document(record))
    assert record == record_of(kind_name(type(record)), to_document(record))


@pytest.mark.parametrize("text", ["\x00", "\ud800", "\u2028", "é#/", "x" * 1024, ""])
def test_any_text_is_kept(text: str) -> None:
    """Whatever text a caller gave is kept as it is, lone surrogates too."""
    job = queued(owner=text, request={"accept": text, "big": 2**70})

    assert job == from_document(Job, to_document(job))


def test_a_document_is_named_and_numbered() -> None:
    """A document says what it is in words and numbers of its own, so that a name in the code can change."""
    document = json.loads(to_document(queued()))

    assert {"kind": "job", "schema": 1} == {name: document[name] for name in ("kind", "schema")}
    assert {"job": Job, "delivery": Delivery, "reservation": Reservation} == KINDS


@pytest.mark.parametrize("name", list(KINDS))
def test_an_older_document_reads(name: str) -> None:
    """A document from before an optional field was there reads with its default."""
    record = EVERY_KIND[name]()
    for field, default in type(record)._field_defaults.items():
        assert record._replace(**{field: default}) == record_of(name, changed(record, drop=field)), field


@pytest.mark.parametrize("name", list(KINDS))
def test_a_newer_document_reads(name: str) -> None:
    """A document with a field that this release does not know reads without it."""
    record = EVERY_KIND[name]()

    assert record == record_of(name, changed(record, priority={"class": "high"}))


def test_newer_parts_of_a_document_read() -> None:
    """Payloads, webhooks and attempts with fields that this release does not know read without them."""
    job, sent = finished(), delivery()
    payload = {**job.payload._asdict(), "encoding": "gzip"}
    webhook = {**(job.webhook._asdict() if job.webhook else {}), "secret": "a"}

    assert job == from_document(Job, changed(job, payload=payload, webhook=webhook))
    assert sent == from_document(Delivery, changed(sent, attempts=[{**item._asdict(), "address": "::1"} for item in sent.attempts]))


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"{}",
        changed(queued(), drop="payload"),
        changed(queued(), drop="kind"),
        changed(queued(), drop="schema"),
        changed(queued(), kind="delivery"),
        changed(queued(), schema=SCHEMA + 1),
        changed(queued(), schema="1"),
        changed(queued(), payload=3),
        changed(queued(), payload={"key": "k"}),
        changed(queued(), payload={**RESULT._asdict(), "headers": [["name"]]}),
        to_document(delivery()),
    ],
)
def test_what_is_no_such_document_is_refused(document: bytes) -> None:
    """A document that is damaged, of another kind or of a newer schema is refused in words that quote nothing of it."""
    with pytest.raises(InternalError) as refused:
        from_document(Job, document)

    assert refused.value.detail.startswith("A kept job ")
    assert "payloads/" not in refused.value.detail
