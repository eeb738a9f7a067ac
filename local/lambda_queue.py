"""What Lambda does between a queue and a function: polls, hands over a delivery, and deletes what was worked off.

https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html and services-sqs-errorhandling.html beside it.
"""

import contextlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

# ReceiveMessage and DeleteMessageBatch take at most ten.
_BATCH = 10
# Beside the messages of a delivery stands what an event adds to them ("Invocation payload": 6 MB).
_LARGEST_EVENT = 6 * 1024**2


class Queue:
    """A queue as Lambda's event source reads it. Messages that were not worked off come back when their time is over."""

    def __init__(self, client: Any, url: str) -> None:
        self.client, self.url = client, url
        attributes = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        self.arn = str(attributes["QueueArn"])
        self.visibility_s = float(attributes["VisibilityTimeout"])

    def put(self, *bodies: str, group: str = "", attributes: Mapping[str, str] | None = None) -> list[str]:
        """Send messages as they are, with attributes that are text; to a FIFO queue as one group. Answers their ids."""
        named = {name: {"DataType": "String", "StringValue": value} for name, value in (attributes or {}).items()}
        sent = []
        for body in bodies:
            place = {"MessageGroupId": group, "MessageDeduplicationId": uuid.uuid4().hex} if self.url.endswith(".fifo") else {}
            sent.append(self.client.send_message(QueueUrl=self.url, MessageBody=body, MessageAttributes=named, **place)["MessageId"])
        return sent

    def size(self) -> int:
        """Messages in the queue, hidden and delayed ones too."""
        names = [f"ApproximateNumberOfMessages{which}" for which in ("", "NotVisible", "Delayed")]
        found = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(map(int, found.values()))

    def clear(self) -> None:
        """Lose every message that is not hidden."""
        while (event := self.event()) is not None:
            self._delete(event["Records"])

    def event(self, batch: int = 10) -> dict[str, Any] | None:
        """The next delivery as an event; None where there is no message. For more than ten it is asked again, as with a batching window."""
        records = [self._record(message) for message in self._received(batch)]
        return {"Records": records} if records else None

    def _received(self, batch: int) -> Iterator[dict[str, Any]]:
        left, size = batch, 0
        while left > 0 and size < _LARGEST_EVENT // 2:
            asked = {"QueueUrl": self.url, "MaxNumberOfMessages": min(left, _BATCH), "WaitTimeSeconds": 0}
            answer = self.client.receive_message(**asked, MessageSystemAttributeNames=["All"], MessageAttributeNames=["All"])
            found = answer.get("Messages", [])
            if not found:
                return
            left -= len(found)
            size += sum(len(message["Body"]) for message in found)
            yield from found

    def deliver(self, invoke: Callable[[dict[str, Any]], Any], batch: int = 10) -> Any:
        """One delivery: what the function answered; None where there was no message."""
        event = self.event(batch)
        if event is None:
            return None
        answer = invoke(event)
        failed = failures(answer, [record["messageId"] for record in event["Records"]])
        self._delete([record for record in event["Records"] if record["messageId"] not in failed])
        return answer

    def _delete(self, records: list[dict[str, Any]]) -> None:
        entries = [{"Id": str(number), "ReceiptHandle": record["receiptHandle"]} for number, record in enumerate(records)]
        for first in range(0, len(entries), _BATCH):
            assert not self.client.delete_message_batch(QueueUrl=self.url, Entries=entries[first : first + _BATCH]).get("Failed")

    def _record(self, message: dict[str, Any]) -> dict[str, Any]:
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "messageAttributes": {name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()},
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self.arn,
            "awsRegion": self.arn.split(":")[3],
        }


def _attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    """An attribute in the words of Lambda's events, which are not those of SQS."""
    kept = {name[0].lower() + name[1:]: value[name] for name in ("StringValue", "DataType") if name in value}
    return {**kept, "stringListValues": [], "binaryListValues": []}


def failures(answer: Any, message_ids: list[str]) -> set[str]:
    """The messages that Lambda does not delete: all where the function failed or named one that it was not given."""
    everything = set(message_ids)
    if isinstance(answer, str):
        # The emulator's words for a runtime that died, unless they are an answer.
        with contextlib.suppress(ValueError):
            return failures(json.loads(answer), message_ids)
        return everything
    if answer is None:
        return set()
    if not isinstance(answer, dict) or "errorType" in answer:
        return everything
    listed = answer.get("batchItemFailures") or []
    named: set[Any] = {entry.get("itemIdentifier") if isinstance(entry, dict) else None for entry in listed}
    return everything if named - everything else named
