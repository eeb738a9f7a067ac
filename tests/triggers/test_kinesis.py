"""Records of Kinesis: what becomes a request."""

from typing import Any

import pytest

from app.triggers.kinesis import KinesisTrigger, is_stream
from tests.shells import Context
from tests.triggers.stream_events import BODY, Engine, kinesis_event, kinesis_number, named, sam_event


@pytest.mark.parametrize("body", [BODY, b"", b"\x00\xff", b"{" * 100])
def test_data_is_the_request(body: bytes) -> None:
    """What was put is what the engine is asked to answer, byte for byte."""
    engine = Engine()

    assert [] == named(KinesisTrigger(engine)(kinesis_event([body]), Context()))
    assert [(f"shardId-000000000006:{kinesis_number(0)}", "kinesis", body)] == [record[:3] for record in engine.records]


@pytest.mark.parametrize("data", ["not base64", "e30", "e30=\n", "-_8=", "é", "====", "=30="])
def test_data_that_is_no_base64(data: str) -> None:
    """A record whose data is no base64 fails alone, for a reason that holds nothing of it."""
    engine, event = Engine(), kinesis_event([BODY, BODY])
    event["Records"][0]["kinesis"]["data"] = data

    assert [kinesis_number(0)] == named(KinesisTrigger(engine)(event, Context()))
    assert 1 == len(engine.records)
    (problem,) = engine.refused.values()
    assert "unreadable-request" == problem.code
    assert data not in problem.detail


def test_aggregated_records_are_refused_in_words() -> None:
    """What the producer library put together is refused with what to set, rather than as bad JSON."""
    engine = Engine()
    answer = KinesisTrigger(engine)(kinesis_event([b"\xf3\x89\x9a\xc2\n\x01k\x1a\x04"]), Context())

    assert [kinesis_number(0)] == named(answer)
    assert "Set AggregationEnabled to false" in engine.refused[f"shardId-000000000006:{kinesis_number(0)}"].detail


def test_the_same_record_twice() -> None:
    """A record that stands twice in a delivery is named for each that failed."""
    event = kinesis_event([BODY])
    event["Records"] *= 2
    engine = Engine([f"shardId-000000000006:{kinesis_number(0)}"])

    assert [kinesis_number(0)] * 2 == named(KinesisTrigger(engine)(event, Context()))


@pytest.mark.parametrize(
    "changed", [{"eventID": ""}, {"eventID": None}, {"kinesis": None}, {"kinesis": []}, {"eventSource": "aws:Kinesis"}]
)
def test_what_is_no_record(changed: dict[str, Any]) -> None:
    """A record of another shape is not taken, though its neighbour is one."""
    event = kinesis_event([BODY, BODY])
    event["Records"][1] |= changed

    assert not is_stream(event)


def test_sample_of_aws() -> None:
    """The sample that AWS's own tool makes is read."""
    engine, event = Engine(), sam_event("kinesis", "get-records")

    assert is_stream(event)
    assert [] == named(KinesisTrigger(engine)(event, Context()))
    assert [b"Hello, this is a test 123."] == [record.body for record in engine.records]
