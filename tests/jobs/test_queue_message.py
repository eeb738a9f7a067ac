"""The messages of queues of jobs: what is written is read, and nothing else is."""

import pytest

from app.jobs.backend import Queue
from app.jobs.queue_message import Kind, message_of, named_in


@pytest.mark.parametrize(
    ("queue", "kind", "body"), [("jobs", "job", '{"v":1,"job":"ab"}'), ("webhooks", "delivery", '{"v":1,"delivery":"ab"}')]
)
def test_a_message_names_a_record(queue: Queue, kind: Kind, body: str) -> None:
    """A message is a version and an id."""
    assert body == message_of(queue, "ab")
    assert (kind, "ab") == named_in(body)
    assert (kind, "ab") == named_in(body.encode())


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "null",
        "[]",
        "7",
        '"job"',
        "{}",
        '{"job":"a"}',
        '{"v":1}',
        '{"v":2,"job":"a"}',
        '{"v":"1","job":"a"}',
        '{"v":true,"job":"a"}',
        '{"v":1.0,"job":"a"}',
        '{"v":1,"job":""}',
        '{"v":1,"job":7}',
        '{"v":1,"job":null}',
        '{"v":1,"job":"a","delivery":"b"}',
        '{"v":1,"job":"a","more":1}',
        '{"v":1,"upload":"a"}',
        '{"v":1,"job":"' + "a" * 129 + '"}',
        '{"v":1,"job":"\ud800"}',
        "[" * 100_000,
    ],
)
def test_what_is_no_message_names_nothing(body: str) -> None:
    """A body of another shape or version is nobody's (F-37)."""
    assert None is named_in(body)
