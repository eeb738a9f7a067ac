"""Records and messages on AWS when answers are lost, in parts, or late."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.errors import StoreUnavailable
from app.jobs.aws_backend import AwsBackend
from app.jobs.aws_items import SHARDS
from app.jobs.aws_queues import Urls
from app.jobs.backend import Change, Record
from app.jobs.delivery import Delivery
from app.jobs.job import FINISHED, Job, cancel, claim
from app.jobs.queue_message import message_of, named_in
from app.storage import aws_clients
from app.storage.aws_clients import CONNECT_S, call, within
from tests.jobs import aws_faults
from tests.jobs.aws_faults import done_and_refused, edited, meanwhile, refusal
from tests.jobs.aws_server import Fault
from tests.jobs.examples import EVERY_KIND, NOW, POLICY, delivery, queued, reservation
from tests.jobs.moto_stores import Aws

WRITES: dict[str, Callable[[Job, Job], tuple[str, list[Change]]]] = {
    "create": lambda _, __: ("PutItem", [Change(None, queued(id="new"))]),
    "replace": lambda one, _: ("PutItem", [Change(one, one._replace(due=NOW + 1))]),
    "delete": lambda one, _: ("DeleteItem", [Change(one, None)]),
    "several": lambda one, _: ("TransactWriteItems", [Change(one, one._replace(due=NOW + 1)), Change(None, delivery(id="new"))]),
    "delete and create": lambda one, _: ("TransactWriteItems", [Change(one, None), Change(None, delivery(id="new"))]),
    "delete several": lambda one, other: ("TransactWriteItems", [Change(one, None), Change(other, None)]),
}
LOST = {
    "lost": aws_faults.lost,
    "half": aws_faults.truncated,
    "500": done_and_refused(500, "InternalServerError"),
    "not done": aws_faults.dropped,
}


def kept(aws: Aws, changes: Sequence[Change]) -> list[Record | None]:
    found = [change.new or change.old for change in changes]
    return [record and aws.backend.read(type(record), record.id) for record in found]


def wanted(changes: Sequence[Change]) -> list[Record | None]:
    return [new and new._replace(revision=(old or new).revision + 1) for old, new in changes]


def pair(aws: Aws) -> tuple[Job, Job]:
    return aws.keep(queued()), aws.keep(queued())


@pytest.mark.parametrize("write", list(WRITES.values()), ids=list(WRITES))
@pytest.mark.parametrize("fault", list(LOST.values()), ids=list(LOST))
def test_a_write_whose_answer_was_lost_is_made(aws: Aws, fault: Fault, write) -> None:
    """A write that was done and not answered counts as made, once (F-43)."""
    operation, changes = write(*pair(aws))
    aws.server.fail(operation, fault)

    assert aws.backend.write(changes)
    assert 2 == aws.server.asked(operation)
    assert wanted(changes) == kept(aws, changes)


@pytest.mark.parametrize("write", list(WRITES.values()), ids=list(WRITES))
@pytest.mark.parametrize("fault", list(LOST.values()), ids=list(LOST))
def test_a_write_that_raised_can_be_made_again(aws: Aws, fault: Fault, write) -> None:
    """A write of which nothing became known is answered True when its caller asks again, whether it was made then or is now."""
    operation, changes = write(*pair(aws))
    aws.server.fail(operation, fault)
    short = within(time.monotonic() + CONNECT_S + 0.25)
    aws.server.fail(operation, *[aws_faults.dropped] * 9)
    with pytest.raises(StoreUnavailable), short:
        aws.backend.write(changes)
    aws.server.faults.clear()

    assert aws.backend.write(changes)
    assert wanted(changes) == kept(aws, changes)
    assert not aws.backend.write(changes), "and not for ever"


@pytest.mark.parametrize("write", list(WRITES.values()), ids=list(WRITES))
def test_anothers_very_same_write_is_anothers(aws: Aws, write) -> None:
    """Of two workers that ask for one change to the last bit one loses, also where an answer was lost."""
    operation, changes = write(*pair(aws))
    aws.server.fail(operation, *[aws_faults.lost] * 9)
    with pytest.raises(StoreUnavailable):
        aws.backend.write(changes)
    aws.server.faults.clear()
    other = AwsBackend(aws.names.table, jobs=aws.names.jobs, webhooks=aws.names.webhooks)

    with ThreadPoolExecutor(1) as pool:
        assert not pool.submit(aws.backend.write, changes).result(), "another thread"
    assert not other.write(changes), "another process"


def test_a_lost_answer_and_a_later_change(aws: Aws) -> None:
    """A write that another has changed since is not taken for ours: the other is what counts."""
    job, _ = pair(aws)
    running = claim(job, NOW, 60)
    other = AwsBackend(aws.names.table, jobs=aws.names.jobs, webhooks=aws.names.webhooks)
    cancelled: list[bool] = []

    def cancel_it() -> None:
        now = other.read(Job, job.id)
        cancelled.append(bool(now) and other.write([Change(now, cancel(now, NOW, POLICY))]))

    aws.server.fail("PutItem", done_and_refused(500, "InternalServerError", cancel_it))
    assert not aws.backend.write([Change(job, running)])
    assert [True] == cancelled
    assert "cancelled" == aws.backend.read(Job, job.id).status


@pytest.mark.parametrize("several", [False, True])
def test_a_refusal_is_not_a_lost_answer(aws: Aws, several: bool) -> None:
    """A deletion of what another deleted before is refused, also after it was throttled."""
    job, other = pair(aws)
    assert aws.backend.write([Change(job, None)])
    changes = [Change(job, None), *([Change(other, None)] if several else [])]
    aws.server.fail("TransactWriteItems" if several else "DeleteItem", refusal(400, "ThrottlingException"))

    assert not aws.backend.write(changes)
    assert other == aws.backend.read(Job, other.id)


def test_half_of_the_deletions_were_anothers(aws: Aws) -> None:
    """A transaction whose answer was lost and of which only a part is as it wanted was not made."""
    job, other = pair(aws)
    assert aws.backend.write([Change(job, None)])
    aws.server.fail("TransactWriteItems", aws_faults.dropped)

    assert not aws.backend.write([Change(job, None), Change(other, None)])
    assert other == aws.backend.read(Job, other.id)


def test_a_transaction_is_told_by_its_conditions(aws: Aws) -> None:
    """A transaction that met another is tried again; one whose condition did not hold is not (F-42)."""
    job, other = pair(aws)
    changes = [Change(job, None), Change(other, None)]
    conflict = {"CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}]}
    refused = {"CancellationReasons": [{"Code": "ConditionalCheckFailed"}, {"Code": "TransactionConflict"}]}
    aws.server.fail("TransactWriteItems", refusal(400, "TransactionCanceledException", **refused))
    assert not aws.backend.write(changes)
    assert 1 == aws.server.asked("TransactWriteItems")

    busy = refusal(400, "TransactionInProgressException")
    aws.server.fail("TransactWriteItems", refusal(400, "TransactionCanceledException", **conflict), busy)
    assert aws.backend.write(changes)
    assert 4 == aws.server.asked("TransactWriteItems")


def test_a_transaction_has_one_token(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each attempt of a transaction names it by the same token, so that DynamoDB makes it once; another has another."""
    seen: list[str] = []
    passed = aws_clients.send

    def watch(service: str, operation: str, arguments: dict[str, Any]) -> Any:
        if operation == "transact_write_items":
            seen.append(arguments["ClientRequestToken"])
        return passed(service, operation, arguments)

    monkeypatch.setattr(aws_clients, "send", watch)
    aws.server.fail("TransactWriteItems", aws_faults.dropped)
    for _ in range(2):
        assert aws.backend.write([Change(None, queued()), Change(None, queued())])

    assert (3, 2) == (len(seen), len(set(seen)))
    assert seen[0] == seen[1]


