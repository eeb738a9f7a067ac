"""Webhooks are signed as Standard Webhooks says, and its own library takes them."""

import base64
import json
import time
from datetime import UTC, datetime

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from app.errors import SettingError
from app.jobs.webhook_signature import headers, parse_secrets, sign, verify

CURRENT = "whsec_" + base64.b64encode(bytes(range(32))).decode()
PREVIOUS = "whsec_" + base64.b64encode(bytes(range(100, 124))).decode()
BODY = json.dumps({"type": "job.succeeded", "data": {"id": "ä"}}, ensure_ascii=False).encode()


@given(key=st.binary(min_size=24, max_size=64), body=st.text(), webhook_id=st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True))
def test_signatures_are_those_of_the_standards_library(key: bytes, body: str, webhook_id: str) -> None:
    """Every key, id and body gives the signature that the standard's own library gives."""
    now = int(time.time())
    mine = sign(parse_secrets("whsec_" + base64.b64encode(key).decode()), webhook_id, now, body.encode("utf-8", "surrogatepass"))
    if "\ud800" <= max(body, default="") <= "\udfff":
        return
    theirs = standardwebhooks.Webhook(key).sign(webhook_id, datetime.fromtimestamp(now, UTC), body)

    assert theirs == mine


def test_signature_of_the_specification() -> None:
    """The message of the standard's test suite has the signature that is written there."""
    secrets = parse_secrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    assert "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" == sign(
        secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )


@pytest.mark.parametrize("receiver", [CURRENT, PREVIOUS])
def test_receivers_of_both_keys_take_a_webhook_while_they_change_over(receiver: str) -> None:
    """With two keys there are two signatures, and the standard's library takes the webhook with either key."""
    sent = headers(parse_secrets(f"{CURRENT} {PREVIOUS}"), "msg_1", int(time.time()), BODY)

    assert 2 == len(sent["webhook-signature"].split(" "))
    assert json.loads(BODY) == standardwebhooks.Webhook(receiver).verify(BODY, sent)


def test_one_key_makes_one_signature() -> None:
    """With one key there is one signature, and a receiver with another key refuses it."""
    sent = headers(parse_secrets(CURRENT), "msg_1", int(time.time()), BODY)

    assert sent["webhook-signature"].startswith("v1,")
    assert " " not in sent["webhook-signature"]
    assert verify(parse_secrets(CURRENT), sent, BODY, now=time.time())
    assert not verify(parse_secrets(PREVIOUS), sent, BODY, now=time.time())


def test_our_verifier_takes_what_the_standards_library_signs() -> None:
    """The verifier that the documentation shows takes a message of the standard's library."""
    signature = standardwebhooks.Webhook(CURRENT).sign("msg_1", datetime.fromtimestamp(1_000_000, UTC), BODY.decode())
    sent = {"webhook-id": "msg_1", "webhook-timestamp": "1000000", "webhook-signature": f"v1a,xyz v2 {signature}"}

    assert verify(parse_secrets(CURRENT), sent, BODY, now=1_000_000)


@pytest.mark.parametrize(("minutes", "taken"), [(-6, False), (-4, True), (0, True), (4, True), (6, False)])
def test_replays_are_refused(minutes: int, taken: bool) -> None:
    """A message is taken for five minutes, and from a clock that is at most five minutes ahead."""
    sent = headers(parse_secrets(CURRENT), "msg_1", 1_000_000, BODY)

    assert taken == verify(parse_secrets(CURRENT), sent, BODY, now=1_000_000 + minutes * 60)


GOOD = headers(parse_secrets(CURRENT), "msg_1", 1_000_000, BODY)


@pytest.mark.parametrize(
    ("changed", "body"),
    [
        ({}, BODY + b" "),
        ({}, BODY[:-1]),
        ({"webhook-id": "msg_2"}, BODY),
        ({"webhook-id": "msg_1.1000000"}, BODY),
        ({"webhook-id": ""}, BODY),
        ({"webhook-timestamp": "1000001"}, BODY),
        ({"webhook-timestamp": "01000000"}, BODY),
        ({"webhook-timestamp": "1000000.0"}, BODY),
        ({"webhook-timestamp": "٣"}, BODY),
        ({"webhook-timestamp": "9" * 5000}, BODY),
        ({"webhook-timestamp": ""}, BODY),
        ({"webhook-signature": GOOD["webhook-signature"][:-2]}, BODY),
        ({"webhook-signature": GOOD["webhook-signature"].removeprefix("v1,")}, BODY),
        ({"webhook-signature": GOOD["webhook-signature"].replace("v1,", "v2,")}, BODY),
        ({"webhook-signature": GOOD["webhook-signature"].swapcase()}, BODY),
        ({"webhook-signature": "v1,"}, BODY),
        ({"webhook-signature": "é\ud800"}, BODY),
        ({"webhook-signature": ""}, BODY),
    ],
)
def test_altered_messages_are_refused(changed: dict[str, str], body: bytes) -> None:
    """A body, id, time or signature that is not the one that was sent is refused."""
    # a leading zero is the same number, and another text
    now = 1_000_000

    assert verify(parse_secrets(CURRENT), GOOD, BODY, now=now)
    assert (changed.get("webhook-timestamp") == "01000000") == verify(parse_secrets(CURRENT), GOOD | changed, body, now=now)


