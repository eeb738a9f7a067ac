"""What Lambda does between a queue and a function: polls, hands over a delivery, and deletes what was worked off.

https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html and services-sqs-errorhandling.html beside it.
"""

import contextlib
import json
from collections.abc import Callable
from typing import Any


class Queue:
    """A queue as Lambda's event source reads it. Messages that were not worked off come back when their time is over."""

    def __init__(self, client: Any, url: str) -> None:
        self.client, self.url = client, url
        attributes = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        self.arn = str(attributes["QueueArn"])
        self.visibility_s = float(attributes["VisibilityTimeout"])

    def put(self, *bodies: str) -> None:
        """Send messages as they are."""
        for body in bodies:
            self.client.send_message(QueueUrl=self.url, MessageBody=body)

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
        """The next delivery as an event; None where there is no message."""
        asked = {"QueueUrl": self.url, "MaxNumberOfMessages": batch, "WaitTimeSeconds": 0}
        found = self.client.receive_message(**asked, MessageSystemAttributeNames=["All"], MessageAttributeNames=["All"]).get("Messages", [])
        return {"Records": [self._record(message) for message in found]} if found else None

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
        if entries:
            self.client.delete_message_batch(QueueUrl=self.url, Entries=entries)

    def _record(self, message: dict[str, Any]) -> dict[str, Any]:
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "messageAttributes": message.get("MessageAttributes", {}),
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self.arn,
            "awsRegion": self.arn.split(":")[3],
        }


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
    named = {entry.get("itemIdentifier") if isinstance(entry, dict) else None for entry in listed}
    return everything if named - everything else named
