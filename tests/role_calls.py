"""What each function asks of AWS, as every test that runs on a deployment has seen it: tests/data/role_calls.json.

A call that is not there fails the test that makes it; ``RECORD_CALLS=1`` in the environment writes it down instead.
"""

import fcntl
import functools
import json
import os
from collections.abc import Iterable
from pathlib import Path

FILE = Path(__file__).parent / "data" / "role_calls.json"
# Function, action, resource by its name in the template with what is below it, and the kind of a table's key.
Known = tuple[str, str, str, str]


def general(function: str, action: str, resource: str, key: str) -> Known:
    """A call without what is one caller's: names of objects, ids of records."""
    first, *rest = resource.split("/", 2)
    if rest and rest[0] != "index":
        resource = "/".join([first, rest[0], "*"] if len(rest) > 1 else [first, "*"])
    return function, action, resource, key.partition("#")[0] + "#*" if "#" in key else ""


@functools.cache
def known() -> frozenset[Known]:
    """The calls of the file."""
    found: list[list[str]] = json.loads(FILE.read_text())
    return frozenset((one[0], one[1], one[2], one[3]) for one in found)


def unknown(calls: Iterable[Known]) -> set[Known]:
    """Those that are not in the file; none where they are written down."""
    found = set(calls) - known()
    if found and os.environ.get("RECORD_CALLS"):
        with FILE.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            every = sorted({*map(tuple, json.load(file)), *found})
            file.seek(0)
            file.truncate()
            file.write("[\n" + ",\n".join(json.dumps(one) for one in every) + "\n]\n")
        return set()
    return found
