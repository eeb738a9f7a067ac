"""AWS in memory is asked what every store is asked, so that what holds over it holds over moto and, as far as moto goes, over AWS."""

import time
from collections.abc import Sequence

import pytest

from app.jobs import backend as contract
from app.jobs.aws_backend import AwsBackend
from app.jobs.aws_queues import Urls
from app.jobs.queue_message import named_in
from app.storage import Upload, aws_clients
from app.storage.s3 import S3Storage
from tests.clock import Clock
from tests.faults import memory_aws
from tests.jobs.stores import MAX_RECEIVES, VISIBILITY_S, Stores
from tests.jobs.test_backend import *  # noqa: F403 - the contract of records
from tests.jobs.test_queues import *  # noqa: F403 - the contract of queues
from tests.jobs.test_storage import (  # noqa: F401 - the contract of bytes, but for signed addresses, which need a server
    test_bytes_are_copied,
    test_bytes_are_replaced_and_deleted,
    test_bytes_come_back,
    test_bytes_with_another_digest_are_refused,
    test_keys_are_apart,
    test_nothing_is_missing_quietly,
    test_old_bytes_are_deleted_while_they_are_found,
    test_old_bytes_are_found,
)


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Stores:
    """The store on AWS over AWS in memory, empty."""
    # As late as this machine: some tests compare with its time.
    clock = Clock(time.time())
    aws = memory_aws.MemoryAws(clock)
    for name in ("jobs", "webhooks"):
        aws.queues[f"{name}-dead"] = memory_aws.Queue()
        aws.queues[name] = memory_aws.Queue(aws.queues[f"{name}-dead"], visibility_s=VISIBILITY_S, max_receives=MAX_RECEIVES)
    monkeypatch.setattr(aws_clients, "send", aws.send)
    backend = AwsBackend("table", jobs=Urls("jobs", "jobs-dead"), webhooks=Urls("webhooks", "webhooks-dead"))

    def receive(queue: contract.Queue) -> list[tuple[str, str]]:
        answer = aws_clients.call("sqs", "receive_message", QueueUrl=queue, MaxNumberOfMessages=10)
        return [((named_in(message["Body"]) or ("", ""))[1], message["ReceiptHandle"]) for message in answer.get("Messages", [])]

    def acknowledge(queue: contract.Queue, receipts: Sequence[str]) -> None:
        entries = [{"Id": str(number), "ReceiptHandle": receipt} for number, receipt in enumerate(receipts)]
        if entries:
            aws_clients.call("sqs", "delete_message_batch", QueueUrl=queue, Entries=entries)

    def put_at(upload: Upload, body: bytes) -> bool:
        raise NotImplementedError

    def get_at(url: str) -> tuple[bytes, str] | None:
        raise NotImplementedError

    return Stores(backend, S3Storage("bucket"), receive, acknowledge, clock.advance, put_at, get_at)
