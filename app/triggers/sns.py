"""Messages of Amazon SNS, which Lambda is given without waiting for an answer: an error is what makes them come again.

https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html
"""

import binascii
from base64 import b64decode
from collections.abc import Callable
from typing import Any

from app.triggers.record_batches import RecordsFailed, all_answered, answered, records_of
from app.triggers.records import AnswerRecords, Record, Times, times_of

# Whether all that a message tells of S3 is done, until a deadline; None where it tells of nothing there.
AnswerFiles = Callable[[str, Times], bool | None]
_SOURCE = "aws:sns"


def is_notification(event: Any) -> bool:
    """Messages of SNS and of nothing else."""
    records = records_of(event, _SOURCE)
    return bool(records) and all(_is_message(record["Sns"]) for record in records)


def _is_message(message: dict[str, Any]) -> bool:
    attributes = message.get("MessageAttributes", {})
    return (
        message.get("Type") == "Notification"
        and isinstance(message.get("MessageId"), str)
        and message["MessageId"] != ""
        and isinstance(message.get("Message"), str)
        and isinstance(attributes, dict)
        and all(_is_attribute(attribute) for attribute in attributes.values())
    )


def _is_attribute(attribute: Any) -> bool:
    return isinstance(attribute, dict) and isinstance(attribute.get("Type"), str) and isinstance(attribute.get("Value"), str)


class SnsTrigger:
    """Answers messages."""

    def __init__(
        self, answer: AnswerRecords, set_deadline: Callable[[float], None] | None = None, answer_files: AnswerFiles | None = None
    ) -> None:
        """:param set_deadline: hears until when calls to AWS may go on, before files are answered.
        :param answer_files: predicts the objects that a message tells of: a bucket may notify a topic.
        """
        self._answer, self._set_deadline, self._answer_files = answer, set_deadline, answer_files

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, int]:
        """Answer one invocation; a delivery of SNS has one message.

        :raises RecordsFailed: where any failed. Lambda invokes twice more, and then tells the on-failure destination:
            https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
        """
        messages = [record["Sns"] for record in event["Records"]]
        files = [self._of_files(message["Message"], context) for message in messages]
        records = [_record(message) for message, done in zip(messages, files, strict=True) if done is None]
        all_answered(answered(records, self._answer, context))
        if False in files:
            raise RecordsFailed("Not all objects in S3 of which a message tells are done. The log tells of each. Lambda invokes again.")
        return {"answered": len(messages)}

    def _of_files(self, message: str, context: Any) -> bool | None:
        if self._answer_files is None:
            return None
        times = times_of(context)
        if self._set_deadline is not None:
            self._set_deadline(times.write)
        return self._answer_files(message, times)


def _record(message: dict[str, Any]) -> Record:
    return Record(message["MessageId"], "sns", message["Message"], _attributes(message))


def _attributes(message: dict[str, Any]) -> dict[str, str]:
    """The attributes by their names in small letters: https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html"""
    return {name.lower(): _value(attribute) for name, attribute in message.get("MessageAttributes", {}).items()}


def _value(attribute: dict[str, Any]) -> str:
    value: str = attribute["Value"]
    if attribute["Type"] != "Binary":
        return value
    # One that is no text stays in the way, rather than being left out: a model's name must not turn into the default model.
    try:
        return b64decode(value, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return value
