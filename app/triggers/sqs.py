"""Deliveries of SQS: messages that are prediction requests, that tell of objects in S3, that name jobs to answer, or webhooks to send.

The answer names the messages that must come again, and only those (ReportBatchItemFailures):
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.errors import Problem
from app.jobs.queue_message import named_in
from app.triggers.records import AnswerRecords, Record, Times, times_of

# Works off records by their ids until a deadline (``time.monotonic()`` seconds), and answers those that must come again.
Work = Callable[[Sequence[str], float], Sequence[str]]
# Answers bodies that are alike, by their ids and of a source, until a deadline; None where they are not, and nothing is done.
AnswerAlike = Callable[[Sequence[str], Sequence[str], str, Times], list[Problem | None] | None]
# For each body None, where it tells of nothing in S3, or whether all that it tells of is done.
AnswerFiles = Callable[[str, Times], bool | None]
# Most messages are no event of S3, and are not parsed to find that out.
_OF_S3 = ("aws:s3", "aws.s3", "s3:TestEvent")


def is_delivery(event: Any) -> bool:
    """Records of SQS and of nothing else."""
    records = event.get("Records") if isinstance(event, dict) and event.keys() == {"Records"} else None
    return isinstance(records, list) and bool(records) and all(_is_record(record) for record in records)


def _is_record(record: Any) -> bool:
    return (
        isinstance(record, dict)
        and record.get("eventSource") == "aws:sqs"
        and isinstance(record.get("messageId"), str)
        and isinstance(record.get("body"), str)
        and "s3" not in record
    )


class SqsTrigger:
    """Answers deliveries."""

    def __init__(
        self,
        work: Mapping[str, Work],
        set_deadline: Callable[[float], None],
        answer: AnswerRecords,
        answer_alike: AnswerAlike,
        answer_files: AnswerFiles,
    ) -> None:
        """:param work: for ``job`` and for ``delivery``, where there are jobs.
        :param set_deadline: hears until when calls to AWS may go on.
        """
        self._work, self._set_deadline = work, set_deadline
        self._answer, self._answer_alike, self._answer_files = answer, answer_alike, answer_files

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, list[dict[str, str]]]:
        """Work off one delivery."""
        times = times_of(context)
        self._set_deadline(times.write)
        messages = event["Records"]
        if (alike := self._answered_alike(messages, times)) is not None:
            return alike
        named, files, records = self._sorted(messages)
        failed: list[str] = []
        for kind, of_ids in named.items():
            if of_ids:
                for name in self._work[kind](list(of_ids), times.run):
                    failed += of_ids[name]
        for message in files:
            done = self._answer_files(message["body"], times)
            if done is None:
                records.append(_record(message))
            elif not done:
                failed.append(message["messageId"])
        if files:
            # Those that were no event of S3 stand where they came: in a group order counts.
            places = {message["messageId"]: place for place, message in enumerate(messages)}
            records.sort(key=lambda record: places[record.id])
        problems: Sequence[Problem | None] = self._answer(records, times) if records else ()
        failed += [record.id for record, problem in zip(records, problems, strict=True) if problem is not None]
        return _failures(failed)

    def _answered_alike(self, messages: Sequence[dict[str, Any]], times: Times) -> dict[str, list[dict[str, str]]] | None:
        """The quick way of messages that differ in nothing but their numbers."""
        if any(message.get("messageAttributes") or "MessageGroupId" in message.get("attributes", ()) for message in messages):
            return None
        ids = [message["messageId"] for message in messages]
        problems = self._answer_alike(ids, [message["body"] for message in messages], "sqs", times)
        return None if problems is None else _failures([name for name, problem in zip(ids, problems, strict=True) if problem is not None])

    def _sorted(self, messages: Sequence[dict[str, Any]]) -> tuple[dict[str, dict[str, list[str]]], list[dict[str, Any]], list[Record]]:
        """Messages by kind and by the record that they name, those that may tell of S3, and requests."""
        named: dict[str, dict[str, list[str]]] = {kind: {} for kind in self._work}
        files, records = [], []
        for message in messages:
            body = message["body"]
            if '"v"' in body and (found := named_in(body)) and found[0] in named:
                named[found[0]].setdefault(found[1], []).append(message["messageId"])
            elif "s3" in body and any(trace in body for trace in _OF_S3):
                files.append(message)
            else:
                records.append(_record(message))
        return named, files, records


def _failures(failed: Sequence[str]) -> dict[str, list[dict[str, str]]]:
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _record(message: dict[str, Any]) -> Record:
    attributes, system = message.get("messageAttributes"), message.get("attributes", {})
    # Only a FIFO queue's groups have an order; other queues' are for fairness (SQS Developer Guide, "Amazon SQS fair queues").
    group = system.get("MessageGroupId", "") if "SequenceNumber" in system else ""
    return Record(message["messageId"], "sqs", message["body"], _attributes(attributes) if attributes else {}, group)


def _attributes(attributes: Mapping[str, Any]) -> dict[str, str]:
    """The attributes by their names in small letters. A binary one stays the base64 that it comes as, and is refused where text is asked."""
    return {
        name.lower(): str(attribute.get("stringValue", attribute.get("binaryValue")))
        for name, attribute in attributes.items()
        if isinstance(attribute, dict)
    }