def test_what_an_index_says_is_looked_up(aws: Aws) -> None:
    """What has changed or gone between the index and the table is not told of as it was."""
    moved, gone, stays = (aws.keep(queued(due=NOW - number)) for number in range(3))

    def change() -> None:
        assert aws.backend.write([Change(moved, moved._replace(due=NOW + 60))])
        assert aws.backend.write([Change(gone, None)])

    aws.server.fail("Query", *[meanwhile(lambda: None)] * (SHARDS - 1), meanwhile(change))
    assert [stays] == aws.backend.due(NOW, 10)


def test_what_an_index_says_is_anothers_now(aws: Aws) -> None:
    """A record that has another owner by the time it is read is not shown to the one whom the index named (N6)."""
    job = aws.keep(queued())

    def change() -> None:
        assert aws.backend.write([Change(job, job._replace(owner="another"))])

    aws.server.fail("Query", meanwhile(change))
    assert [] == aws.backend.owned("owner", 10)


def test_unprocessed_keys_are_asked_for_again(aws: Aws) -> None:
    """An answer that has a part of the records is completed (F-42); one that never has any is the store's failure."""
    jobs = [aws.keep(queued(due=NOW + number)) for number in range(5)]
    table = aws.names.table

    def some(number: int) -> Fault:
        left: list[Any] = []

        def fewer(asked: Any) -> Any:
            keys = asked["RequestItems"][table]["Keys"]
            left[:] = keys[number:]
            return {"RequestItems": {table: {"Keys": keys[: max(number, 1)], "ConsistentRead": True}}}

        def rest(answer: Any) -> Any:
            found = answer["Responses"][table][:number]
            return {"Responses": {table: found}, "UnprocessedKeys": {table: {"Keys": left, "ConsistentRead": True}} if left else {}}

        return edited(fewer, rest)

    aws.server.fail("BatchGetItem", some(1), some(0), some(2))
    assert jobs == aws.backend.due(NOW + 9, 10)

    aws.server.fail("BatchGetItem", *[some(0)] * 9)
    with pytest.raises(StoreUnavailable):
        aws.backend.due(NOW + 9, 10)


