"""What a caller prefers: ``Prefer`` (RFC 7240) and the fields that go with an answer that comes later."""

from collections.abc import Iterator
from typing import NamedTuple

from app.errors import Invalid, Unreadable
from app.http.message import Request
from app.jobs.job import Webhook

# draft-ietf-httpapi-idempotency-key-header-07 leaves the length to the server.
_LONGEST_KEY = 255
_LONGEST_LABEL = 256
LONGEST_WAIT_S = 60.0


class Preferences(NamedTuple):
    """``wait_s`` is how long the caller waits before he takes a 202."""

    respond_async: bool
    wait_s: float | None


def preferences_of(request: Request) -> Preferences:
    """The preferences that this server knows; every other is passed over, as RFC 7240, section 2, asks for."""
    found: dict[str, str] = {}
    for item in _parted(request.headers.get("prefer", ""), ","):
        name, _, value = next(_parted(item, ";")).partition("=")
        # "If any preference is specified more than once, only the first instance is to be considered"
        found.setdefault(name.strip().lower(), value.strip().strip('"'))
    wait = found.get("wait", "")
    # A value that is no number of seconds is passed over with its preference, and so is a value where there is none to give.
    seconds = min(float(wait), LONGEST_WAIT_S) if wait.isascii() and wait.isdigit() else None
    return Preferences(found.get("respond-async") == "", seconds)


def _parted(text: str, separator: str) -> Iterator[str]:
    """The parts between separators that do not stand in a quoted string (RFC 9110, section 5.6.4)."""
    start, quoted, escaped = 0, False, False
    for at, letter in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and letter == "\\":
            escaped = True
        elif letter == '"':
            quoted = not quoted
        elif letter == separator and not quoted:
            yield text[start:at]
            start = at + 1
    yield text[start:]


def idempotency_key_of(request: Request) -> str | None:
    """The caller's key; it may stand in quotes, as the draft writes it, or bare, as most clients send it.

    :raises Unreadable: for one that is no key.
    """
    text = request.headers.get("idempotency-key")
    if text is None:
        return None
    key = text.strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not 0 < len(key) <= _LONGEST_KEY or not all("!" <= letter <= "~" for letter in key):
        raise Unreadable(f"Idempotency-Key takes 1 to {_LONGEST_KEY} visible characters of US-ASCII, such as a UUID.")
    return key


def webhook_of(request: Request) -> Webhook | None:
    """Who is to be told of the job's end. The address may be none: :mod:`app.jobs.webhook_address` refuses those.

    :raises Invalid: for a label without an address, or one that is too long.
    """
    url, label = request.headers.get("webhook-url"), request.headers.get("webhook-id", "")
    if url is None:
        if label:
            raise Invalid("Webhook-Id is a label for a webhook, but there is no Webhook-Url to send one to.")
        return None
    if len(label) > _LONGEST_LABEL or not label.isascii() or not label.isprintable():
        raise Invalid(f"Webhook-Id takes at most {_LONGEST_LABEL} printable characters of US-ASCII.")
    return Webhook(url, label)
