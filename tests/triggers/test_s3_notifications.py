"""Which objects an event of S3 names, in every shape in which it comes, and what is no such event."""

import copy
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import UnknownEvent
from app.triggers.s3_notifications import S3Object, is_s3_event, objects_in, objects_of
from tests import lambda_samples
from tests.lambda_samples_s3 import BUCKET, EXPECTED_OF_S3, KEY

SAM = Path(__file__).parent.parent.parent / ".venv-sam" / "bin" / "sam"
CREATED = [S3Object(BUCKET, KEY)]


def put(key: str = "inbox/a.csv", **parts: Any) -> dict[str, Any]:
    event = lambda_samples.event("s3-put")
    event["Records"][0]["s3"]["object"] |= {"key": key}
    event["Records"][0] |= parts
    return event


def of_topic(message: Any) -> str:
    """A topic's message as it comes to a queue (SNS Developer Guide, "Amazon SNS message formats")."""
    return json.dumps({"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:t", "Message": message})


def test_samples() -> None:
    """Each sample names its object, and the others name none."""
    named = {"s3-put": CREATED, "eventbridge-s3-object-created": CREATED, "s3-delete": [], "s3-test-event": []}
    for name, objects in named.items():
        event = lambda_samples.event(name)
        assert is_s3_event(event)
        assert objects == objects_of(event)
        assert objects == objects_in(json.dumps(event)) == objects_in(json.dumps(event).encode())
        assert objects == objects_in(of_topic(json.dumps(event)))
    assert CREATED == objects_in(lambda_samples.event("sqs-s3")["Records"][0]["body"])
    assert EXPECTED_OF_S3.keys() == named.keys() | {"sqs-s3"}


@pytest.mark.skipif(not SAM.exists(), reason="needs AWS SAM in .venv-sam")
@pytest.mark.parametrize(("name", "objects"), [("put", [S3Object("b", "inbox/a b.csv")]), ("delete", [])])
def test_samples_of_aws(name: str, objects: list[S3Object]) -> None:
    """AWS SAM's own samples are recognised."""
    command = [SAM, "local", "generate-event", "s3", name, "--bucket", "b", "--key", "inbox/a+b.csv"]
    event = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    # SAM encodes what it is given: here a plus.
    found = [one._replace(key=one.key.replace("+", " ")) for one in objects_of(event)]

    assert is_s3_event(event)
    assert objects == found


@given(st.text(min_size=1, max_size=50))
def test_keys_are_decoded_once(key: str) -> None:
    """S3's own notifications have encoded keys, which may hold what looks encoded; EventBridge's are taken as they are (F-50)."""
    if not key.isprintable():
        key = key.encode(errors="replace").decode()
    of_bus = lambda_samples.event("eventbridge-s3-object-created")
    of_bus["detail"]["object"]["key"] = key

    assert [S3Object(BUCKET, key)] == objects_of(put(quote_plus(key)))
    assert [S3Object(BUCKET, key)] == objects_of(of_bus)


def test_a_key_that_is_no_text() -> None:
    """A key whose bytes are no text is not of S3: nothing is guessed."""
    with pytest.raises(UnknownEvent, match="UTF-8"):
        objects_of(put("inbox/%FF.csv"))


def test_versions() -> None:
    """The version that was put is named, where the bucket has versions."""
    event = put("inbox/a.csv")
    event["Records"][0]["s3"]["object"]["versionId"] = "v1"
    of_bus = lambda_samples.event("eventbridge-s3-object-created")
    of_bus["detail"]["object"]["version-id"] = "v2"

    assert [S3Object(BUCKET, "inbox/a.csv", "v1")] == objects_of(event)
    assert [S3Object(BUCKET, KEY, "v2")] == objects_of(of_bus)


def test_several_records() -> None:
    """Of several records each object is named once, in their order."""
    event = {"Records": [put(f"inbox/{name}.csv")["Records"][0] for name in "abab"]}

    assert ["inbox/a.csv", "inbox/b.csv"] == [found.key for found in objects_of(event)]


@pytest.mark.parametrize(
    "name",
    [
        "ObjectRemoved:DeleteMarkerCreated",
        "ObjectRestore:Completed",
        "ObjectTagging:Put",
        "LifecycleExpiration:Delete",
        "IntelligentTiering",
    ],
)
def test_other_events_name_nothing(name: str) -> None:
    """Whatever else happens to an object is recognised, and nothing is to be done; such records may have other parts."""
    event = put(eventName=name)
    event["Records"][0]["s3"]["get_object"] = event["Records"][0]["s3"].pop("object")

    assert is_s3_event(event)
    assert [] == objects_of(event)