def test_damaged_records_are_in_nobodys_way(aws: Aws) -> None:
    """Records that this release cannot read are passed over where others wait behind them, however many they are."""
    jobs = [aws.keep(queued(due=NOW + number, created=NOW - number)) for number in range(40)]
    update = {"UpdateExpression": "SET document = :none", "ExpressionAttributeValues": {":none": {"B": b"{"}}}
    for job in jobs[:38]:
        call("dynamodb", "update_item", TableName=aws.names.table, Key={"pk": {"S": f"job#{job.id}"}}, **update)

    assert jobs[38:] == aws.backend.owned("owner", 2)
    assert jobs[38:] == aws.backend.due(NOW + 99, 2)


def test_dynamodb_deletes_what_is_over(aws: Aws) -> None:
    """Only what will not change any more has a time to live, and it ends after the sweeper's turn (F-46)."""
    over = [queued(status=status, due=NOW + 60, expires=NOW + 60) for status in sorted(FINISHED)]
    over += [delivery(status=status, expires=NOW + 60) for status in ("delivered", "stopped", "failed")]
    over.append(reservation(expires=NOW + 60, due=NOW + 60))
    going = [queued(), queued(status="running"), delivery()]

    def time_to_live(record: Record) -> float | None:
        aws.backend.write([Change(None, record)])
        kind = type(record).__name__.lower()
        item = call("dynamodb", "get_item", TableName=aws.names.table, Key={"pk": {"S": f"{kind}#{record.id}"}})["Item"]
        return int(item["expires_at"]["N"]) if "expires_at" in item else None

    assert {NOW + 60 + 86_400} == {time_to_live(record) for record in over}
    assert {None} == {time_to_live(record) for record in going}


@pytest.mark.parametrize("make", list(EVERY_KIND.values()), ids=list(EVERY_KIND))
def test_indexes_hold_keys_alone(aws: Aws, make) -> None:
    """An index has neither documents nor an owner's name, and that of owners has jobs alone."""
    record = make(owner="somebody")
    aws.backend.write([Change(None, record)])
    items = {index: call("dynamodb", "scan", TableName=aws.names.table, IndexName=index)["Items"] for index in ("by_owner", "by_due")}

    assert [{"pk", "shard", "due"}] == [set(item) for item in items["by_due"]]
    assert ([{"pk", "owner", "mark"}] if isinstance(record, Job) else []) == [set(item) for item in items["by_owner"]]
    assert "somebody" not in str(items)


