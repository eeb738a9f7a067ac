"""Deliveries of SQS whose messages are requests: which come again, and what each message is taken for."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.triggers.records import Times
from app.triggers.sqs import SqsTrigger, is_delivery
from tests.shells import Context
from tests.triggers.engine import Engine, models_in
from tests.triggers.stream_events import sam_event

FLOWERS = [[5.1, 3.5, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4], [6.3, 3.3, 6.0, 2.5]]
POISON = '{"inputs":[["x",3.5,1.4,0.2]]}'
# A message of S3's: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
CREATED = json.dumps({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {}}]})


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models_in(tmp_path_factory.mktemp("sqs") / "models")


class World:
    """A trigger before a real engine; what it was told of jobs and of S3."""

    def __init__(self, models: Path, *, told: bool = True) -> None:
        self.engine = Engine(models, told=told)
        self.jobs: list[str] = []
        self.files: list[str] = []
        self.file_is_done: bool | None = True
        deliveries = self.engine.deliveries
        work = {"job": self._work, "delivery": self._work}
        self.trigger = SqsTrigger(work, lambda deadline: None, deliveries.answer, deliveries.answer_alike, self._answer_files)

    def failed(self, *records: dict[str, Any], ms: int = 60_000) -> list[str]:
        """The messages of a delivery that must come again."""
        answer = self.trigger({"Records": list(records)}, Context(ms))
        assert ["batchItemFailures"] == list(answer)
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def _work(self, ids: Sequence[str], deadline: float) -> Sequence[str]:
        self.jobs += ids
        return []

    def _answer_files(self, body: str, times: Times) -> bool | None:
        self.files.append(body)
        return self.file_is_done


@pytest.fixture
def world(models: Path) -> World:
    return World(models)


def message(number: int, body: str | None = None, *, group: str = "", fair: str = "", **attributes: str) -> dict[str, Any]:
    """Message n is called m<n>, and asks for flower n of three: with-sqs.html, "Example standard queue message event"."""
    system = {"ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183", "SenderId": "AIDAIENQZJOLO23YVJ4VO"}
    system |= {"MessageGroupId": group, "SequenceNumber": f"{number:020}"} if group else {"MessageGroupId": fair} if fair else {}
    return {
        "messageId": f"m{number}",
        "receiptHandle": "handle",
        "body": json.dumps({"inputs": [FLOWERS[number % 3]]}) if body is None else body,
        "attributes": system,
        "messageAttributes": {name.replace("_", "-"): {"stringValue": value, "dataType": "String"} for name, value in attributes.items()},
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-2:123456789012:my-queue",
        "awsRegion": "us-east-2",
    }


@pytest.mark.parametrize("told", [True, False], ids=["told", "counted"])
@pytest.mark.parametrize("bad", range(11))
def test_k_of_ten_fail(models: Path, bad: int, told: bool) -> None:
    """The answer names exactly the messages that failed, none and all of them too (F-38)."""
    world = World(models, told=told)
    wrong = {(3 * k) % 10 for k in range(bad)}

    failed = world.failed(*(message(number, POISON if number in wrong else None) for number in range(10)))
    assert {f"m{number}" for number in wrong} == set(failed)
    assert len(wrong) == len(failed)


def test_each_kind_of_message(world: World) -> None:
    """Requests, jobs, webhooks and events of S3 may come in one delivery; each goes its own way."""
    bodies = ['{"v":1,"job":"a"}', '{"v":1,"delivery":"b"}', CREATED]
    failed = world.failed(message(0), *(message(1 + n, body) for n, body in enumerate(bodies)), message(9, POISON))

    assert ["m9"] == failed
    assert (["a", "b"], [CREATED]) == (world.jobs, world.files)
    assert {"m0", "m9"} == set(world.engine.bodies())


def test_a_file_that_failed_comes_again(world: World) -> None:
    """A message about S3 comes again where its file was not done, and one that only looks like it is a request."""
    world.file_is_done = False
    assert ["m0"] == world.failed(message(0, CREATED))

    world.file_is_done = None
    assert [] == world.failed(message(1, '{"inputs":[[5.1,3.5,1.4,0.2]],"id":"aws:s3"}'))
    assert {"m1"} == set(world.engine.bodies())


def test_a_forged_request_context_is_no_http(world: World) -> None:
    """A message whose body is an event of API Gateway, with claims and all, is a request that is wrong, and nothing more."""
    forged = {"version": "2.0", "requestContext": {"authorizer": {"jwt": {"claims": {"sub": "admin"}}}}, "rawPath": "/jobs"}

    assert ["m0"] == world.failed(message(0, json.dumps(forged)))
    assert "outputs" not in world.engine.bodies()["m0"]


def test_order_in_a_fifo_group(world: World) -> None:
    """In a group nothing after a failed message is answered, other groups go on, and results come in the order of the messages."""
    asked = [message(0, group="a"), message(1, POISON, group="a"), message(2, group="b"), message(3, group="a"), message(4, group="b")]

    assert ["m1", "m3"] == world.failed(*asked)
    assert ["m0", "m1", "m2", "m4"] == [result.id for result in world.engine.place.results]
    assert ["a", "a", "b", "b"] == [result.group for result in world.engine.place.results]


def test_order_with_what_only_looks_like_s3(world: World) -> None:
    """A request that was looked at as an event of S3 first keeps its place in its group."""
    world.file_is_done = None
    looks_like_it = message(0, json.dumps({"inputs": [FLOWERS[0]], "id": "aws:s3"}), group="a")

    assert [] == world.failed(looks_like_it, message(1, group="a"))
    assert ["m0", "m1"] == [result.id for result in world.engine.place.results]


def test_a_fair_queues_group_is_no_order(world: World) -> None:
    """The group of a standard queue names a tenant: its messages do not wait for each other."""
    assert ["m0"] == world.failed(message(0, POISON, fair="tenant"), message(1, fair="tenant"))


def test_attributes_say_what_is_asked(world: World) -> None:
    """A message's attributes choose the dialect, whatever the case of their names; a binary one is no name of a model."""
    csv = message(0, "5.1,3.5,1.4,0.2\n", **{"Content-Type": "text/csv", "Model": "iris"})
    binary = message(1) | {"messageAttributes": {"model": {"binaryValue": "aXJpcw==", "dataType": "Binary"}}}

    assert ["m1"] == world.failed(csv, binary)
    assert "unknown-model" == world.engine.bodies()["m1"]["code"]


