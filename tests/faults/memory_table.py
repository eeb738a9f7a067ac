"""DynamoDB in memory: one table with two indexes, and the operations and expressions that this project uses."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

Item = dict[str, Any]
# Index → its hash key and its range key.
INDEXES = {"by_owner": ("owner", "mark"), "by_due": ("shard", "due")}
# DynamoDB remembers a transaction's token for ten minutes, and so many are not made in that time by a test.
_REMEMBERED = 1000


def refusal(operation: str, code: str, status: int = 400, **members: Any) -> ClientError:
    """An error in AWS's words."""
    answer = {"Error": {"Code": code, "Message": "refused"}, "ResponseMetadata": {"HTTPStatusCode": status}, **members}
    return ClientError(answer, operation)


class MemoryTable:
    """A table. ``writes`` has every item that it ever took, in their order.

    :param lag: by how many writes the indexes are behind the table.
    """

    def __init__(self, lag: int = 0) -> None:
        self.items: dict[str, Item] = {}
        self.writes: list[Item] = []
        self.transactions: dict[str, list[Any]] = {}
        self._lag = lag
        self._indexed: dict[str, Item] = {}
        self._index: dict[tuple[str, str], list[tuple[Any, str]]] = {}
        self._late: deque[tuple[str, Item | None]] = deque()

    def get_item(self, *, TableName: str, Key: Item, ConsistentRead: bool) -> Item:
        assert ConsistentRead
        item = self.items.get(Key["pk"]["S"])
        return {} if item is None else {"Item": dict(item)}

    def batch_get_item(self, *, RequestItems: Item) -> Item:
        ((table, asked),) = RequestItems.items()
        assert asked["ConsistentRead"]
        assert 0 < len(asked["Keys"]) <= 100
        assert len({key["pk"]["S"] for key in asked["Keys"]}) == len(asked["Keys"]), "DynamoDB refuses a key that is asked for twice"
        found = [dict(self.items[key["pk"]["S"]]) for key in asked["Keys"] if key["pk"]["S"] in self.items]
        return {"Responses": {table: found}, "UnprocessedKeys": {}}

    def put_item(self, **asked: Any) -> Item:
        return self._one("PutItem", {"Put": asked})

    def delete_item(self, **asked: Any) -> Item:
        return self._one("DeleteItem", {"Delete": asked})

    def _one(self, operation: str, part: Item) -> Item:
        reason = self._reason(part)
        if reason["Code"] != "None":
            raise refusal(operation, "ConditionalCheckFailedException", **{k: v for k, v in reason.items() if k == "Item"})
        self._make(part)
        return {}

    def transact_write_items(self, *, TransactItems: list[Item], ClientRequestToken: str) -> Item:
        assert 1 < len(TransactItems) <= 100
        made = self.transactions.get(ClientRequestToken)
        if made is not None:
            if made != TransactItems:
                raise refusal("TransactWriteItems", "IdempotentParameterMismatchException")
            return {}
        reasons = [self._reason(part) for part in TransactItems]
        if any(reason["Code"] != "None" for reason in reasons):
            raise refusal("TransactWriteItems", "TransactionCanceledException", CancellationReasons=reasons)
        for part in TransactItems:
            self._make(part)
        self.transactions[ClientRequestToken] = TransactItems
        if len(self.transactions) > _REMEMBERED:
            del self.transactions[next(iter(self.transactions))]
        return {}

    def _reason(self, part: Item) -> Item:
        ((kind, asked),) = part.items()
        pk = asked["Item"]["pk"]["S"] if kind == "Put" else asked["Key"]["pk"]["S"]
        kept = self.items.get(pk)
        condition = asked.get("ConditionExpression")
        if condition == "attribute_not_exists(pk)":
            holds = kept is None
        elif condition == "#revision = :revision":
            assert asked["ExpressionAttributeNames"] == {"#revision": "revision"}
            holds = kept is not None and kept["revision"] == asked["ExpressionAttributeValues"][":revision"]
        else:
            assert condition is None, condition
            holds = True
        if holds:
            return {"Code": "None"}
        assert asked["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
        return {"Code": "ConditionalCheckFailed"} | ({"Item": dict(kept)} if kept else {})

    def _make(self, part: Item) -> None:
        ((kind, asked),) = part.items()
        item = asked["Item"] if kind == "Put" else None
        pk = item["pk"]["S"] if item else asked["Key"]["pk"]["S"]
        if item is None:
            self.items.pop(pk, None)
        else:
            self.items[pk] = item
            self.writes.append(item)
        self._late.append((pk, item))
        while len(self._late) > self._lag:
            self._reindex(*self._late.popleft())

    def _reindex(self, pk: str, item: Item | None) -> None:
        old = self._indexed.pop(pk, None)
        for name, entry in _entries(old):
            rows = self._index[name]
            del rows[bisect_left(rows, (entry, pk))]
        if item is not None:
            self._indexed[pk] = item
            for name, entry in _entries(item):
                insort(self._index.setdefault(name, []), (entry, pk))

    def query(
        self,
        *,
        TableName: str,
        IndexName: str,
        KeyConditionExpression: str,
        ExpressionAttributeNames: Item,
        ExpressionAttributeValues: Item,
        Limit: int,
        ScanIndexForward: bool,
    ) -> Item:
        of, order = INDEXES[IndexName]
        assert ExpressionAttributeNames == {"#of": of, "#order": order}
        comparison = KeyConditionExpression.removeprefix("#of = :of AND #order ").removesuffix(" :end")
        assert comparison in {"<", "<="}
        rows = self._index.get((IndexName, ExpressionAttributeValues[":of"]["S"]), [])
        end = _order(ExpressionAttributeValues[":end"])
        rows = rows[: bisect_left(rows, (end, "" if comparison == "<" else "\U0010ffff"))]
        found = [self._indexed[pk] for _, pk in (rows if ScanIndexForward else reversed(rows))]
        keys = [{name: item[name] for name in ("pk", of, order)} for item in found[:Limit]]
        # DynamoDB names a last key wherever it stopped at the limit, be there more or not.
        return {"Items": keys} | ({"LastEvaluatedKey": keys[-1]} if len(found) >= Limit and keys else {})


def _entries(item: Item | None) -> Iterator[tuple[tuple[str, str], Any]]:
    for index, (of, order) in INDEXES.items():
        if item is not None and of in item and order in item:
            yield (index, item[of]["S"]), _order(item[order])


def _order(value: Item) -> Any:
    return float(value["N"]) if "N" in value else value["S"]
