"""Builds that are broken on purpose. Each must be caught by a single fault, or the harness has a hole."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest

from app.errors import StoreUnavailable
from app.jobs import aws_backend, sender, service, sweeper, worker
from app.jobs import job as jobs
from app.jobs.aws_backend import AwsBackend
from app.jobs.backend import Change
from app.jobs.delivery import Attempt, Delivery, Disposition
from app.jobs.delivery import claim as claim_delivery
from app.jobs.notices import ending
from app.jobs.service import Jobs
from app.jobs.stores import Stores, send_soon
from app.jobs.sweeper import Sweeper, Swept
from app.storage.s3 import S3Storage
from tests.faults.memory_table import MemoryTable
from tests.faults.world import World

Break = Callable[[pytest.MonkeyPatch], None]


class Control(NamedTuple):
    """A broken build, and what must catch it: a word of the violation, in a scenario."""

    breaks: Break
    caught: str
    scenario: str = "answered"


def no_fencing(patch: pytest.MonkeyPatch) -> None:
    """A record is replaced whatever its revision is."""
    whole = AwsBackend._operation

    def operation(self: AwsBackend, change: Change, token: str) -> tuple[str, dict[str, Any]]:
        kind, asked = whole(self, change, token)
        conditions = ("ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues")
        return kind, {name: value for name, value in asked.items() if change.old is None or name not in conditions}

    patch.setattr(AwsBackend, "_operation", operation)


def no_transaction(patch: pytest.MonkeyPatch) -> None:
    """Several changes are made one after the other."""
    whole = AwsBackend.write

    def write(self: AwsBackend, changes: Sequence[Change]) -> bool:
        made = [whole(self, [change]) for change in changes]
        return all(made)

    patch.setattr(AwsBackend, "write", write)


def no_sweeper(patch: pytest.MonkeyPatch) -> None:
    """Nobody repairs anything."""
    patch.setattr(Sweeper, "sweep", lambda self, deadline, shards=None: Swept())


def acknowledged_first(patch: pytest.MonkeyPatch) -> None:
    """A message is deleted before the work is done, and nobody repairs what that loses."""
    no_sweeper(patch)
    whole = World.invoke

    def invoke(self: World, event: dict[str, Any]) -> Any:
        if "Records" in event:
            entries = [{"Id": str(n), "ReceiptHandle": record["receiptHandle"]} for n, record in enumerate(event["Records"])]
            queue = self.cloud.names.webhooks if "delivery" in event["Records"][0]["body"] else self.cloud.names.jobs
            self.cloud.send("sqs", "delete_message_batch", {"QueueUrl": queue, "Entries": entries})
        return whole(self, event)

    patch.setattr(World, "invoke", invoke)


def webhook_noted_first(patch: pytest.MonkeyPatch) -> None:
    """A webhook is noted as delivered before it is sent."""

    def claim(delivery: Delivery, now: float) -> Delivery | None:
        mine = claim_delivery(delivery, now)
        return mine and mine._replace(status="delivered", due=mine.expires)

    keep = sender.deliveries.record

    def record(mine: Delivery, attempt: Attempt, disposition: Disposition, delay_s: float | None) -> Delivery:
        return keep(mine._replace(status="pending"), attempt, disposition, delay_s)

    patch.setattr(sender.deliveries, "claim", claim)
    patch.setattr(sender.deliveries, "record", record)


def webhook_apart(patch: pytest.MonkeyPatch) -> None:
    """The end of a job is kept first, and the webhook that tells of it afterwards."""

    def end(stores: Stores, old: jobs.Job, new: jobs.Job | None) -> bool:
        if new is None:
            return False
        first, *others = ending(old, new, stores.policy)
        if not stores.backend.write([first]):
            return False
        for change in others:
            assert change.new
            stores.backend.write([change])
            send_soon(stores, "webhooks", change.new.id)
        return True

    for module in (worker, sweeper, service):
        patch.setattr(module, "end", end)


def one_result_key(patch: pytest.MonkeyPatch) -> None:
    """The results of all attempts have one key."""

    def key_of(key: str) -> str:
        return key.rpartition("/")[0] if key.startswith("results/") and key.count("/") == 3 else key

    put, delete, succeed = S3Storage.put, S3Storage.delete, jobs.succeed
    patch.setattr(S3Storage, "put", lambda self, key, body: put(self, key_of(key), body))
    patch.setattr(S3Storage, "delete", lambda self, key: delete(self, key_of(key)))
    patch.setattr(jobs, "succeed", lambda job, result, now, policy: succeed(job, result._replace(key=key_of(result.key)), now, policy))


def lost_is_refused(patch: pytest.MonkeyPatch) -> None:
    """A write that was made and whose answer was lost counts as refused, once DynamoDB has forgotten the transaction."""
    whole = MemoryTable.transact_write_items

    def forgetful(self: MemoryTable, **asked: Any) -> dict[str, Any]:
        # "A client request token is valid for 10 minutes after the first request that uses it"
        self.transactions.clear()
        return whole(self, **asked)

    patch.setattr(MemoryTable, "transact_write_items", forgetful)
    patch.setattr(aws_backend, "_was_made", lambda *arguments, **options: False)


def told_before_kept(patch: pytest.MonkeyPatch) -> None:
    """A caller is told that his job is kept where nobody knows."""
    whole = AwsBackend.write

    def write(self: AwsBackend, changes: Sequence[Change]) -> bool:
        try:
            return whole(self, changes)
        except StoreUnavailable:
            return True

    patch.setattr(AwsBackend, "write", write)


def expired_before_kept(patch: pytest.MonkeyPatch) -> None:
    """A caller is told that his job has expired, and its worker may still end it otherwise."""
    patch.setattr(Jobs, "_as_of", lambda self, job, now: jobs.expire(job, now, self.stores.policy) or job)


def nobodys_own(patch: pytest.MonkeyPatch) -> None:
    """Whoever knows a job's id may see it."""
    whole = Jobs.show

    def show(self: Jobs, owner: str, job_id: str) -> jobs.Job:
        job = self.stores.backend.read(jobs.Job, job_id)
        return whole(self, job.owner if job else owner, job_id)

    patch.setattr(Jobs, "show", show)


CONTROLS = {
    "no-fencing": Control(no_fencing, "N3"),
    "no-transaction": Control(no_transaction, "N7"),
    "no-sweeper": Control(no_sweeper, "N1"),
    "acknowledged-first": Control(acknowledged_first, "N1"),
    "webhook-noted-first": Control(webhook_noted_first, "N4"),
    "webhook-apart": Control(webhook_apart, "was told nothing"),
    "one-result-key": Control(one_result_key, "N5"),
    "lost-is-refused": Control(lost_is_refused, "N5"),
    "told-before-kept": Control(told_before_kept, "N1"),
    "expired-before-kept": Control(expired_before_kept, "N3", "late"),
    "nobodys-own": Control(nobodys_own, "stranger"),
}
