"""Names of the objects that batches write, and what a listing of them tells. Pure.

``parts/<first row>-<rows>-<bad rows>.<suffix>`` holds the answers of a batch and ``errors/<the same>.jsonl`` its bad rows. All three
numbers are the same each time a batch runs, and let a run be counted by a listing, in 1,000 objects a request.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

PARTS, ERRORS, SUMMARY = "parts/", "errors/", "summary.json"
# Indices sort as their texts do: 100,000,000 items are the most of a Map (MaxItems).
_DIGITS = 12
_NAME = re.compile(r"(?:parts|errors)/(\d+)-(\d+)(?:-x[0-9a-f]{8})?-(\d+)\.[a-z]+")


class Counted(NamedTuple):
    """What was done: rows that were looked at, those of them that are bad, and the objects with answers."""

    rows: int
    failed: int
    parts: int


def span_of(indices: Sequence[int]) -> str:
    """What names a batch by its rows; these mostly follow one another, and where they do not, the name says which they are."""
    first, count = indices[0], len(indices)
    if indices[-1] - first + 1 == count:
        return f"{first:0{_DIGITS}}-{count}"
    marked = hashlib.sha256(",".join(map(str, indices)).encode()).hexdigest()[:8]
    return f"{first:0{_DIGITS}}-{count}-x{marked}"


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
    rows = failed = parts = 0
    for name in names:
        if is_whole(name) and (found := _NAME.fullmatch(name)):
            rows, failed, parts = rows + int(found[2]), failed + int(found[3]), parts + name.startswith(PARTS)
    return Counted(rows, failed, parts)
