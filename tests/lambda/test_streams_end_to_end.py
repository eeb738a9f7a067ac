"""Topics, streams and buses as far as one machine goes: their events to awslambdaric under AWS's emulator, and the results in a queue."""

import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from app.storage.aws_clients import client
from tests import graphs, lambda_samples, lambda_samples_s3
from tests.jobs.aws_faults import meanwhile, refusal
from tests.jobs.aws_server import AwsServer
from tests.jobs.moto_stores import environment, moto_names
from tests.lambda_streams import SOURCES, bodies
from tests.results.worlds import messages
from tests.shells import copy_models, emulator, runtimes
from tests.triggers.stream_events import bus_event, kafka_event, kafka_id, named, sns_event

FLOWERS = [[5.1, 3.5, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4], [6.3, 3.3, 6.0, 2.5]]
# Requests that fail, each in its own way, and how.
POISON = [
    ({"inputs": {"X": [[1.5, 2.5]]}}, "wrong-shape"),
    ({"inputs": {}}, "missing-input"),
    ({"inputs": {"X": [["a", 1.5, 2.5, 3.5]]}}, "wrong-datatype"),
    ({"model": "nobody", "inputs": {"X": [[1.5, 2.5, 3.5, 4.5]]}}, "unknown-model"),
    ({"specversion": "0.3", "inputs": {"Y": [[1.5]]}}, None),
]
MARK = "STREAMS_MARK"
# How often a request to AWS is tried.
ATTEMPTS = 5


class Aws(NamedTuple):
    """The server, queues of results, and the function."""

    server: AwsServer
    results: str
    replies: str
    models: Path
    mark: str
    invoke: Callable[[Any], Any]
    # the same function with a few seconds for an invocation
    short: Callable[[Any], Any]

    def told(self, queue: str = "") -> dict[str, Any]:
        """The results that came to a queue since the last look: status and body by record, where each came once."""
        found = messages(queue or self.results)
        told = {message["MessageAttributes"]["record-id"]["StringValue"]: message for message in found}
        assert len(found) == len(told)
        return {name: (_text(message, "status"), json.loads(message["Body"])) for name, message in told.items()}


def _text(message: Any, name: str) -> str:
    return str(message["MessageAttributes"][name]["StringValue"])


@pytest.fixture(scope="module")
def _aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    folder = copy_models(tmp_path_factory.mktemp("streams") / "models")
    with moto_names() as (server, names), ExitStack() as stack:
        lambda_samples_s3.lay_out()
        queues = [client("sqs").create_queue(QueueName=f"{names.table}-{what}")["QueueUrl"] for what in ("results", "replies")]
        graphs.put(folder, "slow", graphs.slow())
        mark = f"streams-{os.getpid()}"
        settings = {"RESULTS_TO": queues[0], "REPLY_QUEUE_URLS": queues[1], **lambda_samples_s3.SETTINGS, **environment(server.url)}
        invoke = stack.enter_context(emulator(folder, **settings, **{MARK: mark}))
        short = stack.enter_context(emulator(folder, **settings, AWS_LAMBDA_FUNCTION_TIMEOUT="4"))
        yield Aws(server, *queues, folder, mark, invoke, short)


@pytest.fixture
def aws(_aws: Aws) -> Aws:
    """The function with empty queues, and a server that fails nothing."""
    _aws.server.faults.clear()
    for queue in (_aws.results, _aws.replies):
        _aws.told(queue)
    return _aws


def flower(place: int) -> dict[str, Any]:
    return {"inputs": {"X": [FLOWERS[place % 3]]}}


def is_of_flower(place: int, told: Any) -> bool:
    status, body = told
    return bool(status == "200" and body["outputs"]["output_label"] == [place % 3])