@pytest.mark.parametrize("name", ["Object Deleted", "Object Tags Added", "Object Storage Class Changed"])
def test_other_events_of_the_bus_name_nothing(name: str) -> None:
    """So it is with the events that EventBridge has of S3."""
    event = lambda_samples.event("eventbridge-s3-object-created") | {"detail-type": name}

    assert is_s3_event(event)
    assert [] == objects_of(event)


def test_an_archive_that_is_played_back() -> None:
    """An event that EventBridge plays back from an archive has one member more."""
    assert CREATED == objects_of(lambda_samples.event("eventbridge-s3-object-created") | {"replay-name": "again"})


def changed(name: str, change: Callable[[Any], Any]) -> Any:
    event = copy.deepcopy(lambda_samples.event(name))
    change(event)
    return event


WRONG = {
    "another source beside": changed(
        "s3-put", lambda event: event["Records"].append({"eventSource": "aws:sqs", "messageId": "1", "body": "{}"})
    ),
    "another key beside": changed("s3-put", lambda event: event.update(requestContext={"http": {}})),
    "no name": changed("s3-put", lambda event: event["Records"][0].pop("eventName")),
    "no s3": changed("s3-put", lambda event: event["Records"][0].pop("s3")),
    "no key": changed("s3-put", lambda event: event["Records"][0]["s3"]["object"].pop("key")),
    "an empty key": changed("s3-put", lambda event: event["Records"][0]["s3"]["object"].update(key="")),
    "a number for a key": changed("s3-put", lambda event: event["Records"][0]["s3"]["object"].update(key=5)),
    "a number for a version": changed("s3-put", lambda event: event["Records"][0]["s3"]["object"].update(versionId=5)),
    "no bucket": changed("s3-put", lambda event: event["Records"][0]["s3"].pop("bucket")),
    "a later structure": changed("s3-put", lambda event: event["Records"][0].update(eventVersion="3.0")),
    "a test with records": changed("s3-test-event", lambda event: event.update(Records=[])),
    "a test of another service": changed("s3-test-event", lambda event: event.update(Service="Amazon")),
    "an unknown detail-type": changed("eventbridge-s3-object-created", lambda event: event.update({"detail-type": "Object Eaten"})),
    "a key beside the bus": changed("eventbridge-s3-object-created", lambda event: event.update(Records=[])),
    "no detail": changed("eventbridge-s3-object-created", lambda event: event.pop("detail")),
    "detail is text": changed("eventbridge-s3-object-created", lambda event: event.update(detail="{}")),
    "no object in it": changed("eventbridge-s3-object-created", lambda event: event["detail"].pop("object")),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_shapes(name: str) -> None:
    """An event that is of S3 and of something else, or lacks a part, is nobody's; as a queue's message it raises (F-51)."""
    assert not is_s3_event(WRONG[name])
    with pytest.raises(UnknownEvent, match="events/"):
        objects_in(json.dumps(WRONG[name]))
    with pytest.raises(UnknownEvent):
        objects_in(of_topic(json.dumps(WRONG[name])))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "5",
        "null",
        '"aws:s3"',
        '["aws:s3"]',
        '{"Records": []}',
        '{"inputs": {"X": [["aws:s3"]]}}',
        '{"v": 1, "job": "aws.s3"}',
        '{"s3": "s3://bucket/key", "why": "aws:s3"}',
        '{"Records": "aws:s3"}',
        '{"Records": ["aws:s3"]}',
        of_topic("hello aws:s3"),
        of_topic({"aws:s3": 1}),
        of_topic(of_topic(json.dumps(put()))),
    ],
)
def test_other_messages(body: str) -> None:
    """A message of something else is none of S3's, also where it has the name of S3 in it."""
    assert objects_in(body) is None
    assert objects_in(body.encode()) is None


@pytest.mark.parametrize(
    "event", [None, [], "aws:s3", 5, {}, {"Records": None}, {"Records": []}, {"Records": [None]}, {"source": "aws.s3"}]
)
def test_other_events(event: Any) -> None:
    """Whatever else invokes the function is none of S3's."""
    assert not is_s3_event(event)
