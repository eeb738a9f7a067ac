"""The sources of records as Lambda stands before them: what events some requests come in, and which records it gives again by the answers."""

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from boto3.dynamodb.types import TypeSerializer

from tests.triggers.stream_events import STREAMS, bus_event, dynamodb_record, kafka_event, kafka_id, kinesis_event, named, sns_event


class Source(NamedTuple):
    """A source: events that bring some requests, the id of each request's record, and which of the ids Lambda gives again by the answers."""

    events: Callable[[Sequence[Any]], list[dict[str, Any]]]
    record_id: Callable[[int], str]
    failed: Callable[[Sequence[Any]], set[str]]


def bodies(requests: Sequence[Any]) -> list[bytes]:
    return [json.dumps(request).encode() for request in requests]


def _items(requests: Sequence[Any]) -> dict[str, Any]:
    write = TypeSerializer().serialize
    exact = [json.loads(json.dumps(request), parse_float=Decimal) for request in requests]
    return {"Records": [dynamodb_record(place, {"request": write(request)}) for place, request in enumerate(exact)]}


def _messages(requests: Sequence[Any]) -> list[dict[str, Any]]:
    """A message an event, as SNS does it."""
    events = [sns_event(json.dumps(request)) for request in requests]
    for place, event in enumerate(events):
        event["Records"][0]["Sns"]["MessageId"] = f"m{place}"
    return events


def _raised(record_id: Callable[[int], str]) -> Callable[[Sequence[Any]], set[str]]:
    """Records whose invocations failed, which is what Lambda tries again; one record an invocation."""

    def failed(answers: Sequence[Any]) -> set[str]:
        for answer in answers:
            assert answer == {"answered": 1} or answer["errorType"] == "RecordsFailed", answer
        return {record_id(place) for place, answer in enumerate(answers) if "errorType" in answer}

    return failed


def _named(name: str, record_id: Callable[[int], str] | None = None) -> Callable[[Sequence[Any]], set[str]]:
    """Records that the one answer names, each by what its stream calls it."""
    source = STREAMS[name]
    ids = {json.dumps(source.identifier(place)): (record_id or source.record_id)(place) for place in range(10)}

    def failed(answers: Sequence[Any]) -> set[str]:
        found = [ids[json.dumps(identifier)] for answer in answers for identifier in named(answer)]
        assert len(found) == len(set(found))
        return set(found)

    return failed


def _of_own_brokers(place: int) -> str:
    return kafka_id(place % 2, 100 + place, "SelfManagedKafka")


SOURCES = {
    "sns": Source(_messages, "m{}".format, _raised("m{}".format)),
    "kinesis": Source(lambda requests: [kinesis_event(bodies(requests))], STREAMS["kinesis"].record_id, _named("kinesis")),
    "dynamodb": Source(lambda requests: [_items(requests)], STREAMS["dynamodb"].record_id, _named("dynamodb")),
    "msk": Source(lambda requests: [kafka_event(bodies(requests))], STREAMS["kafka"].record_id, _named("kafka")),
    "kafka": Source(
        lambda requests: [kafka_event(bodies(requests), "SelfManagedKafka")], _of_own_brokers, _named("kafka", _of_own_brokers)
    ),
    "eventbridge": Source(
        lambda requests: [bus_event(request, id=f"b{place}") for place, request in enumerate(requests)],
        "b{}".format,
        _raised("b{}".format),
    ),
}
