"""Records of Kafka topics, of Amazon MSK or of a cluster of one's own.

The answer names every record that failed, by its topic's partition and its offset (ReportBatchItemFailures, which such a
mapping has in provisioned mode): https://docs.aws.amazon.com/lambda/latest/dg/kafka-retry-configurations.html
Lambda ignores that answer where the mapping does not ask for it; without, an error is what makes a delivery come again.
"""

import binascii
import hashlib
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

from app.errors import Unreadable
from app.triggers.record_batches import all_answered, answered, item_failures
from app.triggers.records import AnswerRecords, Record

# https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html and https://docs.aws.amazon.com/lambda/latest/dg/with-kafka.html
_MEMBERS = {
    "aws:kafka": frozenset({"eventSource", "eventSourceArn", "records"}),
    "SelfManagedKafka": frozenset({"eventSource", "bootstrapServers", "records"}),
}
_MAY_HAVE = frozenset({"eventSourceArn", "bootstrapServers"})


def is_topic(event: Any) -> bool:
    """Records of Kafka and of nothing else."""
    source = event.get("eventSource") if isinstance(event, dict) else None
    members = _MEMBERS.get(source) if isinstance(source, str) else None
    if members is None or not members <= event.keys() <= members | _MAY_HAVE or not isinstance(event["records"], dict):
        return False
    lists = event["records"].items()
    return any(records for _, records in lists) and all(
        isinstance(records, list) and all(_is_record(record, partition) for record in records) for partition, records in lists
    )


def _is_record(record: Any, partition: str) -> bool:
    return (
        isinstance(record, dict)
        and isinstance(record.get("topic"), str)
        and type(record.get("partition")) is int
        and partition == f"{record['topic']}-{record['partition']}"
        and type(record.get("offset")) is int
        and record["offset"] >= 0
        and isinstance(record.get("value"), str | None)
    )


class KafkaTrigger:
    """Answers deliveries of topics."""

    def __init__(self, answer: AnswerRecords, *, partial: bool = True) -> None:
        """:param partial: whether the mapping asks which records failed. If not, one that failed fails the delivery."""
        self._answer = answer
        self._partial = partial

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Work off one delivery. A record without a value, which marks its key as deleted, counts as done.

        :raises RecordsFailed: where any failed and the mapping does not ask which.
        """
        asked = [record for records in event["records"].values() for record in records if record.get("value") is not None]
        cluster = str(event.get("eventSourceArn") or event.get("bootstrapServers", ""))
        outcomes = answered([_read(record, cluster) for record in asked], self._answer, context)
        if not self._partial:
            return all_answered(outcomes)
        identifiers = [{"partition": f"{record['topic']}-{record['partition']}", "offset": record["offset"]} for record in asked]
        return item_failures(identifiers, outcomes)


def _read(record: dict[str, Any], cluster: str) -> Record:
    body, refused = b"", None
    attributes: dict[str, str] = {}
    try:
        attributes = dict(_headers(record.get("headers")))
    except (TypeError, ValueError, AttributeError):
        refused = Unreadable('The record\'s headers are not as Lambda gives them: [{"name": [byte, …]}, …].')
    try:
        body = b64decode(record["value"], validate=True)
    except (binascii.Error, ValueError):
        refused = Unreadable("The record's value is no base64, in which Lambda gives what was sent.")
    # Other clusters have such a topic too, and one that is made anew begins at 0 again.
    of_topic = hashlib.sha256(f"{cluster} {record.get('timestamp')}".encode()).hexdigest()[:8]
    record_id = f"{record['topic']}-{record['partition']}-{record['offset']}-{of_topic}"
    return Record(record_id, "kafka", body, attributes, refused=refused)


def _headers(headers: Any) -> Iterator[tuple[str, str]]:
    """The headers as text, by their names in small letters; of several of one name the last holds, as for Kafka's own clients."""
    for header in headers or ():
        for name, value in header.items():
            if value is not None:
                # Lambda writes Java's bytes, which have a sign. One that is no text stays in the way, rather than being left out.
                yield name.lower(), bytes(byte & 0xFF for byte in value).decode("utf-8", "replace")
