"""The account of a run in moto, over real HTTP."""

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import moto.s3.models
import pytest

from app.storage import aws_clients
from tests.faults.cloud import MAX_RECEIVES, MAX_WEBHOOK_RECEIVES, VISIBILITY_S, status_of
from tests.faults.function import Names
from tests.faults.points import Send
from tests.jobs import moto_stores
from tests.jobs.aws_server import AwsServer, Environ

_WRITES = ("PutItem", "TransactWriteItems")


class MotoClock:
    """The time of moto's queues and buckets: that of this machine, and as far ahead as it was moved."""

    def __init__(self, server: AwsServer) -> None:
        self._server = server

    def __call__(self) -> float:
        return self._server.now()

    def advance(self, seconds: float) -> None:
        self._server.ahead_s += seconds

    @property
    def ahead_s(self) -> float:
        """How far that is."""
        return self._server.ahead_s


class MotoCloud:
    """One account, for one run after the other."""

    def __init__(self, server: AwsServer, names: moto_stores.Names, send: Send) -> None:
        self.names = Names(names.table, names.bucket, names.jobs.messages, names.jobs.dead, names.webhooks.messages)
        self.clock = MotoClock(server)
        self.writes: list[dict[str, Any]] = []
        self._send = send
        for url, dead, receives in (
            (names.jobs.messages, names.jobs.dead, MAX_RECEIVES),
            (names.webhooks.messages, names.webhooks.dead, MAX_WEBHOOK_RECEIVES),
        ):
            arn = send("sqs", "get_queue_attributes", {"QueueUrl": dead, "AttributeNames": ["QueueArn"]})["Attributes"]["QueueArn"]
            redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": receives})
            attributes = {"VisibilityTimeout": str(int(VISIBILITY_S)), "RedrivePolicy": redrive}
            send("sqs", "set_queue_attributes", {"QueueUrl": url, "Attributes": attributes})

    @property
    def send(self) -> Send:
        """moto, over HTTP."""
        return self._quick

    def items(self) -> list[dict[str, Any]]:
        """The whole table."""
        found: list[dict[str, Any]] = self._send("dynamodb", "scan", {"TableName": self.names.table, "ConsistentRead": True})["Items"]
        return found

    def objects(self) -> list[str]:
        """The keys of all objects."""
        return [found["Key"] for found in self._send("s3", "list_objects_v2", {"Bucket": self.names.bucket}).get("Contents", [])]

    def waiting(self, queue: str) -> int:
        """How many messages there are."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
        found = self._send("sqs", "get_queue_attributes", {"QueueUrl": queue, "AttributeNames": names})["Attributes"]
        return sum(int(found[name]) for name in names)

    def bodies(self, queue: str) -> list[str]:
        """The messages of a queue that can be had now."""
        asked = {"QueueUrl": queue, "MaxNumberOfMessages": 10, "VisibilityTimeout": 0, "WaitTimeSeconds": 0}
        return [message["Body"] for message in self._send("sqs", "receive_message", asked).get("Messages", [])]

    def status_of(self, job_id: str) -> str:
        """The status that is kept of a job."""
        return status_of(self, job_id)

    def clear(self) -> None:
        """Have nothing left of the run before."""
        self.writes.clear()
        for item in self.items():
            self._send("dynamodb", "delete_item", {"TableName": self.names.table, "Key": {"pk": item["pk"]}})
        for key in self.objects():
            self._send("s3", "delete_object", {"Bucket": self.names.bucket, "Key": key})
        # Past the time for which any message is invisible.
        self.clock.advance(2 * VISIBILITY_S)
        for queue in (self.names.jobs, self.names.jobs_dead, self.names.webhooks):
            while messages := self._send("sqs", "receive_message", {"QueueUrl": queue, "MaxNumberOfMessages": 10}).get("Messages"):
                for message in messages:
                    self._send("sqs", "delete_message", {"QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"]})

    def note(self, whole: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        """moto, with every item noted that it took into the table."""

        def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
            operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
            if operation not in _WRITES:
                return whole(environ, start_response)
            asked = json.loads(environ["wsgi.input"].getvalue())
            statuses: list[str] = []

            def started(status: str, *arguments: Any) -> Any:
                statuses.append(status)
                return start_response(status, *arguments)

            answer = list(whole(environ, started))
            if statuses[0].startswith("200"):
                puts = [part["Put"] for part in asked["TransactItems"] if "Put" in part] if "TransactItems" in asked else [asked]
                self.writes += [_decoded(put["Item"]) for put in puts]
            return answer

        return application

    def _quick(self, service: str, operation: str, arguments: dict[str, Any]) -> Any:
        # moto is one server, so that a long look finds no more than a short one.
        return self._send(service, operation, {**arguments, "WaitTimeSeconds": 0} if "WaitTimeSeconds" in arguments else arguments)


@contextmanager
def moto_cloud() -> Iterator[MotoCloud]:
    """An account in moto whose time is the run's."""
    send = aws_clients.send
    with moto_stores.moto_names() as (server, names), pytest.MonkeyPatch.context() as patch:
        cloud = MotoCloud(server, names, send)
        patch.setattr(server, "_moto", cloud.note(server._moto))
        patch.setattr(moto.s3.models, "utcnow", lambda: datetime.fromtimestamp(server.now(), UTC).replace(tzinfo=None))
        yield cloud


def _decoded(item: dict[str, Any]) -> dict[str, Any]:
    """An item as botocore reads it: bytes are not in base64 any more."""
    return {**item, "document": {"B": base64.b64decode(item["document"]["B"])}}
