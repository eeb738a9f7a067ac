"""Events of topics, streams and buses as Lambda gives them, and an engine that answers as it is told."""

import base64
import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from app.errors import DeadlineExceeded, Problem, WrongShape
from app.triggers import dynamodb, eventbridge, kafka, kinesis, sns
from app.triggers.records import Record, Times

SAM = Path(__file__).parent.parent.parent / ".venv-sam" / "bin" / "sam"
REQUEST = {"inputs": {"X": [[5.1, 3.5, 1.4, 0.2]]}}
BODY = json.dumps(REQUEST).encode()


class Engine:
    """Stands for the engine: remembers what it was given, and fails the records that it is told to fail, and those without a request."""

    def __init__(self, failing: Collection[str] = ()) -> None:
        self.failing = failing
        self.calls: list[list[Record]] = []
        self.times: list[Times] = []

    def __call__(self, records: Sequence[Record], times: Times) -> list[Problem | None]:
        self.calls.append(list(records))
        self.times.append(times)
        return [record.refused or (WrongShape("It has another shape.") if record.id in self.failing else None) for record in records]

    @property
    def records(self) -> list[Record]:
        """What it was asked to answer, all calls together."""
        return [record for call in self.calls for record in call if record.refused is None]

    @property
    def refused(self) -> dict[str, Problem]:
        """Why there was no request in records, by their ids."""
        return {record.id: record.refused for call in self.calls for record in call if record.refused is not None}


def until_the_deadline(done: int) -> Callable[[Sequence[Record], Times], list[Problem | None]]:
    """An engine whose time is up after some records."""

    def answer(records: Sequence[Record], times: Times) -> list[Problem | None]:
        assert time.monotonic() < times.run < times.write
        return [None if place < done else DeadlineExceeded("The time was up.") for place in range(len(records))]

    return answer


class Source(NamedTuple):
    """A source of streams: its trigger, its events, what names a record in its answers and what to the engine."""

    trigger: Any
    event: Callable[[Sequence[bytes]], dict[str, Any]]
    identifier: Callable[[int], Any]
    record_id: Callable[[int], str]


def base64_of(body: bytes) -> str:
    return base64.b64encode(body).decode()


