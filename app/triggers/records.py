"""What every source of records gives and hears: its records as :class:`Record`, and for each what went wrong, or nothing."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from app.errors import Problem

# What of an invocation is kept to write down what was done.
_SHARE_TO_WRITE, _MOST_TO_WRITE_S = 0.1, 10.0
# A call to AWS needs more than a second; of a short invocation half is kept.
_LEAST_TO_WRITE_S, _LARGEST_SHARE = 2.5, 0.5
_LAST_CALL_S = 0.5
# Without a context, as in a test, an invocation has Lambda's longest time.
_LONGEST_S = 900.0


class Record(NamedTuple):
    """One record of a source, as its sender wrote it.

    ``id`` is the same at each delivery. ``attributes`` are those of the message (names in small letters), for sources that have such.
    ``group`` holds records whose order counts: after one that failed, none of the same group is answered. ``refused`` is why no
    request can be found in it, where that is so.
    """

    id: str
    source: str
    body: str | bytes
    attributes: Mapping[str, str] = {}
    group: str = ""
    refused: Problem | None = None


# Answers records until a deadline; for each None, which says that its result is where it belongs, or what went wrong.
AnswerRecords = Callable[[Sequence[Record], "Times"], list[Problem | None]]


class Times(NamedTuple):
    """Deadlines of one invocation, in ``time.monotonic()`` seconds: ``run`` for what the models do, ``write`` for all that is kept of it."""

    run: float
    write: float


def times_of(context: Any) -> Times:
    """The deadlines that Lambda's context sets."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    left_s = _LONGEST_S if remaining is None else remaining() / 1000
    now = time.monotonic()
    to_write_s = min(_MOST_TO_WRITE_S, max(_LEAST_TO_WRITE_S, left_s * _SHARE_TO_WRITE), left_s * _LARGEST_SHARE)
    return Times(now + left_s - to_write_s, now + left_s - _LAST_CALL_S)