def test_the_deadline_comes_in_the_middle(world: World) -> None:
    """What has its result is done; the rest is named, and none is half done (F-40)."""
    slow = '{"model":"slow","inputs":1000000000}'

    assert ["m5"] == world.failed(*(message(number) for number in range(5)), message(5, slow), ms=1500)
    assert {f"m{number}" for number in range(5)} == set(world.engine.bodies())


def test_a_message_that_comes_twice(world: World) -> None:
    """A message that was delivered again has the same result under the same id."""
    world.failed(message(0))
    world.failed(message(0))
    first, second = world.engine.place.results

    assert first == second


@pytest.mark.parametrize("extra", [{"s3": {}}, {"eventSource": "aws:sns"}, {"body": None}, {"messageId": None}])
def test_shapes_of_two_sources(extra: dict[str, Any]) -> None:
    """A record with another source's members is nobody's."""
    assert is_delivery({"Records": [message(0)]})
    assert not is_delivery({"Records": [message(0), message(1) | extra]})


def test_sample_of_aws(world: World) -> None:
    """The sample that AWS's own tool makes is read; its message is no request, and is named."""
    event = sam_event("sqs", "receive-message")

    assert is_delivery(event)
    assert [record["messageId"] for record in event["Records"]] == world.failed(*event["Records"])
