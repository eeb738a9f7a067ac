"""Jobs on AWS: records in one DynamoDB table, messages in SQS. What :class:`app.jobs.backend.Backend` asks for.

Two sparse indexes hold keys only: ``by_owner`` (owner, mark) has the jobs, ``by_due`` (shard, due) all records. They may be a moment behind, so what they find is read again from the table, and nothing stale is acted upon.
"""

import hashlib
import secrets
import threading
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from app.errors import StoreUnavailable
from app.jobs import aws_queues
from app.jobs.aws_items import SHARDS, item_of, key_of, number, owner_key
from app.jobs.aws_queues import Urls
from app.jobs.backend import Change, Queue, Record, RecordType
from app.jobs.job import Job
from app.jobs.records import from_document, kind_name, readable
from app.storage.aws_clients import attempts, call, unavailable, within

# BatchGetItem takes at most this many keys.
_KEYS = 100
# Many threads' worth: each asks again soon, or never.
_MOST_UNKNOWN = 256


class Index(NamedTuple):
    """A way into the table: items by one attribute, in the order of another, from one end up to a value."""

    name: str
    of: str
    order: str
    comparison: str
    newest_first: bool = False


BY_OWNER: Final = Index("by_owner", "owner", "mark", "<", newest_first=True)
BY_DUE: Final = Index("by_due", "shard", "due", "<=")


class _Page(NamedTuple):
    """Keys that an index has, and the last that was looked at; the one that is made of nothing stands before the first."""

    keys: Sequence[dict[str, Any]] = ()
    last: dict[str, Any] | None = None
    more: bool = True


