"""The store on AWS for the tests: a table, a bucket and two queues of their own in :mod:`tests.jobs.aws_server`."""

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx
import orjson
import pytest

from app.jobs.aws_backend import BY_DUE, BY_OWNER, AwsBackend
from app.jobs.aws_queues import Urls
from app.jobs.backend import Change, Queue
from app.jobs.job import Job
from app.jobs.queue_message import named_in
from app.storage import Upload, aws_clients
from app.storage.s3 import S3Storage
from tests.jobs.aws_server import SECRET, AwsServer, aws_server
from tests.jobs.stores import MAX_RECEIVES, VISIBILITY_S, Stores

REGION = "eu-west-1"
# Building a client takes longer than a test, so those of the tests outlive one.
_CLIENTS: dict[str, Any] = {}


class Names(NamedTuple):
    """What :class:`AwsBackend` and :class:`S3Storage` are told."""

    table: str
    bucket: str
    jobs: Urls
    webhooks: Urls


def table_definition(name: str) -> dict[str, Any]:
    """The table as CreateTable and CloudFormation know it; its ``TimeToLiveSpecification`` is ``expires_at``."""
    keys = {"ProjectionType": "KEYS_ONLY"}
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": kind}
            for name, kind in {"pk": "S", "owner": "S", "mark": "S", "shard": "S", "due": "N"}.items()
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": index.name,
                "KeySchema": [{"AttributeName": index.of, "KeyType": "HASH"}, {"AttributeName": index.order, "KeyType": "RANGE"}],
                "Projection": keys,
            }
            for index in (BY_OWNER, BY_DUE)
        ],
    }


def create_table(client: Any, name: str) -> None:
    """Make the table with its indexes and its time to live."""
    client.create_table(**table_definition(name))
    client.update_time_to_live(TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"})


def create_queue(client: Any, name: str) -> Urls:
    """Make a queue and that of its dead letters."""
    dead = client.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    arn = client.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = orjson.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": MAX_RECEIVES}).decode()
    attributes = {"VisibilityTimeout": str(VISIBILITY_S), "RedrivePolicy": redrive}
    return Urls(client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"], dead)


def environment(url: str) -> dict[str, str]:
    """What botocore reads to find a server of the tests, here or in another process."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@contextmanager
def moto_names() -> Iterator[tuple[AwsServer, Names]]:
    """A table, a bucket and queues that nobody else has, and an environment in which botocore finds them."""
    server = aws_server()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(server.url).items():
            patch.setenv(name, value)
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION"):
            patch.delenv(name, raising=False)
        patch.setattr(aws_clients, "_clients", _CLIENTS)
        server.ahead_s = 0.0
        server.faults.clear()
        name = f"test-{secrets.token_hex(6)}"
        create_table(aws_clients.client("dynamodb"), name)
        aws_clients.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        queues = [create_queue(aws_clients.client("sqs"), f"{name}-{queue}") for queue in ("jobs", "webhooks")]
        server.requests.clear()
        yield server, Names(name, name, *queues)


class Aws:
    """A backend and a storage, and the server that they talk to."""

    def __init__(self, server: AwsServer, names: Names) -> None:
        self.server = server
        self.names = names
        self.backend = AwsBackend(names.table, jobs=names.jobs, webhooks=names.webhooks)
        self.storage = S3Storage(names.bucket, "kept/")

    def keep(self, job: Job) -> Job:
        assert self.backend.write([Change(None, job)])
        self.server.requests.clear()
        return job._replace(revision=1)


@contextmanager
def moto_stores() -> Iterator[Stores]:
    """The store on AWS, empty."""
    with moto_names() as (server, names), httpx.Client() as stranger:
        aws = Aws(server, names)
        urls = {"jobs": names.jobs.messages, "webhooks": names.webhooks.messages}

        def receive(queue: Queue) -> list[tuple[str, str]]:
            answer = aws_clients.call("sqs", "receive_message", QueueUrl=urls[queue], MaxNumberOfMessages=10, WaitTimeSeconds=0)
            return [((named_in(message["Body"]) or ("", ""))[1], message["ReceiptHandle"]) for message in answer.get("Messages", [])]

        def acknowledge(queue: Queue, receipts: Sequence[str]) -> None:
            entries = [{"Id": str(number), "ReceiptHandle": receipt} for number, receipt in enumerate(receipts)]
            assert not entries or not aws_clients.call("sqs", "delete_message_batch", QueueUrl=urls[queue], Entries=entries).get("Failed")

        def later(seconds: float) -> None:
            server.ahead_s += seconds

        def put_at(upload: Upload, body: bytes) -> bool:
            # What was announced as the length does not matter: every HTTP client says the length of what it sends.
            headers = {**upload.headers, "content-length": str(len(body))}
            return stranger.request(upload.method, upload.url, headers=headers, content=body).status_code == 200

        def get_at(url: str) -> tuple[bytes, str] | None:
            answer = stranger.get(url)
            return (answer.content, answer.headers["content-type"]) if answer.status_code == 200 else None

        yield Stores(aws.backend, aws.storage, receive, acknowledge, later, put_at, get_at)
