"""Names of the objects that batches write, and what a listing of them tells. Pure.

``parts/<first row>-<rows>-<bad rows>.<suffix>`` holds the answers of rows that follow one another and ``errors/<the same>.jsonl`` those
of them that are bad. All three numbers are the same each time a batch runs, and let a run be counted by a listing, in 1,000 objects a
request, and exactly: they tell which rows are done.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

PARTS, ERRORS, SUMMARY = "parts/", "errors/", "summary.json"
# Indices sort as their texts do: 100,000,000 items are the most of a Map (MaxItems).
_DIGITS = 12
_NAME = re.compile(r"(?:parts|errors)/(\d+)-(\d+)-(\d+)\.[a-z]+")


class Counted(NamedTuple):
    """What was done: rows that were looked at, each counted once, bad ones, and the objects with answers.

    ``repeated`` is how many rows too many the objects tell of, and ``end`` one more than the last row, counted from 0. Where rows are
    repeated, so may bad ones be.
    """

    rows: int
    failed: int
    parts: int
    repeated: int
    end: int


def span_of(first: int, count: int) -> str:
    """What names rows that follow one another."""
    return f"{first:0{_DIGITS}}-{count}"


def part_name(span: str, failed: int, suffix: str) -> str:
    """The name of a batch's answers."""
    return f"{PARTS}{span}-{failed}{suffix}"


def errors_name(span: str, failed: int) -> str:
    """The name of a batch's bad rows."""
    return f"{ERRORS}{span}-{failed}.jsonl"


def failed_in(name: str) -> int:
    """How many bad rows a name tells of; -1 for a name that is none of these."""
    found = _NAME.fullmatch(name)
    return int(found[3]) if found else -1


def is_whole(name: str) -> bool:
    """Whether an object tells that its batch is done: it holds answers, or the errors of a batch without any."""
    found = _NAME.fullmatch(name)
    return found is not None and (name.startswith(PARTS) or found[2] == found[3])


def counted(names: Iterable[str]) -> Counted:
    """What a listing tells."""
    spans = []
    failed = parts = 0
    for name in names:
        if is_whole(name) and (found := _NAME.fullmatch(name)):
            spans.append((int(found[1]), int(found[2])))
            failed, parts = failed + int(found[3]), parts + name.startswith(PARTS)
    rows = repeated = end = 0
    for first, count in sorted(spans):
        new = max(0, first + count - max(first, end))
        rows, repeated, end = rows + new, repeated + count - new, max(end, first + count)
    return Counted(rows, failed, parts, repeated, end)
