"""How an invocation's time is shared between running models and keeping what they answered."""

import time

import pytest

from app.triggers.records import times_of
from tests.shells import Context


@pytest.mark.parametrize(
    ("milliseconds", "to_write_s"),
    [(900_000, 10.0), (60_000, 6.0), (20_000, 2.5), (4_000, 2.0), (1_000, 0.5)],
)
def test_time_is_left_to_keep_results(milliseconds: int, to_write_s: float) -> None:
    """A tenth of the time is kept for results, at most ten seconds, and at least as long as a call to AWS takes, of a short one half."""
    now = time.monotonic()
    found = times_of(Context(milliseconds))

    assert pytest.approx(now + milliseconds / 1000 - to_write_s, abs=0.2) == found.run
    assert pytest.approx(now + milliseconds / 1000 - 0.5, abs=0.2) == found.write