@pytest.mark.parametrize("k", range(11))
@pytest.mark.parametrize("name", SOURCES)
def test_k_of_ten_fail(aws: Aws, name: str, k: int) -> None:
    """Of ten requests the k that fail come again and no other, and every one has its result in the queue: its answer or its error."""
    source = SOURCES[name]
    # Poison stands at both ends.
    poison = {(place * 7) % 10: POISON[place % len(POISON)] for place in range(k)}
    requests = [poison[place][0] if place in poison else flower(place) for place in range(10)]
    failed = source.failed([aws.invoke(event) for event in source.events(requests)])
    told = aws.told()

    assert {source.record_id(place) for place in poison} == failed
    assert {source.record_id(place) for place in range(10)} == told.keys()
    for place in range(10):
        status, body = told[source.record_id(place)]
        if place in poison:
            assert "4" == status[0]
            assert poison[place][1] in {None, body["code"]}
        else:
            assert is_of_flower(place, (status, body))


# In each of these records there is no request.
def _without_request(name: str, event: dict[str, Any]) -> None:
    if name == "kinesis":
        event["Records"][1]["kinesis"]["data"] = "84mawg=="
    elif name == "dynamodb":
        event["Records"][1]["dynamodb"]["NewImage"]["request"]["M"]["inputs"] = {"N": "98765432109876543210"}
    else:
        event["records"]["a-topic-1"][0]["value"] = "{}"


@pytest.mark.parametrize("name", ["kinesis", "dynamodb", "msk", "kafka"])
def test_a_record_without_a_request(aws: Aws, name: str) -> None:
    """A record in which no request can be found comes again, and its error is where results go; its neighbours are answered."""
    source = SOURCES[name]
    (event,) = source.events([flower(place) for place in range(3)])
    _without_request(name, event)
    failed = source.failed([aws.invoke(event)])
    told = aws.told()
    status, error = told.pop(source.record_id(1))

    assert {source.record_id(1)} == failed
    assert status in {"400", "422"}
    assert (source.record_id(1), False) == (error["request_id"], error["retryable"])
    assert all(is_of_flower(place, told[source.record_id(place)]) for place in (0, 2))


def test_a_shard_goes_on_behind_what_failed(aws: Aws) -> None:
    """Lambda gives a stream's records again from the first that failed: each result is told again under its id, and is the same."""
    source, (event,) = SOURCES["kinesis"], SOURCES["kinesis"].events([flower(0), POISON[0][0], flower(2), POISON[1][0], flower(4)])
    left, heard, seen = event["Records"], Counter[str](), {}
    for _ in range(3):
        answer = aws.invoke({"Records": left})
        for record_id, result in aws.told().items():
            assert result == seen.setdefault(record_id, result)
            heard[record_id] += 1
        # "Checkpointing": the lowest sequence number that is named is where the next delivery begins.
        first = min(int(number) for number in named(answer))
        left = [record for record in left if int(record["kinesis"]["sequenceNumber"]) >= first]

    assert [1, 3, 3, 3, 3] == [heard[source.record_id(place)] for place in range(5)]
    assert all(is_of_flower(place, seen[source.record_id(place)]) for place in (0, 2, 4))


@pytest.mark.parametrize("name", SOURCES)
def test_results_that_are_not_kept(aws: Aws, name: str) -> None:
    """Where the queue takes no results no record is done, though all were answered; given again, each is answered and told."""
    source = SOURCES[name]
    events = source.events([flower(place) for place in range(2)])
    aws.server.fail("SendMessageBatch", *[refusal(400, "ThrottlingException")] * ATTEMPTS * len(events))
    everything = {source.record_id(place) for place in range(2)}

    assert everything == source.failed([aws.invoke(event) for event in events])
    assert not aws.server.faults
    assert {} == aws.told()
    assert set() == source.failed([aws.invoke(event) for event in events])
    assert everything == aws.told().keys()


