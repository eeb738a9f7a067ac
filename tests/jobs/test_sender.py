"""What becomes of a webhook: attempts, their times, and how it ends."""

import pytest

from app.jobs.backend import Change
from app.jobs.delivery import Delivery
from app.jobs.sender import Sender, Sent
from tests.jobs.examples import delivery
from tests.jobs.house import House

HOUR_S = 3600.0


def told(house: House, *outcomes: Sent, rounds: int = 12) -> Delivery:
    """A delivery after it was sent whenever it was due; the last outcome is that of every further attempt."""
    first = delivery(created=house.clock(), next_at=house.clock(), due=house.clock(), expires=house.clock() + 100 * HOUR_S, attempts=())
    assert house.stores.backend.write([Change(None, first)])
    answers = list(outcomes)
    sender = Sender(house.stores, lambda _: answers.pop(0) if len(answers) > 1 else answers[0], chance=lambda: 0.0)
    for _ in range(rounds):
        sender.work([first.id], 0.0)
        kept = house.stores.backend.read(Delivery, first.id)
        assert kept is not None
        if kept.is_done:
            break
        house.clock.now = kept.next_at
    return kept


DOWN = Sent("retry", "503", None, 0.1)


def test_ten_attempts(house: House) -> None:
    """A receiver that is never there is called ten times over 75 h 35 min 5 s, and then no more."""
    kept = told(house, DOWN)
    times = [attempt.at - kept.created for attempt in kept.attempts]

    assert "failed" == kept.status
    assert [0, 5, 305, 2105, 9305, 27305, 63305, 113705, 185705, 272105] == [round(at) for at in times]


@pytest.mark.parametrize(
    ("last", "status"), [(Sent("delivered", "204", None, 0.1), "delivered"), (Sent("stop", "410", None, 0.1), "stopped")]
)
def test_an_answer_ends_it(house: House, last: Sent, status: str) -> None:
    """A receiver that takes it, or is gone for good, is not called again."""
    kept = told(house, DOWN, last)

    assert (status, ["503", last.outcome]) == (kept.status, [attempt.outcome for attempt in kept.attempts])


def test_a_receiver_that_asks_for_time_loses_no_attempt(house: House) -> None:
    """Ten attempts that are put off by a day each time are made all the same, and what is known of them is kept until after the last."""
    kept = told(house, Sent("retry", "503", 24 * HOUR_S, 0.1))

    assert ("failed", 10) == (kept.status, len(kept.attempts))
    assert kept.attempts[-1].at < kept.expires


def test_too_early_is_too_early(house: House) -> None:
    """A message that comes before its time sends nothing."""
    early = delivery(created=house.clock(), next_at=house.clock() + 60, due=house.clock() + 60, expires=house.clock() + HOUR_S)
    assert house.stores.backend.write([Change(None, early)])
    sent: list[str] = []
    sender = Sender(house.stores, lambda one: sent.append(one.id) or DOWN)  # type: ignore[func-returns-value]

    assert [] == sender.work([early.id], 0.0)
    assert [] == sent
