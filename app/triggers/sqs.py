"""Deliveries of the two queues of jobs: messages that name jobs to answer, or webhooks to send.

The answer names the messages that must come again, and only those (ReportBatchItemFailures):
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

# Works off records by their ids until a deadline (``time.monotonic()`` seconds), and answers those that must come again.
Work = Callable[[Sequence[str], float], Sequence[str]]
# What of an invocation is kept to write down what was done.
_SHARE_TO_WRITE, _MOST_TO_WRITE_S = 0.1, 10.0
_LAST_CALL_S = 0.5
# Without a context, as in a test, an invocation has Lambda's longest time.
_LONGEST_S = 900.0
_VERSION = 1
_KINDS = ("job", "delivery")
_LONGEST_ID = 128


def is_delivery(event: Any) -> bool:
    """Records of SQS and of nothing else."""
    records = event.get("Records") if isinstance(event, dict) and event.keys() == {"Records"} else None
    return isinstance(records, list) and bool(records) and all(_is_record(record) for record in records)


def _is_record(record: Any) -> bool:
    return isinstance(record, dict) and record.get("eventSource") == "aws:sqs" and isinstance(record.get("messageId"), str)


class SqsTrigger:
    """Answers deliveries."""

    def __init__(self, work: Mapping[str, Work], set_deadline: Callable[[float], None]) -> None:
        """:param work: for ``job`` and for ``delivery``.
        :param set_deadline: hears until when calls to AWS may go on.
        """
        self._work = work
        self._set_deadline = set_deadline

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, list[dict[str, str]]]:
        """Work off one delivery."""
        remaining = getattr(context, "get_remaining_time_in_millis", None)
        left_s = _LONGEST_S if remaining is None else remaining() / 1000
        now = time.monotonic()
        self._set_deadline(now + left_s - _LAST_CALL_S)
        deadline = now + left_s - min(_MOST_TO_WRITE_S, left_s * _SHARE_TO_WRITE)
        messages: dict[str, dict[str, list[str]]] = {kind: {} for kind in _KINDS}
        failed: list[str] = []
        for record in event["Records"]:
            kind, record_id = _named(record.get("body"))
            if kind:
                messages[kind].setdefault(record_id, []).append(record["messageId"])
            else:
                failed.append(record["messageId"])
        for kind, of_ids in messages.items():
            if of_ids:
                for record_id in self._work[kind](list(of_ids), deadline):
                    failed += of_ids[record_id]
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _named(body: Any) -> tuple[str, str]:
    """The kind and id of the record that a message names; empty for a message of nobody's, which ends among the dead letters."""
    try:
        found = orjson.loads(body)
    except (orjson.JSONDecodeError, TypeError):
        return "", ""
    # One member more is a later release's, which knows what to do with it.
    if not isinstance(found, dict) or len(found) != 2 or type(version := found.get("v")) is not int or version != _VERSION:
        return "", ""
    kind, record_id = next((item for item in found.items() if item[0] != "v"), ("", ""))
    known = kind in _KINDS and isinstance(record_id, str) and 0 < len(record_id) <= _LONGEST_ID
    return (kind, record_id) if known else ("", "")
