"""Webhooks that were not taken are sent again when the standard says, and not sooner than the receiver asks."""

from datetime import UTC, datetime
from email.utils import format_datetime, formatdate
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.jobs.webhook_schedule import DELAYS_S, MAX_RETRY_AFTER_S, next_attempt_delay, parse_retry_after

NOW = 1_700_000_000.0


def test_ten_attempts_in_75_hours() -> None:
    """There are ten attempts, the last one 75 h 35 min 5 s after the first, and then none."""
    delays = [next_attempt_delay(attempt, None, 0.0) for attempt in range(12)]

    assert [0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400, None, None] == delays
    assert 75 * 3600 + 35 * 60 + 5 == sum(DELAYS_S)


@given(
    attempt=st.integers(0, 9),
    retry_after=st.none() | st.floats(0, 1e12),
    jitter=st.floats(0, 1, exclude_max=True),
)
def test_waits_are_bounded(attempt: int, retry_after: float | None, jitter: float) -> None:
    """A wait is never shorter than the schedule or than what was asked up to 24 h, and never over 24 h by more than the jitter."""
    delay = next_attempt_delay(attempt, retry_after, jitter)

    assert delay is not None
    assert max(DELAYS_S[attempt], min(retry_after or 0, 86400)) <= delay <= 86400 + 86400 * 0.05


def test_jitter_spreads() -> None:
    """The jitter adds up to a twentieth."""
    assert [86400.0, 88560.0] == [next_attempt_delay(9, None, jitter) for jitter in (0.0, 0.5)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        ("120", 120.0),
        (" 120 ", 120.0),
        ("0000000120", 120.0),
        ("86400", 86400.0),
        ("86401", MAX_RETRY_AFTER_S),
        ("1000000000", MAX_RETRY_AFTER_S),
        ("9" * 10_000, MAX_RETRY_AFTER_S),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("1e3", None),
        ("0x10", None),
        ("²", None),
        ("١٢", None),
        ("soon", None),
        ("120, 240", None),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        (formatdate(NOW + 10**9, usegmt=True), MAX_RETRY_AFTER_S),
        ("Tuesday, 14-Nov-23 22:14:20 GMT", 60.0),
        ("Tue Nov 14 22:14:20 2023", 60.0),
        ("Tue, 14 Nov 2023 24:99:99 GMT", None),
        ("Tue, 14 Nov 99999 22:14:20 GMT", None),
        ("Tue, 31 Feb 2023 22:14:20 GMT", None),
        ("Tue, 14 Nov 0000 22:14:20 GMT", 0.0),
        ("Tue, " * 1000, None),
    ],
)
def test_retry_after_of_both_forms(text: str | None, seconds: float | None) -> None:
    """Seconds and dates are understood, at most 24 h; what is neither says nothing."""
    assert seconds == parse_retry_after(text, NOW)


@given(st.text(max_size=50) | st.from_regex(r"\w{3}, \d{1,2} \w{3} \d{1,5} \d\d:\d\d:\d\d( [+-]?\w{1,5})?", fullmatch=True))
def test_any_text_is_survived(text: str) -> None:
    """Whatever a receiver writes into Retry-After gives nothing, or 0 to 24 h."""
    seconds = parse_retry_after(text, NOW)

    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER_S


@given(st.datetimes(timezones=st.just(UTC)).filter(lambda date: date.year >= 1000))
def test_any_date_is_read(date: datetime) -> None:
    """Every HTTP date gives the seconds until it, from 0 to 24 h."""
    assert min(max(ceil(date.replace(microsecond=0).timestamp() - NOW), 0), 86400) == parse_retry_after(
        format_datetime(date, usegmt=True), NOW
    )
