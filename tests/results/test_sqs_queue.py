"""Results in SQS: what a message says, what it can hold, and the order of a FIFO queue."""

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import ResultTooLarge, StoreUnavailable
from app.results import Result
from app.results.sqs_queue import SqsQueue
from tests.jobs.aws_faults import refusal
from tests.jobs.aws_server import Application, Environ, Fault, StartResponse
from tests.results.test_sinks import not_taken, not_taken_or_empty
from tests.results.worlds import World, failed, result, some, unbase64

MIB = 1_048_576
LEGAL = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")


def attributes(message: Any) -> dict[str, str]:
    assert {"String"} == {attribute["DataType"] for attribute in message["MessageAttributes"].values()}
    return {name: attribute["StringValue"] for name, attribute in message["MessageAttributes"].items()}


def test_what_a_message_says(queue: World) -> None:
    """The body is the answer to the byte, and the attributes tell whose it is, of which model, and that all went well."""
    queue.sink.put([result("r1", '{"outputs": {"größe": [1]}}\n'.encode())])
    (message,) = queue.read()

    assert '{"outputs": {"größe": [1]}}\n' == message["Body"]
    assert {
        "content-type": "application/json",
        "model": "iris",
        "version": "2",
        "status": "200",
        "correlation-id": "order r1",
        "record-id": "r1",
    } == attributes(message)


def test_what_a_message_of_an_error_says(queue: World) -> None:
    """An error's message has its status, and the error object for a body."""
    queue.sink.put([failed("r1")])
    (message,) = queue.read()

    assert "422" == attributes(message)["status"]
    assert "invalid-request" == json.loads(message["Body"])["code"]


def test_what_is_not_known_is_left_out(queue: World) -> None:
    """SQS takes no empty attribute, so that what a record has not is not there."""
    queue.sink.put([result("r1", model="", version="", correlation_id="")])
    (message,) = queue.read()

    assert {"content-type", "status", "record-id"} == set(attributes(message))


BODIES = {
    "binary": b"\x93NUMPY\x01\x00",
    "half a character": "größe".encode()[:3],
    "a character that XML has not": b"a\x00b",
    "a character that is none": "\ufffe".encode(),
    "nothing": b"",
}


@pytest.mark.parametrize("body", list(BODIES.values()), ids=list(BODIES))
def test_what_is_no_text_is_base64(queue: World, body: bytes) -> None:
    """A body that SQS would refuse goes in base64, and an attribute says so."""
    assert [None] == queue.sink.put([result("r1", body, content_type="application/x-npy")])
    (message,) = queue.read()

    assert ("base64", "application/x-npy") == (attributes(message)["content-transfer-encoding"], attributes(message)["content-type"])
    assert body == unbase64(message["Body"].strip())


