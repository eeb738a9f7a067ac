"""Records of Kafka: what becomes a request, and how those that failed are named."""

from typing import Any

import pytest
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from app.triggers.kafka import KafkaTrigger, is_topic
from app.triggers.record_batches import RecordsFailed
from tests.shells import Context
from tests.triggers.stream_events import BODY, Engine, kafka_event, kafka_id, named


def worked_off(event: dict[str, Any], failing: tuple[str, ...] = ()) -> tuple[Engine, list[Any]]:
    engine = Engine(failing)
    assert is_topic(event)
    return engine, named(KafkaTrigger(engine)(event, Context()))


def with_headers(headers: Any) -> dict[str, Any]:
    event = kafka_event([BODY])
    event["records"]["a-topic-0"][0]["headers"] = headers
    return event


@pytest.mark.parametrize("source", ["aws:kafka", "SelfManagedKafka"])
def test_a_value_is_the_request(source: str) -> None:
    """What was sent is what the engine is asked to answer, of every partition."""
    engine, again = worked_off(kafka_event([b"a", b"\xff", b"c"], source))

    assert [] == again
    places = [(0, 100), (0, 102), (1, 101)]
    assert list(zip([kafka_id(*place, source) for place in places], [b"a", b"c", b"\xff"], strict=True)) == [
        (one.id, one.body) for one in engine.records
    ]


def test_failed_records_are_named_as_powertools_names_them() -> None:
    """The answer is the one that AWS's own library gives for the same failures."""

    def handle(record: Any) -> None:
        if record.offset in (101, 102):
            raise ValueError(record.offset)

    event = kafka_event([BODY] * 4)
    processor = BatchProcessor(event_type=EventType.Kafka)
    expected = process_partial_response(event, handle, processor)
    _, again = worked_off(event, (kafka_id(1, 101), kafka_id(0, 102)))

    assert [entry["itemIdentifier"] for entry in expected["batchItemFailures"]] == again


def test_without_partial_answers_one_failure_fails_the_delivery() -> None:
    """Where the mapping does not ask which records failed, an error is raised, as Lambda would take any answer for success."""
    engine = Engine((kafka_id(1, 101),))
    with pytest.raises(RecordsFailed, match="1 of 3 records failed, the first as wrong-shape"):
        KafkaTrigger(engine, partial=False)(kafka_event([BODY] * 3), Context())

    engine = Engine()

    assert {"answered": 3} == KafkaTrigger(engine, partial=False)(kafka_event([BODY] * 3), Context())


@pytest.mark.parametrize("told", [True, False])
def test_tombstones_are_passed_over(told: bool) -> None:
    """A record that marks its key as deleted counts as done, whether its value is null or missing."""
    event = kafka_event([BODY] * 2)
    record = event["records"]["a-topic-0"][0]
    record["value"] = None
    if not told:
        del record["value"], record["key"]
    engine, again = worked_off(event)

    assert [] == again
    assert [kafka_id(1, 101)] == [one.id for one in engine.records]


def test_headers_are_attributes() -> None:
    """Headers are attributes by their names in small letters, the last of several of one name; Java's negative bytes are bytes."""
    signed = [byte - 256 if byte > 127 else byte for byte in "Blüte".encode()]
    engine, _ = worked_off(with_headers([{"Model": [97]}, {"model": list(b"iris")}, {"x": signed}, {"y": []}, {"z": None}, {"w": [-1]}]))

    assert {"model": "iris", "x": "Blüte", "y": "", "w": "\ufffd"} == engine.records[0].attributes


@pytest.mark.parametrize("headers", ["model", [["model", "iris"]], [{"model": "iris"}], [{"model": 5}], [{"model": [1.5]}], 7])
def test_headers_of_another_shape(headers: Any) -> None:
    """A record whose headers cannot be read fails, as they may have named its model."""
    engine, again = worked_off(with_headers(headers))

    assert [{"partition": "a-topic-0", "offset": 100}] == again
    assert [] == engine.records
    assert [kafka_id(0, 100)] == list(engine.refused)


def test_headers_may_be_missing() -> None:
    """A record without headers has no attributes."""
    event = kafka_event([BODY])
    del event["records"]["a-topic-0"][0]["headers"]

    assert [{}] == [record.attributes for record in worked_off(event)[0].records]


def test_a_value_that_is_no_base64() -> None:
    """A record whose value is no base64 fails alone."""
    event = kafka_event([BODY] * 2)
    event["records"]["a-topic-0"][0] |= {"value": "{}", "headers": [{"reply-to": list(b"q")}]}
    engine, again = worked_off(event)

    assert [{"partition": "a-topic-0", "offset": 100}] == again
    assert [kafka_id(1, 101)] == [record.id for record in engine.records]
    assert [kafka_id(0, 100)] == list(engine.refused)
    # So that whoever sent it hears of it.
    assert {"reply-to": "q"} == engine.calls[0][0].attributes


def test_servers_may_be_missing() -> None:
    """MSK's events did not always name the cluster's servers."""
    event = kafka_event([BODY])
    del event["bootstrapServers"]

    assert is_topic(event)
    assert not is_topic(event | {"eventSource": "SelfManagedKafka"})


@pytest.mark.parametrize(
    "changed",
    [
        {"topic": "other"},
        {"topic": None},
        {"partition": 1},
        {"partition": "0"},
        {"partition": False},
        {"offset": -1},
        {"offset": "100"},
        {"offset": True},
        {"offset": None},
        {"value": 5},
        {"value": {}},
    ],
)
def test_what_is_no_record(changed: dict[str, Any]) -> None:
    """A record of another shape, or that stands under another partition, is not taken."""
    event = kafka_event([BODY] * 2)
    event["records"]["a-topic-0"][0] |= changed

    assert not is_topic(event)


@pytest.mark.parametrize("records", [{}, [], None, {"a-topic-0": []}, {"a-topic-0": None}, {"a-topic-0": ["x"]}])
def test_what_has_no_records(records: Any) -> None:
    """An event without a record is not taken."""
    assert not is_topic(kafka_event([BODY]) | {"records": records})


@pytest.mark.parametrize("source", ["aws:kinesis", "aws:Kafka", "", None, 5, ["aws:kafka"]])
def test_another_source(source: Any) -> None:
    """An event of another source is not taken."""
    assert not is_topic(kafka_event([BODY]) | {"eventSource": source})


def test_ids_of_two_clusters_differ() -> None:
    """The same offset of another cluster, or of a topic that was made anew, is another record: its result must not replace the first one's."""
    ids = []
    for changed in ({}, {"eventSourceArn": "arn:aws:kafka:eu-west-1:123456789012:cluster/other/2"}, {"timestamp": 1}):
        event = kafka_event([BODY])
        event["records"]["a-topic-0"][0] |= {name: value for name, value in changed.items() if name == "timestamp"}
        event |= {name: value for name, value in changed.items() if name != "timestamp"}
        engine, _ = worked_off(event)
        ids += [record.id for record in engine.records]

    assert 3 == len(set(ids))
