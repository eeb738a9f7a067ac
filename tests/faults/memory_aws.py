"""DynamoDB, SQS and S3 in memory, behind the one function through which this project asks them, on a clock of the test's own.

It knows the operations, expressions and errors that the project uses and no other, so that an operation it does not know fails
loudly. ``tests/faults/test_memory_aws.py`` asks of it what ``tests/jobs`` asks of every store. Unlike moto it can hand out a
message twice and let an index lag behind its table, as AWS may.
"""

import base64
import hashlib
import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tests.faults.memory_table import Item, MemoryTable, refusal

_BATCH = 10


class Message:
    """One message and what the queue knows of it."""

    def __init__(self, body: str, visible_at: float) -> None:
        self.body = body
        self.visible_at = visible_at
        self.receives = 0


class Queue:
    """A standard queue and, after ``max_receives``, where its messages end."""

    def __init__(self, dead: "Queue | None" = None, *, visibility_s: float = 30.0, max_receives: int = 0) -> None:
        self.messages: dict[str, Message] = {}
        self.dead = dead
        self.visibility_s = visibility_s
        self.max_receives = max_receives


class Stored(NamedTuple):
    """An object of S3."""

    body: bytes
    put_at: float
    checksum: str


class Body:
    """A body as botocore gives it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self) -> bytes:
        return self._content

    def close(self) -> None:
        """There is no connection."""

    def set_socket_timeout(self, seconds: float) -> None:
        """There is no socket."""


class MemoryAws:
    """One account. ``send`` takes the place of :func:`app.storage.aws_clients.send`.

    :param lag: by how many writes the indexes are behind the table.
    :param duplicates: numbers from 0 to 1; where one is below ``duplicate_share``, a deleted message comes again.
    """

    def __init__(self, clock: Callable[[], float], *, lag: int = 0, duplicates: Callable[[], float] | None = None) -> None:
        self._clock = clock
        self._duplicates = duplicates
        self.duplicate_share = 0.0
        self._lock = threading.RLock()
        self.table = MemoryTable(lag)
        self.objects: dict[str, Stored] = {}
        self.queues: dict[str, Queue] = {}
        self._numbers = itertools.count()

    def send(self, service: str, operation: str, arguments: dict[str, Any]) -> Any:
        """The answer of one operation."""
        with self._lock:
            act = getattr(self.table, operation) if service == "dynamodb" else getattr(self, f"_{service}_{operation}")
            answer = act(**arguments)
        return {**answer, "ResponseMetadata": {"HTTPStatusCode": 200}}

    # SQS

    def _sqs_send_message_batch(self, *, QueueUrl: str, Entries: list[Item]) -> Item:
        assert 0 < len(Entries) <= _BATCH
        for entry in Entries:
            message = Message(entry["MessageBody"], self._clock() + entry.get("DelaySeconds", 0))
            self.queues[QueueUrl].messages[str(next(self._numbers))] = message
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    def _sqs_receive_message(
        self, *, QueueUrl: str, MaxNumberOfMessages: int, WaitTimeSeconds: int = 0, VisibilityTimeout: float | None = None
    ) -> Item:
        queue = self.queues[QueueUrl]
        now = self._clock()
        found = []
        for number, message in list(queue.messages.items()):
            if message.visible_at > now:
                continue
            if queue.dead is not None and message.receives >= queue.max_receives:
                queue.dead.messages[number] = queue.messages.pop(number)
                continue
            message.receives += 1
            message.visible_at = now + (queue.visibility_s if VisibilityTimeout is None else VisibilityTimeout)
            attributes = {"ApproximateReceiveCount": str(message.receives)}
            found.append(
                {"MessageId": number, "ReceiptHandle": f"{number}/{message.receives}", "Body": message.body, "Attributes": attributes}
            )
            if len(found) == MaxNumberOfMessages:
                break
        return {"Messages": found} if found else {}

    def _sqs_delete_message_batch(self, *, QueueUrl: str, Entries: list[Item]) -> Item:
        for entry in Entries:
            queue, number = self.queues[QueueUrl], entry["ReceiptHandle"].partition("/")[0]
            # "On rare occasions, one of the servers that stores a copy of a message might be unavailable when you receive or delete"
            if self._duplicates is None or self._duplicates() >= self.duplicate_share:
                queue.messages.pop(number, None)
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    def _sqs_change_message_visibility_batch(self, *, QueueUrl: str, Entries: list[Item]) -> Item:
        for entry in Entries:
            message = self.queues[QueueUrl].messages.get(entry["ReceiptHandle"].partition("/")[0])
            if message is not None:
                message.visible_at = self._clock() + entry["VisibilityTimeout"]
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    # S3

    def _s3_put_object(self, *, Bucket: str, Key: str, Body: bytes, ChecksumSHA256: str) -> Item:
        if base64.b64encode(hashlib.sha256(Body).digest()).decode() != ChecksumSHA256:
            raise refusal("PutObject", "BadDigest")
        self.objects[Key] = Stored(bytes(Body), self._clock(), ChecksumSHA256)
        return {}

    def _s3_get_object(self, *, Bucket: str, Key: str, ChecksumMode: str) -> Item:
        if Key not in self.objects:
            raise refusal("GetObject", "NoSuchKey", 404)
        return {"Body": Body(self.objects[Key].body), "ContentLength": len(self.objects[Key].body)}

    def _s3_head_object(self, *, Bucket: str, Key: str, ChecksumMode: str) -> Item:
        if Key not in self.objects:
            raise refusal("HeadObject", "404", 404)
        return {"ContentLength": len(self.objects[Key].body), "ChecksumSHA256": self.objects[Key].checksum}

    def _s3_copy_object(self, *, Bucket: str, Key: str, CopySource: Item, ChecksumAlgorithm: str) -> Item:
        found = self.objects.get(CopySource["Key"])
        if found is None:
            raise refusal("CopyObject", "NoSuchKey", 404)
        self.objects[Key] = found._replace(put_at=self._clock())
        return {}

    def _s3_delete_object(self, *, Bucket: str, Key: str) -> Item:
        self.objects.pop(Key, None)
        return {}

    def _s3_list_objects_v2(self, *, Bucket: str, Prefix: str, ContinuationToken: str = "") -> Item:
        keys = sorted(key for key in self.objects if key.startswith(Prefix) and key > ContinuationToken)
        # S3 tells a time to the second.
        page = [{"Key": key, "LastModified": datetime.fromtimestamp(int(self.objects[key].put_at), UTC)} for key in keys[:1000]]
        return {"Contents": page, "IsTruncated": len(keys) > 1000} | ({"NextContinuationToken": keys[999]} if len(keys) > 1000 else {})