@given(st.binary(max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_every_message_is_one_that_sqs_takes(body: bytes, correlation_id: str, group: str) -> None:
    """Whatever a result holds, its message has characters, attributes and groups that SQS allows, and gives its body back."""
    entry = SqsQueue("https://sqs.test/123456789012/answers.fifo")._entry(0, result("r1", body, correlation_id=correlation_id, group=group))
    values = {name: value["StringValue"] for name, value in entry.content["MessageAttributes"].items()}
    text = entry.content["MessageBody"]

    assert len(values) <= 10
    assert all(LEGAL.fullmatch(value) for value in (text, *values.values()))
    assert body == (unbase64(text.strip()) if "content-transfer-encoding" in values else text.encode())
    assert re.fullmatch(r"[!-~]{1,128}", entry.content["MessageGroupId"])
    assert re.fullmatch(r"[!-~]{1,128}", entry.content["MessageDeduplicationId"])


@pytest.mark.parametrize("over", [0, 1])
def test_the_largest_message(queue: World, over: int) -> None:
    """A message is taken up to 1 MiB with the names, types and values of its attributes, and not a byte more."""
    named = {
        "content-type": "application/json",
        "model": "iris",
        "version": "2",
        "status": "200",
        "correlation-id": "order r1",
        "record-id": "r1",
    }
    rest = sum(len(name) + len(value) + len("String") for name, value in named.items())
    (problem,) = queue.sink.put([result("r1", b"1" * (MIB - rest + over))])

    assert bool(over) == isinstance(problem, ResultTooLarge)
    if problem:
        assert f"has {MIB + 1} bytes" in problem.detail
        assert f"at most {MIB}" in problem.detail


def test_a_queue_that_takes_less(queue: World) -> None:
    """Where a queue refuses one message for its size the others are kept, and its problem names SQS's code."""
    queue.server.fail("SendMessageBatch", *[too_long_with("r1")] * 9)
    problems = queue.sink.put(some(4))

    assert [False, True, False, False] == [isinstance(problem, StoreUnavailable) for problem in problems]
    assert ["r0", "r2", "r3"] == sorted(queue.ids())


def too_long_with(record_id: str) -> Fault:
    def fault(moto: Application, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if f'"{record_id}"'.encode() in environ["wsgi.input"].getvalue():
            return refusal(400, "BatchRequestTooLong")(moto, environ, start_response)
        return moto(environ, start_response)

    return fault


def grouped(*names: str) -> list[Result]:
    """Results a0, a1, b0, … of groups a, b, …"""
    return [result(name, group=name[0]) for name in names]


def test_groups_keep_their_order(fifo: World) -> None:
    """To a FIFO queue the results of a group go in the order given, whatever its requests come to."""
    names = [f"{group}{number}" for number in range(6) for group in "ab"]
    fifo.server.fail("SendMessageBatch", refusal(400, "ThrottlingException"), not_taken("SendMessageBatch", "InternalError", "a0"))

    assert [None] * 12 == fifo.sink.put(grouped(*names))
    ids = fifo.ids()
    assert [f"a{number}" for number in range(6)] == [name for name in ids if name[0] == "a"]
    assert [f"b{number}" for number in range(6)] == [name for name in ids if name[0] == "b"]


def test_after_a_failure_a_group_stops(fifo: World) -> None:
    """After one of a group that was not sent no later one is, and each says why; other groups go on."""
    fifo.server.fail("SendMessageBatch", *[not_taken_or_empty_of("a1")] * 99)
    problems = fifo.sink.put(grouped("a0", "a1", "b0", "a2", "b1", "a3"))

    assert ["a0", "b0", "b1"] == sorted(fifo.ids())
    assert [1, 3, 5] == [place for place, problem in enumerate(problems) if problem]
    assert problems[3] is not None
    assert "An earlier result of the same group was not sent" in problems[3].detail
    assert problems[1] is not None
    assert "earlier" not in problems[1].detail


def not_taken_or_empty_of(wanted: str) -> Fault:
    refused = not_taken_or_empty("SendMessageBatch", wanted)

    def fault(moto: Application, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if f'"{wanted}"'.encode() in environ["wsgi.input"].getvalue():
            return refused(moto, environ, start_response)
        return moto(environ, start_response)

    return fault


def test_one_too_large_stops_its_group(fifo: World) -> None:
    """One that the queue does not take holds back those after it in its group, and none before it."""
    results = grouped("a0", "a1", "a2", "b0")
    results[1] = results[1]._replace(body=b"1" * (MIB + 1))
    problems = fifo.sink.put(results)

    assert [type(None), ResultTooLarge, StoreUnavailable, type(None)] == [type(problem) for problem in problems]
    assert ["a0", "b0"] == sorted(fifo.ids())


def test_results_without_a_group_go_together(fifo: World) -> None:
    """Results without a group are one group to the queue, and go ten in a request, since none waits for another."""
    fifo.sink.put(some(20))

    assert 2 == fifo.server.asked("SendMessageBatch")
    assert {"results"} == {message["Attributes"]["MessageGroupId"] for message in fifo.read()}


def test_a_result_again_is_taken_once(fifo: World) -> None:
    """A FIFO queue passes over a result that comes again, and takes the answer that comes after an error."""
    fifo.sink.put([failed("r1")])
    fifo.sink.put([failed("r1")])
    fifo.sink.put([result("r1")])
    fifo.sink.put([result("r1")])

    assert ["422", "200"] == [attributes(message)["status"] for message in fifo.read()]


def test_a_group_that_sqs_does_not_take_is_hashed(fifo: World) -> None:
    """A group's name that is too long, or of other characters, is its SHA-256 to the queue."""
    groups = ["a b", "größe", "x" * 129, "x" * 128]
    assert [None] * 4 == fifo.sink.put([result(f"r{number}", group=group) for number, group in enumerate(groups)])

    expected = {*(hashlib.sha256(group.encode()).hexdigest() for group in groups[:3]), groups[3]}
    assert expected == {message["Attributes"]["MessageGroupId"] for message in fifo.read()}
