"""What every place does with results: kept or told, bounded in time, and none at its neighbours' cost."""

import base64
import json
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from app.errors import ResultTooLarge, StoreUnavailable
from app.results import Result
from app.storage import aws_clients
from app.storage.aws_clients import CONNECT_S, within
from tests.jobs import aws_faults
from tests.jobs.aws_faults import edited, refusal, s3_refusal
from tests.jobs.aws_server import Application, Environ, Fault, StartResponse
from tests.results.worlds import World, entries_of, failed, result, some

MIB = 1024 * 1024


def transient(world: World) -> list[Fault]:
    """An error of each kind that passes."""
    slow = s3_refusal(503, "SlowDown") if world.operation == "PUT" else refusal(400, "ThrottlingException")
    return [slow, aws_faults.dropped, aws_faults.answer(500, ""), aws_faults.answer(503, "")]


def denied(world: World) -> Fault:
    """A right that is missing."""
    if world.operation == "PUT":
        return s3_refusal(403, "AccessDenied", "arn:aws:iam::123456789012:role/secret-name")
    return refusal(400, "AccessDeniedException", "arn:aws:iam::123456789012:role/secret-name")


def test_results_are_kept(world: World) -> None:
    """Each of many results is kept once, in as few requests as the place takes."""
    results = some(25)

    assert [None] * 25 == world.sink.put(results)
    assert -(-25 // world.batch) == world.server.asked(world.operation)
    assert sorted(found.id for found in results) == sorted(world.ids())


def test_no_results(world: World) -> None:
    """Nothing is asked of AWS for nothing."""
    assert [] == world.sink.put([])
    assert [] == world.server.requests


def test_what_passes_is_tried_again(world: World) -> None:
    """Throttling, failures of the service and a connection that ended cost attempts and no result."""
    world.server.fail(world.operation, *transient(world))

    assert [None] == world.sink.put([result()])
    assert ["r1"] == world.ids()


def test_an_answer_that_was_lost_is_asked_for_again(world: World) -> None:
    """Where the answer did not come the result is sent again, under the same id."""
    world.server.fail(world.operation, aws_faults.lost)

    assert [None] == world.sink.put([result()])
    assert 2 == world.server.asked(world.operation)
    assert {"r1"} == set(world.ids())


def test_a_lost_answer_is_no_success(world: World) -> None:
    """Where no answer ever comes the result is not known to be kept, although it may be."""
    world.server.fail(world.operation, *[aws_faults.lost] * 5)
    (problem,) = world.sink.put([result()])

    assert isinstance(problem, StoreUnavailable)
    assert "whether it was done is not known" in problem.detail
    assert 5 == world.server.asked(world.operation)


def test_attempts_are_bounded(world: World) -> None:
    """A place that does not stop to throttle is left after five attempts."""
    world.server.fail(world.operation, *[transient(world)[0]] * 99)
    (problem,) = world.sink.put([result()])

    assert isinstance(problem, StoreUnavailable)
    assert 5 == world.server.asked(world.operation)


def test_a_missing_right_is_told_at_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """What every request would be refused for is asked for a few times at most, and nobody hears the names in AWS's words."""
    many = 50 * world.batch
    world.server.fail(world.operation, *[denied(world)] * many)
    problems = world.sink.put(some(many, body=b"1"))

    assert {StoreUnavailable} == {type(problem) for problem in problems}
    assert world.server.asked(world.operation) <= 8
    assert [] == world.ids()
    for text in ("arn:", "secret-name", "123456789012"):
        assert text not in caplog.text
        assert not any(problem and text in problem.detail for problem in problems)


def test_a_deadline_ends_it(world: World) -> None:
    """Nothing is begun that could not end in the time that the caller has."""
    with within(time.monotonic() + CONNECT_S):
        problems = world.sink.put(some(25))

    assert {StoreUnavailable} == {type(problem) for problem in problems}
    assert [] == world.server.requests


def test_a_silent_service_ends_with_the_deadline(world: World) -> None:
    """A place that says nothing takes no more than the caller's time, whichever thread waits for it."""
    world.server.fail(world.operation, *[aws_faults.silent] * 99)
    deadline = time.monotonic() + CONNECT_S + 0.5
    with within(deadline):
        problems = world.sink.put(some(2 * world.batch, body=b"1"))

    assert {StoreUnavailable} == {type(problem) for problem in problems}
    assert 2 >= world.server.asked(world.operation)


def test_one_too_large_hurts_nobody(batching: World) -> None:
    """A result that its place does not take is told its size and the limit, and its neighbours are kept."""
    results = some(5)
    results[2] = result("r2", b"[" + b"1," * (MIB // 2) + b"1]")
    problems = batching.sink.put(results)

    assert [False, False, True, False, False] == [isinstance(problem, ResultTooLarge) for problem in problems]
    assert problems[2] is not None
    assert "takes at most 10" in problems[2].detail
    assert str(MIB)[:3] in problems[2].detail
    assert ["r0", "r1", "r3", "r4"] == sorted(batching.ids())
    assert [None] * 4 == [problem for problem in problems if not problem]


def test_large_ones_go_apart(batching: World) -> None:
    """Results that do not fit into one request together are sent in several."""
    body = b'"' + b"a" * 700_000 + b'"'

    assert [None] * 5 == batching.sink.put(some(5, body=body))
    assert batching.server.asked(batching.operation) >= 2
    assert [f"r{number}" for number in range(5)] == sorted(batching.ids())


def test_one_that_cannot_be_written_hurts_nobody(world: World) -> None:
    """A text that no encoding takes is one result's problem."""
    results = [result("r0"), result("r1", correlation_id="\ud800"), result("r2", model="\ud800"), result("r3")]
    problems = world.sink.put(results)

    assert (None, None) == (problems[0], problems[3])
    assert {"r0", "r3"} <= set(world.ids())


def test_errors_are_results(world: World) -> None:
    """What went wrong with a record is kept as well, among the answers of others."""
    assert [None, None] == world.sink.put([failed("r0"), result("r1")])
    assert ["r0", "r1"] == sorted(world.ids())


REFUSALS: dict[str, Callable[[str, int], dict[str, Any]]] = {
    "SendMessageBatch": lambda code, number: {"Id": str(number), "Code": code, "SenderFault": code.startswith("Invalid")},
    "PutEvents": lambda code, _: {"ErrorCode": code, "ErrorMessage": "arn:aws:secret-name"},
    "PutRecordBatch": lambda code, _: {"ErrorCode": code, "ErrorMessage": "arn:aws:secret-name"},
}


def not_taken(operation: str, code: str, *wanted: str) -> Fault:
    """The service takes everything but the results of some records, which it refuses with a code."""
    kept: list[bool] = []

    def without(request: Any) -> Any:
        entries = entries_of(request)
        texts = [unwrapped(entry) for entry in entries]
        kept[:] = [not any(f'"{one}"' in text for one in wanted) for text in texts]
        name = "Entries" if "Entries" in request else "Records"
        return json.loads(json.dumps({**request, name: [entry for entry, keep in zip(entries, kept, strict=True) if keep]}))

    def answered(answer: Any) -> Any:
        refused = REFUSALS[operation]
        if operation == "SendMessageBatch":
            return {**answer, "Failed": [refused(code, number) for number, keep in enumerate(kept) if not keep]}
        name = "Entries" if operation == "PutEvents" else "RequestResponses"
        taken = iter(answer[name])
        return {**answer, name: [next(taken) if keep else refused(code, number) for number, keep in enumerate(kept)]}

    return edited(without, answered)


def unwrapped(entry: Any) -> str:
    """What of an entry names its record, as text."""
    if "Data" in entry:
        return base64.b64decode(entry["Data"]).decode()
    return entry["Detail"] if "Detail" in entry else json.dumps(entry["MessageAttributes"])


def test_what_failed_of_a_batch_is_sent_again(batching: World) -> None:
    """Of a batch the entries that the service could not take are sent again, and no other."""
    fault = not_taken(batching.operation, "InternalFailure", "r1", "r3")
    batching.server.fail(batching.operation, fault, not_taken(batching.operation, "InternalFailure", "r3"))

    assert [None] * 5 == batching.sink.put(some(5))
    assert 3 == batching.server.asked(batching.operation)
    assert ["r0", "r1", "r2", "r3", "r4"] == sorted(batching.ids())


def test_what_fails_of_a_batch_is_left_at_last(batching: World) -> None:
    """An entry that the service never takes has its problem after five attempts, and the others are kept."""
    batching.server.fail(batching.operation, *[not_taken_or_empty(batching.operation, "r1")] * 9)
    problems = batching.sink.put(some(3))

    assert [False, True, False] == [isinstance(problem, StoreUnavailable) for problem in problems]
    assert 5 == batching.server.asked(batching.operation)
    assert ["r0", "r2"] == sorted(batching.ids())


def not_taken_or_empty(operation: str, wanted: str) -> Fault:
    """As :func:`not_taken`, also where nothing else is in the batch, which moto would refuse."""
    partly = not_taken(operation, "InternalFailure", wanted)

    def fault(moto: Application, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = json.loads(environ["wsgi.input"].getvalue())
        if len(entries_of(request)) > 1:
            return partly(moto, environ, start_response)
        refused = REFUSALS[operation]("InternalFailure", 0)
        name = {"SendMessageBatch": "Failed", "PutEvents": "Entries", "PutRecordBatch": "RequestResponses"}[operation]
        return aws_faults.answer(200, json.dumps({name: [refused], "FailedEntryCount": 1, "FailedPutCount": 1}))(
            moto, environ, start_response
        )

    return fault


@pytest.mark.parametrize("name", ["queue", "bus"])
def test_what_is_refused_is_not_sent_again(name: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> None:
    """An entry with a fault of its own is refused once; the code is told, and none of AWS's words."""
    world: World = request.getfixturevalue(name)
    world.server.fail(world.operation, not_taken(world.operation, "InvalidArgument", "r1"))
    problems = world.sink.put(some(3))

    assert [False, True, False] == [isinstance(problem, StoreUnavailable) for problem in problems]
    assert problems[1] is not None
    assert "(InvalidArgument)" in problems[1].detail
    assert "secret-name" not in problems[1].detail + caplog.text
    assert 1 == world.server.asked(world.operation)
    assert ["r0", "r2"] == sorted(world.ids())


EMPTY = [
    "{}",
    '{"Successful": [], "Failed": []}',
    '{"FailedEntryCount": 0, "Entries": [{}, {}], "FailedPutCount": 0, "RequestResponses": [{}, {}]}',
]


@pytest.mark.parametrize("text", EMPTY)
def test_an_answer_that_names_nobody_is_no_success(batching: World, text: str) -> None:
    """An answer that does not say of an entry that it was taken leaves that unknown."""
    batching.server.fail(batching.operation, *[aws_faults.answer(200, text)] * 9)
    problems = batching.sink.put(some(2))

    assert [True, True] == [isinstance(problem, StoreUnavailable) for problem in problems]
    assert 5 == batching.server.asked(batching.operation)


def test_a_batch_refused_for_one_is_sent_in_parts(batching: World) -> None:
    """Where a service refuses a whole batch for one entry, that one alone is refused in the end."""

    def refuse(moto: Application, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        poison = any('"r5"' in unwrapped(entry) for entry in entries_of(json.loads(environ["wsgi.input"].getvalue())))
        passed = refusal(400, "ValidationException") if poison else lambda application, *asked: application(*asked)
        return passed(moto, environ, start_response)

    batching.server.fail(batching.operation, *[refuse] * 99)
    problems = batching.sink.put(some(10))

    assert [5] == [place for place, problem in enumerate(problems) if problem]
    assert [f"r{number}" for number in range(10) if number != 5] == sorted(batching.ids())


def test_a_put_again_has_the_same_ids(world: World) -> None:
    """A result that is put again, as after a crash, is known by the same id."""
    results: list[Result] = some(3)
    world.sink.put(results)
    world.sink.put(results)

    assert {"r0", "r1", "r2"} == set(world.ids())


def test_the_services_are_known() -> None:
    """The services of the places have clients, time-outs and names of their own."""
    assert {"events", "firehose"} <= set(aws_clients.READ_S)
    assert "EventBridge did not answer PutEvents" in aws_clients.unavailable("events", "put_events").detail
    assert "Firehose did not answer PutRecordBatch" in aws_clients.unavailable("firehose", "put_record_batch").detail
