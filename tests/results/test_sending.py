"""Batches by count and size, and what of them is sent, whatever the results are."""

import itertools
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from app.errors import InternalError, StoreUnavailable
from app.results import sending
from app.results.sending import Entry, Limits, Refusal, Service

ENTRIES = st.lists(st.integers(0, 120), max_size=60).map(lambda sizes: [Entry(place, size, {}) for place, size in enumerate(sizes)])
LIMITS = st.builds(Limits, st.integers(1, 12), st.integers(1, 150))


@given(ENTRIES, LIMITS)
def test_batches_respect_both_limits(entries: list[Entry], limits: Limits) -> None:
    """Every entry is in one batch, in the order given, and no batch of several is over a limit."""
    batches = list(sending.portions(entries, limits))

    assert entries == [entry for batch in batches for entry in batch]
    assert all(batches)
    assert all(len(batch) <= limits.entries for batch in batches)
    assert all(len(batch) == 1 or sum(entry.size for entry in batch) <= limits.size for batch in batches)


@given(ENTRIES, LIMITS)
def test_batches_are_full(entries: list[Entry], limits: Limits) -> None:
    """No batch ends before the next entry would be over a limit."""
    batches = list(sending.portions(entries, limits))

    for batch, following in itertools.pairwise(batches):
        assert len(batch) == limits.entries or sum(entry.size for entry in batch) + following[0].size > limits.size


class Places:
    """Stands for a service that takes what it is sent, but for some: each of those is refused a number of times first."""

    def __init__(self, limits: Limits, passing: dict[int, int], refused: set[int]) -> None:
        self.passing, self.refused = dict(passing), refused
        self.sent: list[int] = []
        self.service = Service("sqs", "send_message_batch", limits, self._send)

    def _send(self, batch: Sequence[Entry]) -> list[Refusal | None]:
        return [self._answer(entry.place) for entry in batch]

    def _answer(self, place: int) -> Refusal | None:
        if place in self.refused:
            return Refusal("InvalidMessageContents", passes=False)
        if self.passing.get(place, 0):
            self.passing[place] -= 1
            return Refusal("InternalError", passes=True)
        self.sent.append(place)
        return None


@given(ENTRIES, LIMITS, st.sets(st.integers(0, 59), max_size=5), st.sets(st.integers(0, 59), max_size=3))
def test_every_entry_is_sent_once_or_told(entries: list[Entry], limits: Limits, passing: set[int], refused: set[int]) -> None:
    """What is refused for a moment is sent once in the end, what is refused for good is told, and nothing is both or neither."""
    places = Places(limits, dict.fromkeys(passing, 1), refused)
    problems = sending.send(places.service, entries)
    given_places = {entry.place for entry in entries}

    assert given_places & refused == set(problems)
    assert sorted(given_places - refused) == sorted(places.sent)


def test_a_service_that_breaks_is_no_success() -> None:
    """An error that nobody foresaw is told for its batch, and the others are sent."""

    def breaks(batch: Sequence[Entry]) -> list[Refusal | None]:
        if batch[0].place == 1:
            raise RuntimeError("secret")
        return [None]

    problems = sending.send(Service("sqs", "send_message_batch", Limits(1, 10), breaks), [Entry(place, 1, {}) for place in range(3)])

    assert {1} == set(problems)
    assert isinstance(problems[1], StoreUnavailable)
    assert "secret" not in problems[1].detail


def test_what_cannot_be_built_is_told() -> None:
    """A result whose entry cannot be made is a failure of ours, which keeps its cause for the log."""

    def build(place: int, result: object) -> Entry:
        raise TypeError("secret")

    _, problems = sending.built([None], build)  # type: ignore[list-item]

    assert isinstance(problems[0], InternalError)
    assert "secret" not in problems[0].detail
    assert isinstance(problems[0].__cause__, TypeError)
