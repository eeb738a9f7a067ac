"""The signature of a webhook, as Standard Webhooks 1.0.0 has it: HMAC-SHA256 over the id, the time and the body.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping

from app.errors import SettingError

PREFIX = "whsec_"
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64
MAX_SECRETS = 2
# Longer than clocks differ and shorter than a recorded message is of use; the value of Standard Webhooks' own libraries.
TOLERANCE_S = 300
_EXPECTED = (
    f"expected {PREFIX} and {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} random bytes in base64; make one with "
    "`python -c \"import base64, os; print('whsec_' + base64.b64encode(os.urandom(32)).decode())\"`"
)
_ID = re.compile(r"[A-Za-z0-9_\-]{1,128}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class Secrets:
    """The keys that webhooks are signed with: the current one, and while receivers change over, the previous one."""

    __slots__ = ("_keys",)

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self._keys = keys

    def __repr__(self) -> str:
        """Without the keys, so that no log, traceback or debugger's line has them."""
        return f"Secrets({len(self._keys)})"

    def macs(self, signed: bytes) -> list[bytes]:
        """The HMAC-SHA256 of a message under each key, the current one first."""
        return [hmac.digest(key, signed, hashlib.sha256) for key in self._keys]


def parse_secrets(text: str, setting: str = "WEBHOOK_SECRETS", *, bare: bool = False) -> Secrets:
    """The secrets of a setting: the current one, and after a space the previous one.

    :param bare: whether a secret may be base64 alone: Secrets Manager generates letters and digits, and puts nothing before them.
    :raises SettingError: saying which of them is wrong and how, and never what it is.
    """
    words = text.split()
    if not 1 <= len(words) <= MAX_SECRETS:
        raise SettingError(
            f"{setting} has {len(words)} secrets; expected the current one and, while receivers change over, the previous one after a space"
        )
    keys = tuple(
        _read_key(word if word.startswith(PREFIX) or not bare else PREFIX + word, f"{setting}: the {place} secret")
        for word, place in zip(words, ("first", "second"), strict=False)
    )
    if len(set(keys)) != len(keys):
        raise SettingError(f"{setting}: the two secrets are the same; leave one of them out")
    return Secrets(keys)


def _read_key(word: str, which: str) -> bytes:
    """The bytes of one secret. Padding is asked for, though the standard's libraries do without: a secret that was cut short lacks it."""
    if not word.startswith(PREFIX):
        raise SettingError(f"{which} does not begin with {PREFIX}; {_EXPECTED}")
    try:
        key = base64.b64decode(word.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):  # ValueError: a letter outside ASCII
        # "from None": the message of the decoder's error may quote what it read
        raise SettingError(f"{which} is not base64; {_EXPECTED}") from None
    if not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise SettingError(f"{which} has {len(key)} bytes; {_EXPECTED}")
    return key


def sign(secrets: Secrets, webhook_id: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``: ``v1,<base64>`` for each key, separated by spaces.

    :param timestamp: when this attempt is made, in whole seconds since the epoch.
    :raises ValueError: for an id with a full stop, which could move the border between the id, the time and the body, or with any
        other character that does not belong into a header.
    """
    if not _ID.fullmatch(webhook_id) or not 0 <= timestamp < 10**12:
        raise ValueError("a webhook's id is 1 to 128 letters, digits, '_' and '-', and its time a number of seconds")
    macs = secrets.macs(f"{webhook_id}.{timestamp}.".encode() + body)
    return " ".join(f"v1,{base64.b64encode(mac).decode()}" for mac in macs)


def headers(secrets: Secrets, webhook_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks. The id is the same in every attempt, the time and so the signature are new."""
    signature = sign(secrets, webhook_id, timestamp, body)
    return {"webhook-id": webhook_id, "webhook-timestamp": str(timestamp), "webhook-signature": signature}


def verify(secrets: Secrets, received: Mapping[str, str], body: bytes, *, now: float, tolerance_s: float = TOLERANCE_S) -> bool:
    """Whether a request is a webhook of one of these secrets' holder, unchanged and not older (or newer) than the tolerance.

    This is what a receiver does. It must also remember each ``webhook-id`` it has acted on, since an attempt whose answer was
    lost is made again.

    :param received: the headers, their names in lower case.
    """
    webhook_id, timestamp = received.get("webhook-id", ""), received.get("webhook-timestamp", "")
    if not _ID.fullmatch(webhook_id) or not _TIMESTAMP.fullmatch(timestamp) or abs(now - int(timestamp)) > tolerance_s:
        return False
    expected = [signature.encode() for signature in sign(secrets, webhook_id, int(timestamp), body).split(" ")]
    given = [signature.encode(errors="replace") for signature in received.get("webhook-signature", "").split(" ")]
    # Compared in constant time: how long it takes tells nothing of where a signature is wrong.
    return any(hmac.compare_digest(one, other) for one in expected for other in given)
