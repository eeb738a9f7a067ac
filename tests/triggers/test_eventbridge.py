"""Events of a bus: which ask for a prediction, and what of them is the request."""

import json
from typing import Any

import pytest

from app.errors import UnknownEvent
from app.triggers.eventbridge import EventBridgeTrigger, is_bus_event
from app.triggers.record_batches import RecordsFailed
from tests.shells import Context
from tests.triggers.stream_events import BODY, REQUEST, Engine, base64_of, bus_event, sam_event

CLOUD_EVENT = {"specversion": "1.0", "id": "c1", "source": "/greenhouse", "type": "com.example.flower.measured"}


def answered(event: dict[str, Any]) -> Any:
    """The record that the engine is asked to answer."""
    engine = Engine()
    assert is_bus_event(event)
    assert {"answered": 1} == EventBridgeTrigger(engine)(event, Context())
    (record,) = engine.records
    return record


def refused(event: dict[str, Any]) -> Any:
    """The record of an event in which there is no request, which the engine is given to tell so."""
    engine = Engine()
    assert is_bus_event(event)
    with pytest.raises(RecordsFailed, match="1 of 1 records failed"):
        EventBridgeTrigger(engine)(event, Context())
    assert [] == engine.records
    ((record,),) = engine.calls
    assert ("e1", "eventbridge", b"") == record[:3]
    return record


@pytest.mark.parametrize("detail", [REQUEST, {"model": "iris", "instances": [[1]], "id": "a"}, {"s3": "s3://bucket/key"}, {}])
def test_detail_is_the_request(detail: Any) -> None:
    """The event's detail is the request, and its id that of the record."""
    record = answered(bus_event(detail))

    assert ("e1", "eventbridge", detail, {}) == (record.id, record.source, json.loads(record.body), record.attributes)


def test_a_replay_is_an_event() -> None:
    """What an archive plays back is answered under the id that it had."""
    assert "e1" == answered(bus_event(REQUEST, **{"replay-name": "after-the-fix"})).id


@pytest.mark.parametrize("detail_type", ["PredictionCompleted", "PredictionFailed", "predictionrequested", "Object Created", "x"])
def test_another_detail_type(detail_type: str) -> None:
    """An event of another type fails the invocation and says which type is answered, so that the dead-letter queue has it."""
    engine = Engine()
    event = bus_event(REQUEST, detail_type)
    with pytest.raises(UnknownEvent, match='another detail-type than "PredictionRequested"') as caught:
        EventBridgeTrigger(engine)(event, Context())

    assert is_bus_event(event)
    assert [] == engine.calls
    assert detail_type == "x" or detail_type not in str(caught.value)


@pytest.mark.parametrize("source", ["aws.s3", "aws.events", "aws.", "", None, 5, ["com.example"]])
def test_a_source_that_is_not_taken(source: Any) -> None:
    """What AWS itself puts on a bus, or nobody, is not taken for a request, whatever its type says."""
    assert not is_bus_event(bus_event(REQUEST, source=source))


@pytest.mark.parametrize(
    "changed",
    [
        {"id": ""},
        {"id": 5},
        {"detail-type": None},
        {"detail": []},
        {"detail": "{}"},
        {"detail": None},
        {"requestContext": {}},
        {"Records": []},
    ],
)
def test_what_is_no_event(changed: dict[str, Any]) -> None:
    """An event of another shape is not taken."""
    assert not is_bus_event(bus_event(REQUEST) | changed)


def test_a_failure_fails_the_invocation() -> None:
    """An event that failed is raised, so that Lambda comes again with it."""
    engine = Engine(["e1"])
    for _ in range(2):
        with pytest.raises(RecordsFailed, match="1 of 1 records failed, the first as wrong-shape"):
            EventBridgeTrigger(engine)(bus_event(REQUEST), Context())

    assert engine.calls[0] == engine.calls[1]


def test_a_value_that_json_cannot_carry() -> None:
    """A detail with a number past 64 bits fails with a reason."""
    assert "64 bits" in refused(bus_event({"inputs": {"X": 2**64}})).refused.detail


def test_a_cloud_event() -> None:
    """A CloudEvent's data is the request, and its own id is what the answer is called by."""
    record = answered(bus_event(CLOUD_EVENT | {"data": REQUEST, "datacontenttype": "application/json"}))

    assert ("e1", REQUEST) == (record.id, json.loads(record.body))
    assert {"correlation-id": "c1", "content-type": "application/json"} == record.attributes


def test_extensions_of_a_cloud_event() -> None:
    """A CloudEvent's extensions are the record's attributes."""
    extensions = {"model": "iris", "version": "1", "dialect": "predict", "accept": "text/csv", "replyto": "q", "correlationid": "mine"}
    record = answered(bus_event(CLOUD_EVENT | extensions | {"data": REQUEST, "traceparent": "00-0af7"}))

    assert {
        "model": "iris",
        "version": "1",
        "dialect": "predict",
        "accept": "text/csv",
        "reply-to": "q",
        "correlation-id": "mine",
    } == record.attributes


@pytest.mark.parametrize(
    ("members", "body"),
    [
        ({"data_base64": base64_of(BODY)}, BODY),
        ({"data_base64": base64_of(b"\x93NUMPY"), "datacontenttype": "application/x-npy"}, b"\x93NUMPY"),
        ({"data": "5.1,3.5\n", "datacontenttype": "text/csv; charset=utf-8"}, "5.1,3.5\n"),
        ({"data": "a", "datacontenttype": "application/json"}, b'"a"'),
        ({"data": "a", "datacontenttype": "application/vnd.example+json"}, b'"a"'),
        ({"data": {"a": 1}, "datacontenttype": "text/csv"}, b'{"a":1}'),
        ({"data": None}, b"null"),
    ],
)
def test_data_of_a_cloud_event(members: dict[str, Any], body: Any) -> None:
    """Data is JSON, text where its type says so, or bytes in base64."""
    assert body == answered(bus_event(CLOUD_EVENT | members)).body


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"specversion": "0.3", "data": REQUEST}, '"specversion": "1.0"'),
        ({"specversion": 1.0, "data": REQUEST}, '"specversion": "1.0"'),
        ({"id": "", "data": REQUEST}, '"id"'),
        ({"source": None, "data": REQUEST}, '"source"'),
        ({}, 'in "data"'),
        ({"data": {}, "data_base64": ""}, 'in "data"'),
        ({"data_base64": "no base64"}, '"data_base64"'),
        ({"data_base64": 5}, '"data_base64"'),
        ({"data_base64": "é"}, '"data_base64"'),
        ({"data": {}, "model": 5}, '"model" must be a string'),
        ({"data": {}, "datacontenttype": None}, '"datacontenttype" must be a string'),
        ({"data": 2**64}, "64 bits"),
    ],
)
def test_a_cloud_event_that_is_none(members: dict[str, Any], pointer: str) -> None:
    """A CloudEvent that breaks its own rules fails with what they are."""
    assert pointer in refused(bus_event(CLOUD_EVENT | members)).refused.detail


def test_a_cloud_event_without_a_request_says_where_to_answer() -> None:
    """Where a CloudEvent's data is none the attributes are there all the same, so that its sender hears of it."""
    record = refused(bus_event(CLOUD_EVENT | {"replyto": "q", "data_base64": "no base64"}))

    assert {"reply-to": "q", "correlation-id": "c1"} == record.attributes


def test_samples_of_aws_are_for_others() -> None:
    """AWS's own scheduled event is not taken for a request."""
    assert not is_bus_event(sam_event("cloudwatch", "scheduled-event"))
