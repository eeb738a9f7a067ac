"""Which place a target names: a queue's URL, ``s3://bucket/prefix/``, the ARN of an event bus or of a Firehose stream."""

import re
from functools import lru_cache

from app.errors import Invalid, SettingError
from app.results import Sink

# Targets may come with messages: those that were used last are kept.
_KEPT = 64
# A queue's URL ends in the account and the name, whatever server it is at ("Amazon SQS queue and message identifiers").
_QUEUE = re.compile(r"https?://[^/?#@\s]+(?:/[^?#\s]+)?/\d{12}/(?=[^/]{1,80}$)[A-Za-z0-9_-]+(?:\.fifo)?", re.ASCII)
# "Bucket naming rules"; a prefix that ends in a slash is a folder to whoever looks at it.
_PREFIX = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/((?:[^/\x00-\x1f\x7f][^\x00-\x1f\x7f]{0,510}/)?)")
_BUS = re.compile(r"arn:aws[\w-]*:events:[a-z0-9-]+:\d{12}:event-bus/[\w./-]{1,256}", re.ASCII)
_STREAM = re.compile(r"arn:aws[\w-]*:firehose:[a-z0-9-]+:\d{12}:deliverystream/([\w.-]{1,64})", re.ASCII)
_TAKEN = (
    "a queue's URL (https://sqs.<region>.amazonaws.com/<account>/<name>), s3://<bucket>/<prefix>/ with a slash at its end, "
    "the ARN of an event bus (arn:aws:events:<region>:<account>:event-bus/<name>) "
    "or of a Firehose stream (arn:aws:firehose:<region>:<account>:deliverystream/<name>)"
)


def check_target(target: str, setting: str = "") -> None:
    """See that a target is one of the places that results can go to; AWS is not asked.

    :param setting: the setting that holds it; without one a caller named it.
    :raises SettingError: for a setting.
    :raises Invalid: for a caller's. Neither quotes the target.
    """
    if not any(kind.fullmatch(target) for kind in (_QUEUE, _PREFIX, _BUS, _STREAM)):
        found = f"{setting} is" if setting else "The place that the results should go to is"
        raise (SettingError if setting else Invalid)(f"{found} none that is known{_hint(target)}. It takes {_TAKEN}.")


@lru_cache(maxsize=_KEPT)
def sink_of(target: str, *, cloudevents: bool) -> Sink:
    """The place that a target names.

    :param cloudevents: whether event buses hear CloudEvents; other places do not ask.
    :raises Invalid: as :func:`check_target` does.
    """
    # Each brings what it needs when it is needed.
    check_target(target)
    if prefix := _PREFIX.fullmatch(target):
        from app.results.s3_prefix import S3Prefix

        return S3Prefix(prefix[1], prefix[2])
    if _BUS.fullmatch(target):
        from app.results.event_bus import EventBus

        return EventBus(target, cloudevents=cloudevents)
    if stream := _STREAM.fullmatch(target):
        from app.results.firehose import Firehose

        return Firehose(stream[1])
    from app.results.sqs_queue import SqsQueue

    return SqsQueue(target)


def _hint(target: str) -> str:
    """What is probably meant, for the mistakes that are easily made."""
    if target.startswith("arn:") and ":sqs:" in target:
        return ": for a queue its URL is needed, not its ARN"
    if target.startswith("s3://") and not target.endswith("/"):
        return ": the prefix has no slash at its end"
    if target.startswith("arn:") and ":s3:" in target:
        return ": for a bucket s3://<bucket>/<prefix>/ is needed, not its ARN"
    return ""