class AwsBackend:
    """Records in one table and ids in two queues. Only names are kept here: clients are built at the first use."""

    def __init__(self, table: str, *, jobs: Urls, webhooks: Urls) -> None:
        self._table = table
        self._urls: dict[Queue, Urls] = {"jobs": jobs, "webhooks": webhooks}
        # The tokens of writes whose outcome is not known, by what was asked.
        self._unknown: dict[tuple[int, bytes], str] = {}
        self._remembering = threading.Lock()

    def write(self, changes: Sequence[Change]) -> bool:
        """Make one change by a conditional write, several in a transaction."""
        if not changes:
            return True
        with self._remembering:
            kept = self._unknown.pop(_asked(changes), "") if self._unknown else ""
        token = kept or secrets.token_hex(16)
        try:
            return _write([self._operation(change, token) for change in changes], token, asked_before=bool(kept))
        except StoreUnavailable:
            with self._remembering:
                while len(self._unknown) >= _MOST_UNKNOWN:
                    self._unknown.pop(next(iter(self._unknown)))
                self._unknown[_asked(changes)] = token
            raise

    def read(self, kind: type[RecordType], record_id: str) -> RecordType | None:
        """A record by a consistent read."""
        key = {"pk": {"S": f"{kind_name(kind)}#{record_id}"}}
        item = call("dynamodb", "get_item", TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return None if item is None else from_document(kind, item["document"]["B"])

    def owned(self, owner: str, limit: int, before: str = "") -> list[Job]:
        """A caller's jobs after the one of the mark ``before``, newest first; one that cannot be read is left out."""
        found: list[Job] = []
        # Every mark begins with a digit.
        values = {":of": {"S": owner_key(owner)}, ":end": {"S": before or "~"}}
        page = _Page()
        with within():
            while page.more and len(found) < limit:
                page = self._query(BY_OWNER, values, limit - len(found), page)
                found += [record for record in self._records(page.keys) if isinstance(record, Job) and record.owner == owner]
        return found

    def due(self, now: float, limit: int) -> list[Record]:
        """Records whose time has come, the oldest first; one that cannot be read is left out, so that none waits for it."""
        found: list[Record] = []
        pages = {str(shard): _Page() for shard in range(SHARDS)}
        with within():
            while pages and len(found) < limit:
                for shard, page in pages.items():
                    values = {":of": {"S": shard}, ":end": {"N": number(now)}}
                    pages[shard] = self._query(BY_DUE, values, limit, page)
                keys = sorted((key for page in pages.values() for key in page.keys), key=lambda key: float(key["due"]["N"]))
                for first in range(0, len(keys), limit):
                    found += [record for record in self._records(keys[first : first + limit]) if record.due <= now]
                    if len(found) >= limit:
                        break
                pages = {shard: page for shard, page in pages.items() if page.more}
        return sorted(found, key=lambda record: record.due)[:limit]

    def send(self, queue: Queue, ids: Sequence[str], delay_s: float = 0.0) -> None:
        """Tell a worker of records."""
        aws_queues.send(self._urls[queue].messages, queue, ids, delay_s)

    def dead(self, queue: Queue, limit: int) -> list[str]:
        """Ids in the queue of dead letters; none where there is no address of it."""
        url = self._urls[queue].dead
        return aws_queues.dead(url, limit) if url else []

    def _operation(self, change: Change, token: str) -> tuple[str, dict[str, Any]]:
        old, new = change
        found = new or old
        if found is None:
            raise ValueError("A change needs a record, old or new.")
        asked: dict[str, Any] = {"TableName": self._table, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        if old is None:
            asked["ConditionExpression"] = "attribute_not_exists(pk)"
        else:
            asked["ConditionExpression"] = "#revision = :revision"
            asked["ExpressionAttributeNames"] = {"#revision": "revision"}
            asked["ExpressionAttributeValues"] = {":revision": {"N": str(old.revision)}}
        if new is None:
            return "Delete", {**asked, "Key": {"pk": {"S": key_of(found)}}}
        return "Put", {**asked, "Item": item_of(new._replace(revision=(old or new).revision + 1), token)}

    def _query(self, index: Index, values: dict[str, Any], limit: int, before: _Page) -> _Page:
        """The page that follows another."""
        answer = call(
            "dynamodb",
            "query",
            TableName=self._table,
            IndexName=index.name,
            KeyConditionExpression=f"#of = :of AND #order {index.comparison} :end",
            # Some names are words of DynamoDB's own ("Reserved words").
            ExpressionAttributeNames={"#of": index.of, "#order": index.order},
            ExpressionAttributeValues=values,
            Limit=limit,
            ScanIndexForward=not index.newest_first,
            **({"ExclusiveStartKey": before.last} if before.last else {}),
        )
        last = answer.get("LastEvaluatedKey")
        return _Page(answer["Items"], last, more=last is not None)

    def _records(self, keys: Sequence[dict[str, Any]]) -> list[Record]:
        """The records themselves as the last writes left them, in the order of their keys; what is gone is left out."""
        items: dict[str, dict[str, Any]] = {}
        names = [key["pk"]["S"] for key in keys]
        for first in range(0, len(names), _KEYS):
            items.update(self._batch(names[first : first + _KEYS]))
        found = (items[name] for name in names if name in items)
        return list(readable((item["kind"]["S"], item["document"]["B"]) for item in found))

    def _batch(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        items: dict[str, dict[str, Any]] = {}
        missing = [{"pk": {"S": name}} for name in names]
        while missing:
            # An answer has at most 16 MB: as long as some of the keys are answered, the rest is asked for.
            for _ in attempts():
                request = {self._table: {"Keys": missing, "ConsistentRead": True}}
                answer = call("dynamodb", "batch_get_item", RequestItems=request)
                items.update({item["pk"]["S"]: item for item in answer["Responses"].get(self._table, [])})
                before, missing = len(missing), answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
                if len(missing) < before:
                    break
            else:
                raise unavailable("dynamodb", "batch_get_item")
        return items


def _write(operations: Sequence[tuple[str, dict[str, Any]]], token: str, *, asked_before: bool) -> bool:
    from botocore.exceptions import ClientError

    try:
        if len(operations) == 1:
            kind, asked = operations[0]
            call("dynamodb", f"{kind.lower()}_item", **asked)
        else:
            transaction = [dict([operation]) for operation in operations]
            call("dynamodb", "transact_write_items", TransactItems=transaction, ClientRequestToken=token)
    except ClientError as error:
        response: dict[str, Any] = error.response
        lost = asked_before or response["ResponseMetadata"]["AnswerLost"]
        # A single write has no list of reasons: its only one is that the condition did not hold.
        parts = response["CancellationReasons"] if len(operations) > 1 else [{**response, "Code": "ConditionalCheckFailed"}]
        return _was_made(operations, token, parts, lost=lost)
    return True


def _was_made(operations: Sequence[tuple[str, dict[str, Any]]], token: str, parts: Sequence[dict[str, Any]], *, lost: bool) -> bool:
    """Whether a refused write is one whose answer was lost: its records are there, made by it, or are gone as it wanted."""
    tokens = {part["Item"]["token"]["S"] for part in parts if part.get("Item")}
    if tokens:
        # Made together or not at all: one record with the token tells of the others.
        return token in tokens
    gone = all(part.get("Code") == "ConditionalCheckFailed" for part in parts)
    return lost and gone and all(kind == "Delete" for kind, _ in operations)


def _asked(changes: Sequence[Change]) -> tuple[int, bytes]:
    """What tells a change that is asked for again from another caller's very same one, of whom one is to lose."""
    return threading.get_ident(), hashlib.sha256(repr(list(changes)).encode(errors="surrogatepass")).digest()
