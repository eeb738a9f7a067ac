"""Every place that results can go to, in moto, and what is there to be read."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import orjson

from app.errors import Invalid
from app.results import Result, Sink
from app.results.event_bus import EventBus
from app.results.firehose import Firehose
from app.results.s3_prefix import S3Prefix
from app.results.sqs_queue import SqsQueue
from app.storage import aws_clients
from tests.jobs.aws_server import AwsServer
from tests.jobs.moto_stores import moto_names

QUEUE_ARN = "arn:aws:sqs:eu-west-1:123456789012:questions"


class World(NamedTuple):
    """A place, empty, and the server that it is on. ``operation`` is how a request to it is called, ``batch`` how much one takes.

    ``read`` answers everything that came, as message, object, event or line; ``record_id`` whose result one of these is.
    """

    server: AwsServer
    sink: Sink
    operation: str
    batch: int
    read: Callable[[], list[Any]]
    record_id: Callable[[Any], str]

    def ids(self) -> list[str]:
        """The ids of the records whose results came."""
        return [self.record_id(found) for found in self.read()]


def result(record_id: str = "r1", body: bytes = b'{"outputs":{"y":[1]}}', **members: Any) -> Result:
    """A result whose every member says something."""
    named = {
        "content_type": "application/json",
        "model": "iris",
        "version": "2",
        "digest": "sha256:ab",
        "correlation_id": f"order {record_id}",
    }
    return Result(record_id, QUEUE_ARN, body, **{**named, **members})


def failed(record_id: str = "r1", **members: Any) -> Result:
    """The result of a record that the model does not take."""
    problem = Invalid("The input 'x' has 3 columns, but 4 were expected.", pointer="/inputs/x")
    body = orjson.dumps(problem.as_object("request-1"))
    return result(record_id, body, problem=problem, **members)


def some(count: int, **members: Any) -> list[Result]:
    """Results of records r0, r1, …"""
    return [result(f"r{number}", **members) for number in range(count)]


def messages(url: str) -> list[dict[str, Any]]:
    """The messages of a queue, taken out of it."""
    sqs = aws_clients.client("sqs")
    found: list[dict[str, Any]] = []
    while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]).get(
        "Messages"
    ):
        found += batch
        sqs.delete_message_batch(
            QueueUrl=url, Entries=[{"Id": str(number), "ReceiptHandle": one["ReceiptHandle"]} for number, one in enumerate(batch)]
        )
    return found


@contextmanager
def queue(*, fifo: bool = False) -> Iterator[World]:
    with moto_names() as (server, names):
        attributes = {"FifoQueue": "true"} if fifo else {}
        url = aws_clients.client("sqs").create_queue(QueueName=f"{names.table}{'.fifo' if fifo else ''}", Attributes=attributes)["QueueUrl"]
        server.requests.clear()

        def record_id(message: Any) -> str:
            return str(message["MessageAttributes"]["record-id"]["StringValue"])

        yield World(server, SqsQueue(url), "SendMessageBatch", 10, lambda: messages(url), record_id)


@contextmanager
def prefix() -> Iterator[World]:
    with moto_names() as (server, names):
        s3 = aws_clients.client("s3")

        def read() -> list[Any]:
            listed = s3.list_objects_v2(Bucket=names.bucket, Prefix="answers/").get("Contents", ())
            found = [(key["Key"], s3.get_object(Bucket=names.bucket, Key=key["Key"], ChecksumMode="ENABLED")) for key in listed]
            return [{"key": key, "body": answer["Body"].read(), **answer} for key, answer in found]

        yield World(server, S3Prefix(names.bucket, "answers/"), "PUT", 1, read, lambda found: str(found["Metadata"]["record-id"]))


@contextmanager
def bus(*, cloudevents: bool = False) -> Iterator[World]:
    """A bus whose every event is in a queue."""
    with moto_names() as (server, names):
        sqs, events = aws_clients.client("sqs"), aws_clients.client("events")
        heard = sqs.create_queue(QueueName=f"{names.table}-heard")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=heard, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        made = events.create_event_bus(Name=names.table)["EventBusArn"]
        events.put_rule(Name="all", EventBusName=names.table, EventPattern=json.dumps({"source": ["onnx-lambda"]}))
        events.put_targets(Rule="all", EventBusName=names.table, Targets=[{"Id": "queue", "Arn": arn}])
        server.requests.clear()

        def read() -> list[Any]:
            return [json.loads(message["Body"]) for message in messages(heard)]

        def record_id(event: Any) -> str:
            return str(event["detail"]["subject" if cloudevents else "id"])

        yield World(server, EventBus(made, cloudevents=cloudevents), "PutEvents", 10, read, record_id)


@contextmanager
def stream() -> Iterator[World]:
    """A stream that delivers into a bucket."""
    with moto_names() as (server, names):
        target = {"RoleARN": "arn:aws:iam::123456789012:role/delivery", "BucketARN": f"arn:aws:s3:::{names.bucket}"}
        aws_clients.client("firehose").create_delivery_stream(DeliveryStreamName=names.table, ExtendedS3DestinationConfiguration=target)
        s3 = aws_clients.client("s3")
        server.requests.clear()

        def read() -> list[Any]:
            listed = s3.list_objects_v2(Bucket=names.bucket).get("Contents", ())
            text = b"".join(s3.get_object(Bucket=names.bucket, Key=key["Key"])["Body"].read() for key in listed)
            assert text.endswith(b"\n") or not text
            return [json.loads(line) for line in text.splitlines()]

        yield World(server, Firehose(names.table), "PutRecordBatch", 500, read, lambda line: str(line["id"]))


WORLDS = {
    "queue": queue,
    "fifo": lambda: queue(fifo=True),
    "prefix": prefix,
    "bus": bus,
    "cloudevents": lambda: bus(cloudevents=True),
    "stream": stream,
}


def entries_of(request: Any) -> list[Any]:
    """The entries of a request to whichever service."""
    found: list[Any] = request.get("Entries") or request.get("Records")
    return found


def unbase64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
