"""Records of Kinesis data streams.

The answer names every record that failed (ReportBatchItemFailures). Lambda begins again at the lowest of them, so what came
after it is delivered a second time: https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html
It is answered all the same, at once and each time, under the same id. When Lambda gives up on a record, it gives up on the rest
of the delivery with it, and what had waited for its turn would be lost.
"""

import binascii
from base64 import b64decode
from typing import Any

from app.errors import Unreadable
from app.triggers.record_batches import answered, item_failures, records_of
from app.triggers.records import AnswerRecords, Record

_SOURCE = "aws:kinesis"
# https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
_AGGREGATED = b"\xf3\x89\x9a\xc2"


def is_stream(event: Any) -> bool:
    """Records of Kinesis and of nothing else."""
    records = records_of(event, _SOURCE)
    return bool(records) and all(_is_record(record) for record in records)


def _is_record(record: dict[str, Any]) -> bool:
    named = (record.get("eventID"), record["kinesis"].get("sequenceNumber"))
    return all(isinstance(name, str) and name != "" for name in named) and isinstance(record["kinesis"].get("data"), str)


class KinesisTrigger:
    """Answers deliveries of a shard."""

    def __init__(self, answer: AnswerRecords) -> None:
        self._answer = answer

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, list[dict[str, str]]]:
        """Work off one delivery."""
        outcomes = answered([_read(record) for record in event["Records"]], self._answer, context)
        return item_failures([record["kinesis"]["sequenceNumber"] for record in event["Records"]], outcomes)


def _read(record: dict[str, Any]) -> Record:
    body, refused = b"", None
    try:
        body = b64decode(record["kinesis"]["data"], validate=True)
    except (binascii.Error, ValueError):
        refused = Unreadable("The record's data is no base64, in which Lambda gives what was put.")
    if body.startswith(_AGGREGATED):
        refused = Unreadable(
            "The record holds several that the Kinesis Producer Library put together, which is not taken apart here. "
            "Set AggregationEnabled to false in the producer: deliveries are answered together anyway."
        )
    return Record(record["eventID"], "kinesis", body, refused=refused)
