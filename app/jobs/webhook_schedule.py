"""When a webhook that was not taken is sent again."""

import math
import re

# The example of Standard Webhooks 1.0.0, "Deliverability and reliability": ten attempts, the last one 75 h 35 min after the first.
DELAYS_S = (0, 5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
# No receiver can put an attempt off for longer than the schedule itself would.
MAX_RETRY_AFTER_S = float(max(DELAYS_S))
# Receivers that failed together are not called together again: up to a twentieth is added, never taken away.
JITTER = 0.05
_SECONDS = re.compile(r"[0-9]+")


def next_attempt_delay(attempt: int, retry_after_s: float | None, jitter: float) -> float | None:
    """How many seconds after attempt number ``attempt`` failed the next one is due; None after the last.

    ``Retry-After`` makes a wait longer, up to 24 h, and never shorter: a receiver in trouble cannot ask for more traffic than planned.

    :param attempt: how many attempts were made; 0 for a webhook that is new.
    :param jitter: a random number in [0, 1).
    """
    if attempt >= len(DELAYS_S):
        return None
    wait = max(float(DELAYS_S[attempt]), min(retry_after_s or 0.0, MAX_RETRY_AFTER_S))
    return wait + wait * jitter * JITTER


def parse_retry_after(text: str | None, now: float) -> float | None:
    """The seconds that a ``Retry-After`` asks for, of either form (RFC 9110, section 10.2.3), at most 24 h; None where it says nothing.

    :param now: seconds since the epoch, for a date.
    """
    text = (text or "").strip()
    if _SECONDS.fullmatch(text):
        # Python refuses to read integers of more than 4,300 digits, and none of more than 6 matters
        return MAX_RETRY_AFTER_S if len(text.lstrip("0")) > 6 else min(float(text), MAX_RETRY_AFTER_S)
    return _until(text, now)


def _until(text: str, now: float) -> float | None:
    """The seconds until an HTTP date; 0 for one that has passed."""
    from datetime import UTC
    from email.utils import parsedate_to_datetime

    # the longest of the three forms has 33 characters ("Wednesday, 09-Nov-94 08:49:37 GMT")
    if not 0 < len(text) <= 40:
        return None
    try:
        date = parsedate_to_datetime(text)
        # asctime's form names no zone; every HTTP date is in GMT (RFC 9110, section 5.6.7)
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(math.ceil(seconds), 0.0), MAX_RETRY_AFTER_S)
