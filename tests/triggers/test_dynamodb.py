"""Changes of a table: which items hold a request."""

import json
from typing import Any

import pytest

from app.triggers.dynamodb import DynamoDbTrigger, is_stream
from tests.shells import Context
from tests.triggers.stream_events import Engine, dynamodb_record, named, sam_event

ROW = {"L": [{"L": [{"N": "5.1"}, {"N": "3.5"}, {"N": "1.4"}, {"N": "0.2"}]}]}
REQUEST = {"M": {"inputs": {"M": {"X": ROW}}}}
ITEM = {"flower": {"S": "flower-1"}, "request": REQUEST}
INPUTS = {"X": [[5.1, 3.5, 1.4, 0.2]]}


def worked_off(*records: dict[str, Any]) -> tuple[Engine, list[str]]:
    """One delivery: what the engine was asked, and the records that come again."""
    engine, event = Engine(), {"Records": list(records)}
    assert is_stream(event)
    return engine, named(DynamoDbTrigger(engine)(event, Context()))


def request_of(image: dict[str, Any]) -> Any:
    """The request that the engine gets of an item, None where it gets none."""
    engine, again = worked_off(dynamodb_record(0, image))
    assert [] == again
    return json.loads(engine.records[0].body) if engine.records else None


def test_a_request_in_an_item() -> None:
    """The map ``request`` of an item is the request, and the rest of the item is the table's own."""
    assert {"inputs": INPUTS} == request_of(ITEM)
    assert {"s3": "s3://bucket/key"} == request_of({"request": {"M": {"s3": {"S": "s3://bucket/key"}}}})


def test_a_request_as_text() -> None:
    """An attribute ``request`` that is JSON is the request too; a change that leaves it as it was is passed over."""
    image = {"request": {"S": json.dumps({"inputs": INPUTS})}}
    engine, again = worked_off(dynamodb_record(0, image), dynamodb_record(1, image, image, "MODIFY"))

    assert [] == again
    assert [{"inputs": INPUTS}] == [json.loads(record.body) for record in engine.records]


def test_a_request_by_the_items_own_attributes() -> None:
    """An item with ``inputs`` or ``instances`` is a request by these attributes, and those that mean something else stay out."""
    image = {
        "inputs": {"M": {"X": ROW}},
        "outputs": {"SS": ["output_label"]},
        "model": {"S": "iris"},
        "id": {"S": "a"},
        "taken": {"N": "1"},
    }

    assert {"inputs": INPUTS, "outputs": ["output_label"], "model": "iris", "id": "a"} == request_of(image)
    assert {"instances": INPUTS["X"]} == request_of({"instances": ROW, "id": {"N": "7"}, "version": {"N": "3"}, "model": {"NULL": True}})


@pytest.mark.parametrize(
    "image",
    [
        {},
        {"flower": {"S": "flower-1"}},
        {"request": {"S": "GET /"}, "id": {"N": "1"}},
        {"inputs": {"N": "5"}},
        {"inputs": {"S": "five"}, "model": {"S": "iris"}},
        {"instances": {"M": {}}},
        {"model": {"S": "iris"}, "outputs": {"L": []}},
    ],
)
def test_items_without_a_request_are_passed_over(image: dict[str, Any]) -> None:
    """An item that holds no request counts as done, and the engine is not asked."""
    assert request_of(image) is None


def test_deletions_are_passed_over() -> None:
    """An item that a caller deleted, or whose time was up, counts as done."""
    deleted, expired = dynamodb_record(0, None, ITEM, "REMOVE"), dynamodb_record(1, None, ITEM, "REMOVE")
    expired["userIdentity"] = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    engine, again = worked_off(deleted, expired, dynamodb_record(2, ITEM))

    assert [] == again
    assert ["e2"] == [record.id for record in engine.records]


def test_a_change_beside_the_request_is_passed_over() -> None:
    """A prediction that is written into its item does not ask for another."""
    with_answer = ITEM | {"species": {"S": "setosa"}}
    engine, again = worked_off(
        dynamodb_record(0, with_answer, ITEM, "MODIFY"),
        dynamodb_record(1, with_answer, {"flower": {"S": "flower-1"}}, "MODIFY"),
        dynamodb_record(2, {"inputs": {"M": {}}}, ITEM, "MODIFY"),
        dynamodb_record(3, ITEM, None, "MODIFY"),
    )

    assert [] == again
    assert ["e1", "e2", "e3"] == [record.id for record in engine.records]


def test_a_stream_without_images_fails() -> None:
    """A stream of keys alone fails its records, in words that say what to set, rather than losing them."""
    engine, again = worked_off(dynamodb_record(0, None), dynamodb_record(1, ITEM))

    assert ["4421584500000000017450439000"] == again
    assert "NEW_AND_OLD_IMAGES" in engine.refused["e0"].detail
    assert ["e1"] == [record.id for record in engine.records]


def test_poison_among_items() -> None:
    """An item whose request is no JSON fails alone; the reason has the place and nothing of the item."""
    poison = {"request": {"M": {"inputs": {"M": {"a/b~": {"L": [{"N": "1"}, {"N": "99999999999999999999"}]}}}}}}
    surrogate = {"request": {"M": {"id": {"S": "\ud800"}}}}
    engine, again = worked_off(dynamodb_record(0, poison), dynamodb_record(1, ITEM), dynamodb_record(2, surrogate))

    assert ["4421584500000000017450439000", "4421584500000000017450439002"] == again
    assert ["e1"] == [record.id for record in engine.records]
    assert {"e0": "out-of-range", "e2": "unreadable-request"} == {record_id: one.code for record_id, one in engine.refused.items()}
    assert "/request/inputs/a~1b~0/1" == engine.refused["e0"].pointer
    assert "99999" not in str(engine.refused)


@pytest.mark.parametrize("changed", [{"eventName": "UPSERT"}, {"eventName": None}, {"eventID": ""}, {"dynamodb": "x"}])
def test_what_is_no_record(changed: dict[str, Any]) -> None:
    """A record of another shape is not taken."""
    assert not is_stream({"Records": [dynamodb_record(0, ITEM) | changed]})


def test_sample_of_aws() -> None:
    """The sample that AWS's own tool makes is read; its items hold no request."""
    event = sam_event("dynamodb", "update")
    engine, again = worked_off(*event["Records"])

    assert [] == again
    assert [] == engine.records
    assert {} == engine.refused
