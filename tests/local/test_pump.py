"""The pump between real queues of moto's and functions of the test's."""

import json
import secrets
import threading
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest

from local.emulator import InvokeFailed
from local.lambda_queue import Queue
from local.pump import Pump, QueueSource, Schedule, queue_sources, schedules
from local.stack import Stack
from local.template_values import Values
from tests.jobs.aws_server import aws_server

SOURCE = QueueSource("F", "Q", 10, reports_failures=True)


class Waiting:
    """A queue with dead letters after two receives."""

    def __init__(self) -> None:
        session = botocore.session.Session()
        session.set_credentials("a", "b")
        client: Any = session.create_client("sqs", endpoint_url=aws_server().url, region_name="eu-west-1")
        name = f"pump-{secrets.token_hex(4)}"
        self.dead = Queue(client, client.create_queue(QueueName=f"{name}-dead")["QueueUrl"])
        redrive = json.dumps({"deadLetterTargetArn": self.dead.arn, "maxReceiveCount": 2})
        attributes = {"VisibilityTimeout": "60", "RedrivePolicy": redrive}
        self.queue = Queue(client, client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])

    def later(self) -> None:
        """Let the time of messages that were received be over."""
        aws_server().ahead_s += 61


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    """The queue, empty."""
    aws_server().ahead_s = 0.0
    yield Waiting()
    aws_server().ahead_s = 0.0


def pump(does: Any, said: list[str] | None = None) -> Pump:
    return Pump({"F": does}, (said if said is not None else []).append)


def test_what_failed_comes_again_and_ends_among_the_dead_letters(waiting: Waiting) -> None:
    """The messages that an answer names stay, the others are gone; after the receives that the queue allows they are dead letters."""
    _, bad = waiting.queue.put("good", "bad")
    said: list[str] = []
    seen: list[list[str]] = []

    def does(event: Any) -> Any:
        seen.append([record["body"] for record in event["Records"]])
        return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in event["Records"] if record["body"] == "bad"]}

    delivered = []
    for _ in range(3):
        delivered.append(pump(does, said).deliver(SOURCE, waiting.queue))
        waiting.later()

    assert [True, True, False] == delivered
    assert [["good", "bad"], ["bad"]] == seen
    assert ["Q → F: 2 messages, 1 come again", "Q → F: 1 messages, 1 come again"] == said
    event = waiting.dead.event()
    assert event is not None
    assert [bad] == [record["messageId"] for record in event["Records"]]


def test_a_function_that_fails_gets_all_of_it_again(waiting: Waiting) -> None:
    """Nothing is deleted where there is no answer."""
    waiting.queue.put("a", "b")

    def does(event: Any) -> Any:
        raise InvokeFailed("it ended")

    assert pump(does).deliver(SOURCE, waiting.queue)
    assert 2 == waiting.queue.size()


def test_without_reports_an_answer_is_success(waiting: Waiting) -> None:
    """A mapping without ReportBatchItemFailures deletes everything that was answered."""
    (message,) = waiting.queue.put("a")
    source = SOURCE._replace(reports_failures=False)

    assert pump(lambda event: {"batchItemFailures": [{"itemIdentifier": message}]}).deliver(source, waiting.queue)
    assert 0 == waiting.queue.size()


def test_polling_and_schedules_end(waiting: Waiting) -> None:
    """Threads deliver what comes and keep time until they are stopped."""
    seen: list[Any] = []
    both = threading.Event()

    def does(event: Any) -> Any:
        seen.append(event if "sweep" in event else event["Records"][0]["body"])
        if {"sweep": True} in seen and "a" in seen:
            both.set()
        return {"batchItemFailures": []}

    running = pump(does)
    running.poll(SOURCE, waiting.queue)
    running.keep(Schedule("F", 0.01, {"sweep": True}))
    waiting.queue.put("a")
    try:
        assert both.wait(30)
    finally:
        running.stop(10)
    assert not [thread for thread in running._threads if thread.is_alive()]


def test_sources_of_the_template() -> None:
    """The queues and the schedule are those of the template, under the parameters of the stack."""
    stack = Stack({}, Values({"Jobs": "on", "Inbox": "on", "Events": "on"}))

    assert {
        QueueSource("JobsWorker", "JobsQueue", 10, reports_failures=True),
        QueueSource("WebhookSender", "WebhooksQueue", 1, reports_failures=True),
        QueueSource("InboxWorker", "InboxQueue", 1, reports_failures=True),
        QueueSource("RecordsWorker", "RequestsQueue", 1000, reports_failures=True),
    } == set(queue_sources(stack))
    assert [Schedule("JobsSweeper", 60.0, {"sweep": True})] == schedules(stack)
    assert [] == queue_sources(Stack({}, Values({})))