@pytest.mark.parametrize("webhook_id", ["", "a.b", "a b", "a\r\nX: y", "ä", "a" * 129, "a\n"])
def test_ids_that_could_move_a_border_are_not_signed(webhook_id: str) -> None:
    """An id with a full stop or with what no header takes is not signed."""
    with pytest.raises(ValueError, match="letters, digits"):
        sign(parse_secrets(CURRENT), webhook_id, 1, b"")


def encoded(size: int) -> str:
    return base64.b64encode(bytes(range(200, 200 + size % 50)) + b"k" * (size - size % 50)).decode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has 0 secrets"),
        (" \n", "has 0 secrets"),
        (f"{CURRENT} {PREVIOUS} {CURRENT}", "has 3 secrets"),
        (f"{CURRENT} {CURRENT}", "are the same"),
        (encoded(32), "first secret does not begin with whsec_"),
        (f"WHSEC_{encoded(32)}", "first secret does not begin with whsec_"),
        (f"whsk_{encoded(32)}", "first secret does not begin with whsec_"),
        (f"{CURRENT} {encoded(32)}", "second secret does not begin with whsec_"),
        (f"{CURRENT},{PREVIOUS}", "first secret is not base64"),
        ("whsec_-" + encoded(32)[1:], "first secret is not base64"),
        ("whsec_" + encoded(32)[:-1], "first secret is not base64"),
        ("whsec_" + encoded(32)[:-2], "first secret is not base64"),
        ("whsec_ä" + encoded(32), "first secret is not base64"),
        ("whsec_" + "=" * 44, "first secret is not base64"),
        ("whsec_", "first secret has 0 bytes"),
        (f"whsec_{encoded(23)}", "first secret has 23 bytes"),
        (f"{CURRENT} whsec_{encoded(65)}", "second secret has 65 bytes"),
    ],
)
def test_wrong_secrets_are_named_and_never_shown(text: str, said: str) -> None:
    """A secrets setting that is wrong is refused with what is wrong and how to make one, without any part of a secret."""
    with pytest.raises(SettingError) as raised:
        parse_secrets(text)

    assert f"WEBHOOK_SECRETS{':' if 'secret ' in said or 'same' in said else ''} " in str(raised.value)
    assert said in str(raised.value)
    assert not [word for word in text.split() if len(word) > 6 and word[6:14] in str(raised.value)]
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


@pytest.mark.parametrize("size", [24, 32, 64])
def test_secrets_of_every_allowed_length_are_taken(size: int) -> None:
    """Secrets of 24 to 64 bytes are taken, whatever white space is between them."""
    loose, plain = parse_secrets(f" whsec_{encoded(size)}\n{PREVIOUS}\t"), parse_secrets(f"whsec_{encoded(size)} {PREVIOUS}")

    assert sign(loose, "a", 1, b"x") == sign(plain, "a", 1, b"x")


def test_keys_are_not_printed() -> None:
    """The keys are in neither the text nor the fields of what holds them."""
    secrets = parse_secrets(CURRENT)

    assert "Secrets(1)" == repr(secrets) == str(secrets)
    assert not hasattr(secrets, "__dict__")


def test_a_generated_secret_is_base64_alone() -> None:
    """Where a secret may be bare, 64 letters and digits sign as they do behind whsec_, and one beside the other as well; elsewhere they are refused."""
    bare, old = "a1" * 32, "Zz9" * 16
    signed = sign(parse_secrets(f"whsec_{bare} whsec_{old}"), "msg_1", 1, b"{}")

    assert signed == sign(parse_secrets(f"{bare} whsec_{old}", bare=True), "msg_1", 1, b"{}")
    with pytest.raises(SettingError, match="does not begin with whsec_"):
        parse_secrets(bare)
    with pytest.raises(SettingError, match="is not base64"):
        parse_secrets(bare[:-1], bare=True)