def received(aws: Aws) -> list[tuple[str, str] | None]:
    asked = {"QueueUrl": aws.names.jobs.messages, "MaxNumberOfMessages": 10}
    found = iter(lambda: call("sqs", "receive_message", **asked).get("Messages", []), [])
    return sorted(named_in(message["Body"]) for batch in found for message in batch)


def test_messages_that_sqs_did_not_take_are_sent_again(aws: Aws) -> None:
    """Of a batch that was taken in part the rest is sent again, and only that (F-42)."""
    left: list[Any] = []

    def fewer(asked: Any) -> Any:
        left[:] = asked["Entries"][1::2]
        return {**asked, "Entries": asked["Entries"][::2]}

    def rest(answer: Any) -> Any:
        return {**answer, "Failed": [{"Id": entry["Id"], "SenderFault": False, "Code": "InternalError"} for entry in left]}

    ids = sorted(f"job-{number:02}" for number in range(25))
    aws.server.fail("SendMessageBatch", edited(fewer, rest), edited(fewer, rest))
    aws.backend.send("jobs", ids)

    assert [("job", name) for name in ids] == received(aws)
    assert 5 == aws.server.asked("SendMessageBatch")


@pytest.mark.parametrize(("sender", "times"), [(True, 1), (False, 5)])
def test_messages_that_sqs_never_takes(aws: Aws, sender: bool, times: int) -> None:
    """What SQS does not take is told of: at once where the fault is ours, after five attempts where it is not."""
    failed = {"Failed": [{"Id": "0", "SenderFault": sender, "Code": "Fault", "Message": aws.names.table}], "Successful": []}
    aws.server.fail("SendMessageBatch", *[aws_faults.answer(200, json.dumps(failed))] * 9)

    with pytest.raises(StoreUnavailable) as raised:
        aws.backend.send("jobs", ["a"])
    assert times == aws.server.asked("SendMessageBatch")
    assert aws.names.table not in raised.value.detail


def test_a_delay_is_whole_seconds_and_not_too_short(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQS counts whole seconds: a delay is rounded up; more than SQS can wait is the store's failure."""
    asked: list[int] = []
    passed = aws_clients.send

    def watch(service: str, operation: str, arguments: dict[str, Any]) -> Any:
        asked.extend(entry["DelaySeconds"] for entry in arguments["Entries"])
        return passed(service, operation, arguments)

    monkeypatch.setattr(aws_clients, "send", watch)
    for delay in (0, 0.2, 900):
        aws.backend.send("jobs", ["a"], delay)

    assert [0, 1, 900] == asked


def test_dead_letters_need_an_address(aws: Aws) -> None:
    """Without the address of a queue of dead letters nobody is asked; what is in it and not of ours is passed over."""
    without = AwsBackend(aws.names.table, jobs=Urls(aws.names.jobs.messages), webhooks=aws.names.webhooks)
    assert [] == without.dead("jobs", 10)
    assert [] == aws.server.requests

    for body in ("{", message_of("jobs", "a"), "{}"):
        call("sqs", "send_message", QueueUrl=aws.names.jobs.dead, MessageBody=body)
    assert ["a"] == aws.backend.dead("jobs", 10)
    assert ["a"] == aws.backend.dead("jobs", 10)


def test_many_threads_make_a_record_once(aws: Aws) -> None:
    """Of eight that create one record at once, over a connection that loses answers, one does."""
    record = delivery()
    aws.server.fail("PutItem", *[aws_faults.lost] * 4)
    barrier = threading.Barrier(8)

    def create(_: int) -> bool:
        barrier.wait()
        return aws.backend.write([Change(None, record)])

    with ThreadPoolExecutor(8) as pool:
        assert 1 == sum(pool.map(create, range(8)))
    assert record._replace(revision=1) == aws.backend.read(Delivery, record.id)
