"""Messages of SNS: what becomes a request, and what makes them come again."""

from typing import Any

import pytest

from app.triggers.record_batches import RecordsFailed
from app.triggers.records import Times
from app.triggers.sns import SnsTrigger, is_notification
from tests.shells import Context
from tests.triggers.stream_events import BODY, Engine, base64_of, sam_event, sns_event


def attributes(**members: Any) -> dict[str, str]:
    """What the engine hears of a message's attributes."""
    engine = Engine()
    SnsTrigger(engine)(sns_event("{}", attributes=members), Context())
    return dict(engine.records[0].attributes)


def test_a_message_is_a_request() -> None:
    """The message's text is the request, and its id that of the record."""
    engine = Engine()

    assert {"answered": 1} == SnsTrigger(engine)(sns_event(BODY.decode()), Context())
    assert [("m0", "sns", BODY.decode())] == [record[:3] for record in engine.records]


@pytest.mark.parametrize("k", range(11))
def test_k_of_ten_that_fail(k: int) -> None:
    """One message that failed fails the invocation, which tells how many did and why the first of them."""
    engine = Engine([f"m{place}" for place in range(10 - k, 10)])
    trigger, event = SnsTrigger(engine), sns_event(*[BODY.decode()] * 10)
    if k:
        with pytest.raises(RecordsFailed, match=f"^{k} of 10 records failed, the first as wrong-shape"):
            trigger(event, Context())
    else:
        assert {"answered": 10} == trigger(event, Context())
    assert 10 == len(engine.records)


def test_delivered_again_a_message_has_its_id() -> None:
    """A message is given to the engine under the same id at each of Lambda's attempts."""
    engine = Engine(["m0"])
    for _ in range(3):
        with pytest.raises(RecordsFailed):
            SnsTrigger(engine)(sns_event("{}"), Context())

    assert engine.calls[0] == engine.calls[1] == engine.calls[2]


def test_attributes_are_text() -> None:
    """Text and numbers are attributes as they stand, under names in small letters."""
    found = attributes(
        Model={"Type": "String", "Value": "iris"}, version={"Type": "Number", "Value": "1"}, list={"Type": "String.Array", "Value": '["a"]'}
    )

    assert {"model": "iris", "version": "1", "list": '["a"]'} == found


def test_binary_attributes() -> None:
    """A binary attribute is the text that it holds; one of none is there all the same, so that no other value takes its place."""
    found = attributes(
        text={"Type": "Binary", "Value": base64_of(b"iris")},
        bytes={"Type": "Binary", "Value": base64_of(b"\xff")},
        none={"Type": "Binary", "Value": "TestBinary"},
    )

    assert {"text": "iris", "bytes": "\ufffd", "none": "TestBinary"} == found


@pytest.mark.parametrize(
    "changed",
    [
        {"Type": "SubscriptionConfirmation"},
        {"MessageId": ""},
        {"Message": {"inputs": {}}},
        {"MessageAttributes": []},
        {"MessageAttributes": {"model": "iris"}},
        {"MessageAttributes": {"model": {"Type": "String", "Value": 1}}},
        {"MessageAttributes": {"model": {"Value": "iris"}}},
    ],
)
def test_what_is_no_notification(changed: dict[str, Any]) -> None:
    """A message of another type or shape is not taken."""
    event = sns_event("{}")
    event["Records"][0]["Sns"] |= changed

    assert not is_notification(event)


def test_attributes_may_be_missing() -> None:
    """A message without attributes is a message."""
    event, engine = sns_event("{}"), Engine()
    del event["Records"][0]["Sns"]["MessageAttributes"]

    assert is_notification(event)
    assert {"answered": 1} == SnsTrigger(engine)(event, Context())


def test_a_forged_request_inside_stays_a_message() -> None:
    """A message that holds an HTTP event is text to the engine, and no request of anybody's."""
    engine = Engine()
    forged = '{"requestContext": {"authorizer": {}}, "rawPath": "/jobs"}'
    SnsTrigger(engine)(sns_event(forged), Context())

    assert [forged] == [record.body for record in engine.records]


class Files:
    """Stands for the inbox: messages that begin with "s3" tell of its objects, and those with "fails" in it are not done."""

    def __init__(self) -> None:
        self.deadlines: list[float] = []
        self.messages: list[str] = []

    def __call__(self, message: str, times: Times) -> bool | None:
        # What came before has left another deadline.
        assert self.deadlines[-1:] == [times.write]
        if not message.startswith("s3"):
            return None
        self.messages.append(message)
        return "fails" not in message


@pytest.mark.parametrize(
    ("messages", "of_records", "of_files"),
    [(["s3 a"], 0, 1), (["{}"], 1, 0), (["s3 a", "{}", "s3 b"], 1, 2), (["s3 a", "s3 fails"], 0, 2), (["{}", "s3 fails", "{}"], 2, 1)],
)
def test_messages_of_a_bucket(messages: list[str], of_records: int, of_files: int) -> None:
    """What a bucket tells a topic is answered with its objects, in the time of the invocation; all others are requests."""
    engine, files = Engine(), Files()
    trigger = SnsTrigger(engine, files.deadlines.append, files)
    if any("fails" in message for message in messages):
        with pytest.raises(RecordsFailed, match="Not all objects in S3"):
            trigger(sns_event(*messages), Context())
    else:
        assert {"answered": len(messages)} == trigger(sns_event(*messages), Context())

    assert (of_records, of_files) == (len(engine.records), len(files.messages))


def test_a_request_that_fails_beside_a_bucket() -> None:
    """A request that failed is told by its code, after the objects beside it were answered."""
    engine, files = Engine(["m0"]), Files()
    with pytest.raises(RecordsFailed, match="1 of 1 records failed, the first as wrong-shape"):
        SnsTrigger(engine, files.deadlines.append, files)(sns_event("{}", "s3 a"), Context())

    assert ["s3 a"] == files.messages


def test_sample_of_aws() -> None:
    """The sample that AWS's own tool makes is read."""
    engine, event = Engine(), sam_event("sns", "notification")

    assert is_notification(event)
    assert {"answered": 1} == SnsTrigger(engine)(event, Context())
    assert [("95df01b4-ee98-5cb9-9903-4c221d41eb5e", "example message")] == [(record.id, record.body) for record in engine.records]
    assert {"test": "TestString", "testbinary": "TestBinary"} == engine.records[0].attributes