@pytest.mark.parametrize("name", SOURCES)
def test_a_crash_between_result_and_acknowledgement(aws: Aws, name: str) -> None:
    """A function that is killed when its results are kept, and before it says so, is asked again: each result comes again under its id."""
    source = SOURCES[name]
    event = source.events([flower(0)])[0]
    # The emulator starts the runtime at the first invocation.
    aws.invoke(event)
    aws.told()
    (runtime,) = runtimes(MARK, aws.mark)
    aws.server.fail("SendMessageBatch", meanwhile(lambda: os.kill(runtime, signal.SIGKILL)))
    answer = aws.invoke(event)
    before = aws.told()
    # Whatever the emulator says of a runtime that died is no answer, so that the source gives the event again.
    assert not isinstance(answer, dict) or "errorType" in answer

    assert set() == source.failed([aws.invoke(event)])
    assert {source.record_id(0)} == before.keys() == aws.told().keys()


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in {"sns", "eventbridge"}])
def test_a_deadline_in_the_middle(aws: Aws, name: str) -> None:
    """What has its result when the time is up is done; the rest is named and comes again, and none is half done."""
    source = SOURCES[name]
    (event,) = source.events([flower(0), {"model": "slow", "inputs": 10**9}, flower(2)])
    answer = aws.short(event)
    told = aws.told()

    assert {source.record_id(1)} == source.failed([answer])
    assert {source.record_id(0), source.record_id(2)} == told.keys()
    assert all(is_of_flower(place, told[source.record_id(place)]) for place in (0, 2))


def test_a_sender_says_where_to_answer(aws: Aws) -> None:
    """A record may name the queue of its answer, or of its error, if that is one of those that are allowed."""
    event = kafka_event(bodies([flower(0), POISON[0][0], flower(2)]))
    first, third = event["records"]["a-topic-0"]
    (second,) = event["records"]["a-topic-1"]
    for record, place in ((first, aws.replies), (second, aws.replies), (third, "https://sqs.eu-west-1.amazonaws.com/123456789012/others")):
        record["headers"] = [{"reply-to": list(place.encode())}]
    of_bus = bus_event({"specversion": "1.0", "id": "c1", "source": "/a", "type": "b", "replyto": aws.replies, "data_base64": "{}"})

    assert {kafka_id(1, 101), kafka_id(0, 102)} == SOURCES["msk"].failed([aws.invoke(event)])
    assert "RecordsFailed" == aws.invoke(of_bus)["errorType"]
    assert {kafka_id(0, 100): "200", kafka_id(1, 101): "422", "e1": "400"} == {
        name: told[0] for name, told in aws.told(aws.replies).items()
    }
    assert {kafka_id(0, 102): "422"} == {name: told[0] for name, told in aws.told().items()}


def test_a_bucket_tells_a_topic(aws: Aws) -> None:
    """What S3 tells a topic is predicted as what it tells a queue: the object's predictions are there once, however often it is told."""
    event = sns_event(json.dumps(lambda_samples.event("s3-put")))
    found = []
    for _ in range(2):
        assert {"answered": 1} == aws.invoke(event)
        listed = client("s3").list_objects_v2(Bucket=lambda_samples_s3.BUCKET, Prefix="predictions/")["Contents"]
        found.append({one["Key"]: one["LastModified"] for one in listed})

    assert {"predictions.csv", "manifest.json"} == {key.rpartition("/")[2] for key in found[0]}
    assert found[0] == found[1]
    assert {} == aws.told()


def test_a_mapping_that_does_not_ask_which_failed(aws: Aws) -> None:
    """With KAFKA_FAILURES=raise one record that failed fails the delivery, so that Lambda gives all of it again."""
    settings = {"KAFKA_FAILURES": "raise", "RESULTS_TO": aws.results, **environment(aws.server.url)}
    with emulator(aws.models, **settings) as invoke:
        answer = invoke(kafka_event(bodies([flower(0), POISON[0][0], flower(2)])))

        assert "RecordsFailed" == answer["errorType"]
        assert "1 of 3 records failed, the first as wrong-shape" in answer["errorMessage"]
        assert {"answered": 1} == invoke(kafka_event(bodies([flower(0)])))
