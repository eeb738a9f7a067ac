"""Invocations that bring several records: whose they are, what became of each, and how Lambda hears which must come again."""

from collections.abc import Sequence
from typing import Any

from app.errors import Problem
from app.triggers.records import AnswerRecords, Record, times_of

# The member of a record that says whose it is, and the one that holds what was sent.
_SAYS = {"aws:sns": "EventSource", "aws:kinesis": "eventSource", "aws:dynamodb": "eventSource"}
_HOLDS = {"aws:sns": "Sns", "aws:kinesis": "kinesis", "aws:dynamodb": "dynamodb"}
# Those of all sources, SQS and S3 too: a record that has them of two is nobody's.
_OF_ANY = frozenset({*_SAYS.values(), *_HOLDS.values(), "body", "s3"})


class RecordsFailed(Exception):
    """Raised by the sources that take nothing but an error for "this must come again"."""


def records_of(event: Any, source: str) -> list[dict[str, Any]]:
    """The records of ``{"Records": […]}`` where all are of this source and of no other; else nothing.

    The event has that one member: a stream's tumbling window brings more (``window``, ``state``, …), wants its state back, and is
    no delivery of requests (https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-windows.html). A record may have
    members that nobody has seen yet, as AWS adds such.
    """
    records = event["Records"] if isinstance(event, dict) and event.keys() == {"Records"} else None
    says, holds = _SAYS[source], _HOLDS[source]
    ours = isinstance(records, list) and all(
        isinstance(record, dict)
        and record.get(says) == source
        and isinstance(record.get(holds), dict)
        and record.keys() & _OF_ANY == {says, holds}
        for record in records
    )
    return records if ours and records else []


def answered(records: Sequence[Record], answer: AnswerRecords, context: Any) -> list[Problem | None]:
    """For each record None, or why it must come again. All are answered together, in the time that Lambda's context gives."""
    problems = answer(records, times_of(context)) if records else []
    if len(records) != len(problems):
        # Whatever is missing would pass for done.
        raise ValueError(f"{len(records)} records were to be answered, and {len(problems)} outcomes came back.")
    return problems


def item_failures(identifiers: Sequence[Any], outcomes: Sequence[Problem | None]) -> dict[str, list[dict[str, Any]]]:
    """The answer that names the records that failed, and only those (ReportBatchItemFailures). Identifiers are never empty:
    one that is fails the whole delivery.
    """
    failed = [identifier for identifier, problem in zip(identifiers, outcomes, strict=True) if problem is not None]
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in failed]}


def all_answered(outcomes: Sequence[Problem | None]) -> dict[str, int]:
    """How many were answered, where all were.

    :raises RecordsFailed: with how many failed, and why the first of them did.
    """
    failed = [problem for problem in outcomes if problem is not None]
    if failed:
        raise RecordsFailed(
            f"{len(failed)} of {len(outcomes)} records failed, the first as {failed[0].code}. The log tells of each. "
            "Lambda invokes again, and then gives the event to the on-failure destination."
        )
    return {"answered": len(outcomes)}
