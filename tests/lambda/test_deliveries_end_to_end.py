"""Predictions asked for by messages: a poller as Lambda's, awslambdaric under AWS's emulator, and the reply queue that it writes to."""

import itertools
import json
import math
import os
import secrets
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import moto.sqs.models
import pytest

from app.storage import aws_clients
from local.lambda_queue import Queue
from tests.jobs.aws_faults import dropped, meanwhile, refusal
from tests.jobs.aws_server import AwsServer
from tests.jobs.moto_stores import REGION, environment, moto_names
from tests.results.worlds import messages
from tests.shells import emulator, runtimes

VISIBILITY_S = 180
RECEIVES = 3
MARK = "DELIVERIES_MARK"


class Function(NamedTuple):
    """The function, and the two places that its records may name. ``mark`` tells its processes from others."""

    server: AwsServer
    invoke: Callable[[Any], Any]
    replies: str
    ordered: str
    mark: str


@pytest.fixture(scope="module")
def _function(models: Path) -> Iterator[Function]:
    with moto_names() as (server, names):
        sqs, mark = aws_clients.client("sqs"), secrets.token_hex(8)
        replies = sqs.create_queue(QueueName=f"{names.table}-replies")["QueueUrl"]
        ordered = sqs.create_queue(QueueName=f"{names.table}-replies.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        settings = {"JOBS": "off", "RESULTS_TO": replies, "REPLY_QUEUE_URLS": ordered, "AWS_REGION": REGION, MARK: mark}
        with emulator(models, **environment(server.url), **settings) as invoke:
            assert {"warm": True} == invoke({"warmup": True})
            yield Function(server, invoke, replies, ordered, mark)


@pytest.fixture
def function(_function: Function) -> Iterator[Function]:
    """The function with empty reply queues, and no fault in its way."""
    _function.server.faults.clear()
    yield _function
    _function.server.faults.clear()
    for url in (_function.replies, _function.ordered):
        messages(url)


class Questions(NamedTuple):
    """The queue that the function is invoked for, and that of the letters that are dead."""

    queue: Queue
    dead: Queue


def questions(*, fifo: bool = False) -> Questions:
    sqs, name, end = aws_clients.client("sqs"), f"questions-{secrets.token_hex(6)}", ".fifo" if fifo else ""
    kind = {"FifoQueue": "true"} if fifo else {}
    dead = Queue(sqs, sqs.create_queue(QueueName=f"{name}-dead{end}", Attributes=kind)["QueueUrl"])
    redrive = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": RECEIVES})
    attributes = {"VisibilityTimeout": str(VISIBILITY_S), "RedrivePolicy": redrive, **kind}
    return Questions(Queue(sqs, sqs.create_queue(QueueName=f"{name}{end}", Attributes=attributes)["QueueUrl"]), dead)


def row(number: int) -> str:
    """A request that is no other's."""
    return json.dumps({"inputs": [[5.1, 3.5, 1.4, number / 10]]})


POISON = [
    "not JSON",
    '{"inputs": [[1, 2]]}',
    '{"inputs": [["a", 2, 3, 4]]}',
    '{"inputs": [[1, 2, 3, 4]], "model": "nobody"}',
    "{}",
    '{"inputs": [[1, 2, 3, 1e400]]}',
    "[]",
    '{"inputs": {"nobody": [1]}}',
    '{"inputs": [[1, 2, 3, 4]], "more": 1}',
    '{"s3": "s3://not-allowed/key"}',
]


class Reply(NamedTuple):
    """One result that came. ``place`` is its place in its queue."""

    place: int
    status: str
    body: Any


def replies(url: str) -> dict[str, list[Reply]]:
    """What came, by the id of its record."""
    found: dict[str, list[Reply]] = {}
    for place, message in enumerate(messages(url)):
        named = {name: attribute["StringValue"] for name, attribute in message["MessageAttributes"].items()}
        found.setdefault(named["record-id"], []).append(Reply(place, named["status"], json.loads(message["Body"])))
    return found


def failed(answer: Any) -> set[str]:
    assert ["batchItemFailures"] == list(answer), answer
    return {entry["itemIdentifier"] for entry in answer["batchItemFailures"]}


def right(function: Function, body: str) -> Any:
    """The answer that a direct invoke gives."""
    return function.invoke(json.loads(body))


def alike(one: Any, other: Any) -> bool:
    """Whether two answers are equal but for the last digits of their numbers, which are rounded otherwise with other rows in a run."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-5, abs_tol=1e-7)
    return type(one) is type(other) and bool(one == other)


def later(function: Function, asked: Questions) -> None:
    """Let the time of messages that were not deleted be over. moto would give the last of a group back first."""
    function.server.ahead_s += VISIBILITY_S + 1
    moto.sqs.models.sqs_backends["123456789012"][REGION].queues[asked.queue.url.rpartition("/")[2]].pending_messages.clear()


@pytest.mark.parametrize("k", range(11))
def test_k_of_ten_are_bad(function: Function, k: int) -> None:
    """Of ten messages exactly the k bad ones fail, and the answers of the others are in the reply queue, each once and right."""
    asked = questions()
    bodies = [POISON[number] if number < k else row(number) for number in range(10)]
    bodies = bodies[1::2] + bodies[::2]
    ids = asked.queue.put(*bodies)
    answer = asked.queue.deliver(function.invoke)
    came = replies(function.replies)

    bad = {record for record, body in zip(ids, bodies, strict=True) if body in POISON}
    assert bad == failed(answer)
    assert k == len(bad) == asked.queue.size()
    assert set(ids) == set(came)
    for record, body in zip(ids, bodies, strict=True):
        (reply,) = came[record]
        assert (record in bad) == (reply.status != "200")
        if record not in bad:
            assert alike(right(function, body), reply.body)


def test_a_delivery_of_many(function: Function) -> None:
    """A delivery of more than ten messages, as with a batching window, is answered whole."""
    asked = questions()
    ids = asked.queue.put(*map(row, range(45)))
    answer = asked.queue.deliver(function.invoke, batch=100)
    came = replies(function.replies)

    assert set() == failed(answer)
    assert 0 == asked.queue.size()
    assert dict.fromkeys(ids, 1) == {record: len(of_record) for record, of_record in came.items()}
    assert all(alike(right(function, row(number)), came[ids[number]][0].body) for number in (0, 9, 10, 44))


def test_poison_ends_among_the_dead_letters(function: Function) -> None:
    """A message that nobody can answer comes as often as its queue lets it, is told each time under one id, and is kept as a dead letter."""
    asked = questions()
    poison, good = asked.queue.put(POISON[1], row(1))
    failures = []
    for _ in range(RECEIVES):
        failures.append(failed(asked.queue.deliver(function.invoke)))
        later(function, asked)
    assert asked.queue.deliver(function.invoke) is None
    came = replies(function.replies)

    assert [{poison}] * RECEIVES == failures
    assert (0, 1) == (asked.queue.size(), asked.dead.size())
    event = asked.dead.event()
    assert event is not None
    assert POISON[1] == event["Records"][0]["body"]
    assert ["422"] * RECEIVES == [reply.status for reply in came[poison]]
    assert ["200"] == [reply.status for reply in came[good]]


def test_a_message_that_comes_again(function: Function) -> None:
    """What SQS delivers twice is answered twice under one id; the same request in another message has another id."""
    asked = questions()
    first, second = asked.queue.put(row(1), row(1))
    event = asked.queue.event()
    assert event is not None
    assert (set(), set()) == (failed(function.invoke(event)), failed(function.invoke(event)))
    came = replies(function.replies)

    assert {first: 2, second: 2} == {record: len(of_record) for record, of_record in came.items()}
    assert 1 == len({json.dumps(reply.body) for reply in itertools.chain(*came.values())})


def test_a_crash_between_result_and_acknowledgement(function: Function) -> None:
    """A function that is killed when its results are kept, and before it says so, answers again: under the same ids, and none is lost."""
    asked = questions()
    ids = asked.queue.put(*map(row, range(5)))
    (runtime,) = runtimes(MARK, function.mark)
    function.server.fail("SendMessageBatch", meanwhile(lambda: os.kill(runtime, signal.SIGKILL)))
    asked.queue.deliver(function.invoke)
    before = replies(function.replies)
    assert 5 == asked.queue.size()
    later(function, asked)
    answer = asked.queue.deliver(function.invoke)
    after = replies(function.replies)

    assert set() == failed(answer)
    assert 0 == asked.queue.size()
    assert set(ids) == set(before) == set(after)
    assert all(alike(before[record][0].body, after[record][0].body) for record in ids)


def test_results_that_cannot_be_kept(function: Function) -> None:
    """While the reply queue takes nothing no record counts as done, and all are answered when it does again."""
    asked = questions()
    ids = asked.queue.put(*map(row, range(3)))
    function.server.fail("SendMessageBatch", *[refusal(400, "AccessDeniedException")])

    assert set(ids) == failed(asked.queue.deliver(function.invoke))
    assert {} == replies(function.replies)
    later(function, asked)
    assert set() == failed(asked.queue.deliver(function.invoke))
    assert set(ids) == set(replies(function.replies))


def test_a_reply_queue_that_stumbles(function: Function) -> None:
    """Throttling and connections that end cost the reply queue's caller an attempt, and no record."""
    asked = questions()
    ids = asked.queue.put(*map(row, range(3)))
    function.server.fail("SendMessageBatch", refusal(400, "ThrottlingException"), dropped)

    assert set() == failed(asked.queue.deliver(function.invoke))
    assert dict.fromkeys(ids, 1) == {record: len(of_record) for record, of_record in replies(function.replies).items()}


def test_a_group_keeps_its_order(function: Function) -> None:
    """From one FIFO queue to another the answers of a group come in the order of its messages."""
    asked = questions(fifo=True)
    ids = [asked.queue.put(row(number), group="ab"[number % 2], attributes={"reply-to": function.ordered})[0] for number in range(10)]
    while (answer := asked.queue.deliver(function.invoke)) is not None:
        assert set() == failed(answer)
    came = replies(function.ordered)

    assert dict.fromkeys(ids, 1) == {record: len(of_record) for record, of_record in came.items()}
    for group in (ids[::2], ids[1::2]):
        places = [came[record][0].place for record in group]
        assert sorted(places) == places
    assert {} == replies(function.replies)


def test_after_a_failure_a_group_waits(function: Function) -> None:
    """After a bad message no later one of its group is answered, and all of them come again in their order; another group goes on."""
    asked = questions(fifo=True)
    attributes = {"reply-to": function.ordered}
    bad_group = asked.queue.put(row(0), POISON[1], row(2), row(3), group="a", attributes=attributes)
    good_group = asked.queue.put(row(4), row(5), group="b", attributes=attributes)
    answers = []
    while (answer := asked.queue.deliver(function.invoke)) is not None:
        answers.append(failed(answer))
    came = replies(function.ordered)

    assert set(bad_group[1:]) == set().union(*answers)
    assert {bad_group[0], bad_group[1], *good_group} == set(came)
    assert ("200", "422") == (came[bad_group[0]][0].status, came[bad_group[1]][0].status)
    later(function, asked)
    event = asked.queue.event()
    assert event is not None
    assert bad_group[1:] == [record["messageId"] for record in event["Records"]]


def test_a_sender_names_no_other_place(function: Function) -> None:
    """A place that the function was not told of is refused, and the sender's message comes to nothing but an error."""
    asked = questions()
    (record,) = asked.queue.put(row(0), attributes={"reply-to": asked.dead.url})

    assert {record} == failed(asked.queue.deliver(function.invoke))
    assert ["422"] == [reply.status for reply in replies(function.replies)[record]]
    assert 0 == asked.dead.size()