def sns_event(*messages: str, attributes: Any = None) -> dict[str, Any]:
    def record(place: int, message: str) -> dict[str, Any]:
        held = {"Type": "Notification", "MessageId": f"m{place}", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:t", "Message": message}
        return {
            "EventSource": "aws:sns",
            "EventVersion": "1.0",
            "EventSubscriptionArn": "arn:aws:sns:eu-west-1:123456789012:t:1",
            "Sns": held | {"MessageAttributes": attributes or {}},
        }

    return {"Records": [record(place, message) for place, message in enumerate(messages)]}


def kinesis_event(bodies: Sequence[bytes]) -> dict[str, Any]:
    def record(place: int, body: bytes) -> dict[str, Any]:
        number = kinesis_number(place)
        held = {"kinesisSchemaVersion": "1.0", "partitionKey": "k", "sequenceNumber": number, "data": base64_of(body)}
        return {
            "kinesis": held | {"approximateArrivalTimestamp": 1795339800.118},
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"shardId-000000000006:{number}",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": "arn:aws:iam::123456789012:role/r",
            "awsRegion": "eu-west-1",
            "eventSourceARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/s",
        }

    return {"Records": [record(place, body) for place, body in enumerate(bodies)]}


def kinesis_number(place: int) -> str:
    return f"4959033827149025660855969253836157109592157598913658{place:04}"


def dynamodb_record(place: int, image: Any, old: Any = None, name: str = "INSERT") -> dict[str, Any]:
    change = {"Keys": {"k": {"N": str(place)}}, "SequenceNumber": f"44215845000000000174504390{place:02}", "SizeBytes": 26}
    change |= {"StreamViewType": "NEW_AND_OLD_IMAGES", "ApproximateCreationDateTime": 1795339800}
    change |= {"NewImage": image} if image is not None else {}
    change |= {"OldImage": old} if old is not None else {}
    return {
        "eventID": f"e{place}",
        "eventName": name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": change,
        "eventSourceARN": "arn:aws:dynamodb:eu-west-1:123456789012:table/t/stream/2026-11-22T09:00:00.000",
    }


def dynamodb_event(bodies: Sequence[bytes]) -> dict[str, Any]:
    """Items whose requests have the given bodies as text; one of no valid UTF-8 is a request that cannot be read."""

    def image(body: bytes) -> dict[str, Any]:
        try:
            return {"request": {"M": {"id": {"S": body.decode()}}}}
        except UnicodeDecodeError:
            return {"request": {"M": {"id": {"X": "no type"}}}}

    return {"Records": [dynamodb_record(place, image(body)) for place, body in enumerate(bodies)]}


_MSK, _BROKERS, _TIMESTAMP = "arn:aws:kafka:eu-west-1:123456789012:cluster/c/1", "b-1.example.com:9092", 1795339800118


def kafka_id(partition: int, offset: int, source: str = "aws:kafka") -> str:
    cluster = _MSK if source == "aws:kafka" else _BROKERS
    return f"a-topic-{partition}-{offset}-{hashlib.sha256(f'{cluster} {_TIMESTAMP}'.encode()).hexdigest()[:8]}"


def kafka_event(bodies: Sequence[bytes], source: str = "aws:kafka") -> dict[str, Any]:
    records: dict[str, list[dict[str, Any]]] = {}
    for place, body in enumerate(bodies):
        partition, offset = place % 2, 100 + place
        record = {"topic": "a-topic", "partition": partition, "offset": offset, "timestamp": _TIMESTAMP}
        record |= {"timestampType": "CREATE_TIME", "key": base64_of(b"k"), "value": base64_of(body), "headers": []}
        records.setdefault(f"a-topic-{partition}", []).append(record)
    of_aws = {"eventSourceArn": _MSK} if source == "aws:kafka" else {}
    return {"eventSource": source, **of_aws, "bootstrapServers": _BROKERS, "records": records}


def bus_event(detail: Any, detail_type: str = "PredictionRequested", **members: Any) -> dict[str, Any]:
    event = {"version": "0", "id": "e1", "detail-type": detail_type, "source": "com.example", "account": "123456789012"}
    return event | {"time": "2026-11-22T09:30:00Z", "region": "eu-west-1", "resources": [], "detail": detail} | members


STREAMS = {
    "kinesis": Source(kinesis.KinesisTrigger, kinesis_event, kinesis_number, lambda place: f"shardId-000000000006:{kinesis_number(place)}"),
    "dynamodb": Source(
        dynamodb.DynamoDbTrigger, dynamodb_event, lambda place: f"44215845000000000174504390{place:02}", lambda place: f"e{place}"
    ),
    "kafka": Source(
        kafka.KafkaTrigger,
        kafka_event,
        lambda place: {"partition": f"a-topic-{place % 2}", "offset": 100 + place},
        lambda place: kafka_id(place % 2, 100 + place),
    ),
}

# Each source's recogniser and an event of it.
RECOGNISERS: dict[str, tuple[Callable[[Any], bool], Callable[[], dict[str, Any]]]] = {
    "sns": (sns.is_notification, lambda: sns_event("{}", attributes={"model": {"Type": "String", "Value": "iris"}})),
    "kinesis": (kinesis.is_stream, lambda: kinesis_event([BODY, BODY])),
    "dynamodb": (dynamodb.is_stream, lambda: dynamodb_event([BODY, BODY])),
    "kafka": (kafka.is_topic, lambda: kafka_event([BODY, BODY, BODY])),
    "kafka of one's own": (kafka.is_topic, lambda: kafka_event([BODY], "SelfManagedKafka")),
    "eventbridge": (eventbridge.is_bus_event, lambda: bus_event(REQUEST)),
}


def named(answer: dict[str, Any]) -> list[Any]:
    """The records that an answer names."""
    assert ["batchItemFailures"] == list(answer)
    assert all(["itemIdentifier"] == list(entry) for entry in answer["batchItemFailures"])
    return [entry["itemIdentifier"] for entry in answer["batchItemFailures"]]


def sam_event(*words: str) -> Any:
    """AWS's own sample of an event."""
    found = subprocess.run([SAM, "local", "generate-event", *words], capture_output=True, check=True, timeout=120)
    return json.loads(found.stdout)
