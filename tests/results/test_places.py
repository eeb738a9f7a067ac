"""Which places a target can name, and what is said of one that names none."""

import pytest

from app.errors import Invalid, SettingError
from app.results.event_bus import EventBus
from app.results.firehose import Firehose
from app.results.places import check_target, sink_of
from app.results.s3_prefix import S3Prefix
from app.results.sqs_queue import SqsQueue
from tests.jobs.moto_stores import moto_names
from tests.results.worlds import messages, result

KNOWN = {
    "https://sqs.eu-west-1.amazonaws.com/123456789012/answers": SqsQueue,
    "https://sqs.cn-north-1.amazonaws.com.cn/123456789012/answers.fifo": SqsQueue,
    "https://eu-west-1.queue.amazonaws.com/123456789012/answers": SqsQueue,
    "http://127.0.0.1:4566/123456789012/answers": SqsQueue,
    "http://localhost:9324/queues/000000000000/answers": SqsQueue,
    "s3://bucket/": S3Prefix,
    "s3://my.bucket-1/answers/of today/": S3Prefix,
    "arn:aws:events:eu-west-1:123456789012:event-bus/default": EventBus,
    "arn:aws-cn:events:cn-north-1:123456789012:event-bus/a.b_c-d": EventBus,
    "arn:aws:firehose:eu-west-1:123456789012:deliverystream/answers": Firehose,
}
UNKNOWN = [
    "",
    "answers",
    "arn:aws:sqs:eu-west-1:123456789012:answers",
    "arn:aws:s3:::bucket",
    "arn:aws:events:eu-west-1:123456789012:rule/answers",
    "arn:aws:events:eu-west-1:12345:event-bus/answers",
    "arn:aws:firehose:eu-west-1:123456789012:deliverystream/",
    "arn:aws:lambda:eu-west-1:123456789012:function:answers",
    "https://sqs.eu-west-1.amazonaws.com/answers",
    "https://sqs.eu-west-1.amazonaws.com/1234/answers",
    "https://sqs.eu-west-1.amazonaws.com/123456789012/answers?x=1",
    "https://sqs.eu-west-1.amazonaws.com/123456789012/answers\n",
    "https://sqs.eu-west-1.amazonaws.com/123456789012/answers.fifo.fifo",
    "https://user@sqs.eu-west-1.amazonaws.com/123456789012/answers",
    "https://sqs.eu-west-1.amazonaws.com/123456789012/" + "a" * 81,
    "https://example.com/hook",
    "ftp://sqs.eu-west-1.amazonaws.com/123456789012/answers",
    "s3://bucket",
    "s3://bucket/answers",
    "s3://Bucket/answers/",
    "s3:///answers/",
    "s3://bucket//",
    "s3://bucket/a\nb/",
    " s3://bucket/answers/",
]


@pytest.mark.parametrize("target", list(KNOWN))
def test_known_targets(target: str) -> None:
    """A queue's URL, a prefix, a bus and a stream each have their place, which is kept for the next one who asks."""
    check_target(target)
    sink = sink_of(target, cloudevents=False)

    assert KNOWN[target] is type(sink)
    assert sink is sink_of(target, cloudevents=False)


@pytest.mark.parametrize("target", UNKNOWN)
def test_unknown_targets(target: str) -> None:
    """Everything else is refused: in a setting by its name, of a caller as his input; what is taken is told, and the target is not."""
    with pytest.raises(Invalid, match=r"s3://<bucket>/<prefix>/ with a slash at its end") as raised:
        check_target(target)
    with pytest.raises(SettingError, match=r"^RESULTS_TO is none that is known.*arn:aws:firehose"):
        check_target(target, "RESULTS_TO")
    with pytest.raises(Invalid):
        sink_of(target, cloudevents=False)
    assert not target or target not in raised.value.detail


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("arn:aws:sqs:eu-west-1:123456789012:answers", "for a queue its URL is needed"),
        ("s3://bucket/answers", "the prefix has no slash at its end"),
        ("arn:aws:s3:::bucket", "for a bucket s3://"),
    ],
)
def test_easy_mistakes_are_named(target: str, hint: str) -> None:
    """What is probably meant is told."""
    with pytest.raises(Invalid, match=hint):
        check_target(target)


def test_buses_of_both_forms() -> None:
    """A bus with CloudEvents and one without are two places."""
    arn = "arn:aws:events:eu-west-1:123456789012:event-bus/default"

    assert sink_of(arn, cloudevents=True) is not sink_of(arn, cloudevents=False)


def test_a_place_is_reached_by_its_target() -> None:
    """The URL that SQS gives its queue leads there."""
    with moto_names() as (_, names):
        assert [None] == sink_of(names.jobs.messages, cloudevents=False).put([result("r1")])
        assert ["r1"] == [message["MessageAttributes"]["record-id"]["StringValue"] for message in messages(names.jobs.messages)]
