"""What becomes of an attempt, against receivers that do what receivers do."""

import json
import socket
import threading
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import app
from app.jobs.webhook_address import AddressPolicy, check_url
from app.jobs.webhook_connection import MAX_ANSWER_BYTES, open_socket
from app.jobs.webhook_request import Outcome, send
from app.jobs.webhook_signature import parse_secrets
from local.authority import DAY, HOST, NOW, Authority
from tests.jobs.webhook_receivers import (
    Behaviour,
    Receiver,
    answers,
    drips,
    hangs_up,
    resets,
    says_nothing,
    status,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LAPTOP = AddressPolicy(allow_private=True)
BODY = b'{"type":"job.succeeded","data":{"id":"1"}}'
LONG_S, SHORT_S = 30.0, 0.4


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """An authority that this machine trusts, as it would one of the operator's: by OpenSSL's own variable."""
    authority = Authority(tmp_path_factory.mktemp("trusted"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(authority.file))
        yield authority


def deliver(receiver: Receiver, *, timeout_s: float = LONG_S, scheme: str = "https", host: str = HOST, path: str = "/hook?a=1") -> Outcome:
    return send(
        check_url(f"{scheme}://{host}:{receiver.port}{path}", allow=LAPTOP),
        BODY,
        webhook_id="msg_1",
        secrets=parse_secrets(SECRET),
        timeout_s=timeout_s,
        resolve=lambda host, port: ["127.0.0.1"],
    )


def test_a_webhook_arrives(trusted: Authority) -> None:
    """The receiver gets one POST with the body as it is and headers by which the standard's own library verifies it."""
    with Receiver(answers(status("200 OK", body=b"thanks")), trusted.server()) as receiver:
        outcome = deliver(receiver)
    head, _, body = receiver.requests[0].partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}

    assert ("delivered", 200, None, None, "200") == (*outcome[:4], outcome.label)
    assert 0 < outcome.duration_s < LONG_S
    assert "POST /hook?a=1 HTTP/1.1" == line
    assert len(fields) == len(headers)
    assert BODY == body
    assert json.loads(BODY) == standardwebhooks.Webhook(SECRET).verify(body, headers)
    assert "msg_1" == headers["webhook-id"]
    assert f"{HOST}:{receiver.port}" == headers["host"]
    assert "application/json" == headers["content-type"]
    assert f"onnx-lambda/{app.__version__}" == headers["user-agent"]
    assert set(headers) == {
        *("host", "user-agent", "content-type", "content-length", "accept-encoding", "connection"),
        *("webhook-id", "webhook-timestamp", "webhook-signature"),
    }


def test_attempts_have_one_id_and_each_its_time(trusted: Authority) -> None:
    """Another attempt has the same id, its own time, and so another signature."""
    clock = iter([1_000_000.9, 1_000_000.9, 1_000_005.0, 1_000_005.0])
    with Receiver(answers(status("500 Oops")), trusted.server()) as receiver:
        for _ in range(2):
            send(
                check_url(f"https://{HOST}:{receiver.port}/", allow=LAPTOP),
                BODY,
                webhook_id="msg_1",
                secrets=parse_secrets(SECRET),
                resolve=lambda host, port: ["127.0.0.1"],
                now=lambda: next(clock),
            )
    first, second = ({line.split(b": ")[0]: line for line in request.split(b"\r\n") if b": " in line} for request in receiver.requests)

    assert first[b"webhook-id"] == second[b"webhook-id"]
    assert [b"webhook-timestamp: 1000000", b"webhook-timestamp: 1000005"] == [one[b"webhook-timestamp"] for one in (first, second)]
    assert first[b"webhook-signature"] != second[b"webhook-signature"]


@pytest.mark.parametrize(
    ("line", "disposition"),
    [
        *[(line, "delivered") for line in ("200 OK", "201 Created", "202 Accepted", "204 No Content", "299 Fine", "200")],
        *[(line, "retry") for line in ("300 Many", "301 Moved", "302 Found", "303 See", "304 Same", "307 Moved", "308 Moved")],
        *[(line, "retry") for line in ("400 Bad", "401 Who", "403 No", "404 None", "405 No", "408 Slow", "409 No", "413 Big", "422 No")],
        *[(line, "retry") for line in ("429 Many", "500 Oops", "502 Bad", "503 Busy", "504 Late", "599 Hm", "600 Hm", "999 Hm")],
        ("410 Gone", "stop"),
    ],
)
def test_statuses(trusted: Authority, line: str, disposition: str) -> None:
    """2xx is delivered, 410 ends it, everything else, redirects with it, is tried again."""
    with Receiver(answers(status(line)), trusted.server()) as receiver:
        outcome = deliver(receiver)

    assert (disposition, int(line[:3]), None) == outcome[:3]


@pytest.mark.parametrize("line", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"])
def test_redirects_are_not_followed(trusted: Authority, line: str) -> None:
    """A redirect, to metadata or to a server that is there, is a failure; nobody else is called."""
    with Receiver(answers(status("200 OK"))) as trap:
        for location in (f"http://127.0.0.1:{trap.port}/", "http://169.254.169.254/latest/meta-data/", "/hook"):
            with Receiver(answers(status(line, f"Location: {location}")), trusted.server()) as receiver:
                outcome = deliver(receiver)

            assert ("retry", int(line[:3]), None) == outcome[:3]
            assert 1 == receiver.accepted
    assert 0 == trap.accepted


@pytest.mark.parametrize(
    ("line", "value", "seconds"),
    [
        ("429 Many", "120", 120.0),
        ("503 Busy", "120", 120.0),
        ("429 Many", "1000000000", 86400.0),
        ("429 Many", formatdate(NOW.timestamp() + 10 * 86400, usegmt=True), 86400.0),
        ("429 Many", formatdate(NOW.timestamp() - 3600, usegmt=True), 0.0),
        ("429 Many", "later", None),
    ],
)
def test_retry_after_is_passed_on(trusted: Authority, line: str, value: str, seconds: float | None) -> None:
    """What the receiver asks for in Retry-After, as seconds or as a date, is in the outcome, at most 24 h."""
    with Receiver(answers(status(line, f"Retry-After: {value}")), trusted.server()) as receiver:
        outcome = deliver(receiver)

    assert ("retry", int(line[:3]), None, seconds) == outcome[:4]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + status("204 No Content"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nto the end",
        b"HTTP/1.1 200 OK\n\n",
    ],
)
def test_answers_of_every_form_are_read(trusted: Authority, answer: bytes) -> None:
    """Interim answers, chunks, bodies to the end of the connection and bare line feeds are understood."""
    with Receiver(answers(answer), trusted.server()) as receiver:
        outcome = deliver(receiver)

    assert "delivered" == outcome.disposition


BROKEN: dict[str, tuple[Behaviour, str]] = {
    "resets": (resets, "connection-reset"),
    "hangs up": (hangs_up, "connection-reset"),
    "status cut off": (answers(b"HTTP/1.1 2"), "bad-answer"),
    "body cut off": (answers(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), "bad-answer"),
    "chunk cut off": (answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc"), "bad-answer"),
    "chunk without a size": (answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc"), "bad-answer"),
    "not HTTP": (answers(b"SSH-2.0-OpenSSH_9.6\r\n"), "bad-answer"),
    "HTTP/2": (answers(b"\0\0\x12\4\0\0\0\0\0\0\3\0\0\0\x80\r\n"), "bad-answer"),
    "no status": (answers(b"HTTP/1.1 abc\r\n\r\n"), "bad-answer"),
    "endless interim answers": (drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 500), "bad-answer"),
    "header flood": (drips(b"HTTP/1.1 200 OK\r\n", b"X-Flood: 1\r\n" * 500), "bad-answer"),
    "many headers": (answers(status("200 OK", *(f"X-{number}: 1" for number in range(200)))), "bad-answer"),
    "long header": (answers(status("200 OK", "X-Long: " + "x" * 100_000)), "bad-answer"),
    "long status line": (drips(b"HTTP/1.1 200 ", b"O" * 10_000), "bad-answer"),
}


@pytest.mark.parametrize("behaviour", BROKEN)
def test_broken_answers_are_tried_again(trusted: Authority, behaviour: str) -> None:
    """An answer that breaks off, floods or is no HTTP is a failure with a word for it, and is tried again."""
    with Receiver(BROKEN[behaviour][0], trusted.server()) as receiver:
        outcome = deliver(receiver)

    assert ("retry", BROKEN[behaviour][1], None) == (outcome.disposition, outcome.fault, outcome.retry_after_s)
    assert BROKEN[behaviour][1] == outcome.label


def accepts_only(receiver: Receiver, connection: socket.socket) -> None:
    receiver.ended.wait(10)


SLOW: dict[str, Behaviour] = {
    "no answer": says_nothing,
    "dripping status": drips(b"H", b"T"),
    "dripping headers": drips(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    "dripping interim answers": drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "dripping body": drips(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
    "dripping body to the end": drips(b"HTTP/1.1 200 OK\r\n\r\n"),
    "dripping chunks": drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
}


@pytest.mark.parametrize("behaviour", SLOW)
def test_slow_answers_end_at_the_deadline(trusted: Authority, behaviour: str) -> None:
    """A receiver that never ends, though it sends something all the while, is given up when the attempt's time is up."""
    with Receiver(SLOW[behaviour], trusted.server()) as receiver:
        outcome = deliver(receiver, timeout_s=SHORT_S)

    assert ("retry", "timeout") == (outcome.disposition, outcome.fault)
    assert (200 if "body" in behaviour or "chunks" in behaviour else None) == outcome.status


def test_slow_handshakes_end_at_the_deadline(trusted: Authority) -> None:
    """A receiver that never answers, or drips into, the TLS handshake is given up when the time is up."""

    def drip_hello(receiver: Receiver, connection: socket.socket) -> None:
        # the begin of a handshake record of 16 KiB, which never ends
        receiver.write(connection, b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")
        while not receiver.ended.wait(0.01):
            receiver.write(connection, b"\0")

    for behaviour in (accepts_only, drip_hello):
        with Receiver(behaviour) as receiver:
            outcome = deliver(receiver, timeout_s=SHORT_S)

        assert ("retry", None, "timeout") == outcome[:3]


def reads_slowly(receiver: Receiver, connection: socket.socket) -> None:
    while (read := connection.recv(16384)) and not receiver.ended.wait(0.001):
        receiver.requests.append(read)


@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize("behaviour", [accepts_only, reads_slowly])
def test_receivers_that_do_not_read_end_at_the_deadline(trusted: Authority, behaviour: Behaviour, scheme: str) -> None:
    """A request that the receiver does not read, or reads a little of all the while, is given up when the time is up."""
    body = bytes(64 * 2**20)
    with Receiver(behaviour, trusted.server() if scheme == "https" else None) as receiver:
        outcome = send(
            check_url(f"{scheme}://{HOST}:{receiver.port}/", allow=LAPTOP),
            body,
            webhook_id="msg_1",
            secrets=parse_secrets(SECRET),
            timeout_s=1,
            resolve=lambda host, port: ["127.0.0.1"],
        )

    assert ("retry", None, "timeout") == outcome[:3]
    # at 16 KiB a millisecond at most, a request without a deadline would go on to its end
    assert len(body) / 2 > sum(map(len, receiver.requests))


def test_slow_resolvers_end_at_the_deadline() -> None:
    """A resolver that does not answer is given up, and nothing is connected to."""
    ended = threading.Event()

    def resolve(host: str, port: int) -> list[str]:
        ended.wait(60)
        return []

    try:
        target = check_url("https://hooks.example.com/")
        outcome = send(target, BODY, webhook_id="msg_1", secrets=parse_secrets(SECRET), timeout_s=0.1, resolve=resolve)
    finally:
        ended.set()

    assert ("retry", None, "resolver-timeout") == outcome[:3]


@pytest.mark.parametrize("fields", ["Content-Length: 10000000000", "Transfer-Encoding: chunked", "X: to the end"])
def test_huge_answers_are_not_read(trusted: Authority, fields: str) -> None:
    """Of an answer of 10 GB no more than 64 KiB is read; its status counts."""
    piece = b"10000\r\n" + bytes(65536) + b"\r\n" if "chunked" in fields else bytes(65536)

    def flood(receiver: Receiver, connection: socket.socket) -> None:
        receiver.read_request(connection)
        receiver.write(connection, f"HTTP/1.1 200 OK\r\n{fields}\r\n\r\n".encode())
        while receiver.sent < 10_000_000_000:
            receiver.write(connection, piece)

    read = 0

    class Counted(socket.socket):
        """A socket that counts what is read from it."""

        def recv_into(self, *arguments: Any) -> int:
            nonlocal read
            count = super().recv_into(*arguments)
            read += count
            return count

    def connect(address: str, port: int, timeout_s: float) -> socket.socket:
        return Counted(fileno=open_socket(address, port, timeout_s).detach())

    with Receiver(flood, trusted.server()) as receiver:
        assert ("delivered", 200, None) == deliver(receiver)[:3]
        assert receiver.sent < 100_000_000
    with Receiver(flood) as receiver:
        outcome = send(
            check_url(f"http://{HOST}:{receiver.port}/", allow=LAPTOP),
            BODY,
            webhook_id="msg_1",
            secrets=parse_secrets(SECRET),
            resolve=lambda host, port: ["127.0.0.1"],
            connect=connect,
        )

    assert ("delivered", 200, None) == outcome[:3]
    assert MAX_ANSWER_BYTES >= read > 0


def test_certificates_are_checked(trusted: Authority, tmp_path: Path) -> None:
    """An expired certificate, one not yet valid, another host's and one of an unknown authority are refused before anything is sent."""
    wrong = [
        trusted.server(begins=NOW - 5 * DAY, ends=NOW - DAY),
        trusted.server(begins=NOW + DAY / 2, ends=NOW + DAY),
        trusted.server("other.example.com"),
        trusted.server("*.receiver.example.com"),
        trusted.server("*.com"),
        trusted.server("127.0.0.1"),
        Authority(tmp_path).server(),
    ]
    for context in wrong:
        with Receiver(answers(status("200 OK")), context) as receiver:
            outcome = deliver(receiver)

        assert ("retry", None, "tls-failed") == outcome[:3]
        assert (1, []) == (receiver.accepted, receiver.requests)


def test_certificates_of_hosts_wildcards_and_addresses_are_taken(trusted: Authority) -> None:
    """A certificate for the host, for its wildcard, or for the address where the URL has one, is good."""
    for host, certificate in ((HOST, HOST), (HOST, "*.example.com"), ("127.0.0.1", "127.0.0.1")):
        with Receiver(answers(status("200 OK")), trusted.server(certificate)) as receiver:
            assert "delivered" == deliver(receiver, host=host).disposition


def test_name_is_sent_in_the_handshake(trusted: Authority) -> None:
    """The host of the URL is the server name of the handshake (SNI), although an address is connected to."""
    names = []
    context = trusted.server()
    context.sni_callback = lambda connection, name, _: names.append(name)
    with Receiver(answers(status("200 OK")), context) as receiver:
        deliver(receiver)

    assert [HOST] == names


def test_servers_without_tls_are_refused(trusted: Authority) -> None:
    """A receiver that speaks plain HTTP where https was asked for is refused, and is not spoken to in plain HTTP."""

    def speak_plainly(receiver: Receiver, connection: socket.socket) -> None:
        receiver.requests.append(connection.recv(65536))
        receiver.write(connection, status("200 OK"))

    with Receiver(speak_plainly) as receiver:
        outcome = deliver(receiver)

    assert ("retry", None, "tls-failed") == outcome[:3]
    assert [True] == [b"POST" not in request for request in receiver.requests]


def test_nobody_listening() -> None:
    """A port that nobody listens at is a failed connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    target = check_url(f"https://{HOST}:{port}/", allow=LAPTOP)
    outcome = send(target, BODY, webhook_id="msg_1", secrets=parse_secrets(SECRET), resolve=lambda host, port: ["127.0.0.1"])

    assert ("retry", None, "connection-failed", None) == outcome[:4]


def test_proxies_of_the_environment_are_not_used(trusted: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy variable, in either case, sends a webhook anywhere but to its receiver."""
    with Receiver(answers(status("200 OK"))) as proxy, Receiver(answers(status("200 OK")), trusted.server()) as receiver:
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv(name.lower(), f"http://127.0.0.1:{proxy.port}")
        outcome = deliver(receiver)

    assert "delivered" == outcome.disposition
    assert (0, 1) == (proxy.accepted, receiver.accepted)


def test_gone_stops_although_the_body_breaks_off(trusted: Authority) -> None:
    """410 stops the webhook, whatever becomes of its body; a 2xx whose body breaks off is sent again."""
    for line, disposition in (("410 Gone", "stop"), ("200 OK", "retry")):
        with Receiver(answers(f"HTTP/1.1 {line}\r\nContent-Length: 9\r\n\r\nabc".encode()), trusted.server()) as receiver:
            assert (disposition, int(line[:3]), "bad-answer") == deliver(receiver)[:3]


def test_nothing_of_the_receiver_is_in_the_outcome(trusted: Authority) -> None:
    """The outcome has no address, no text of the receiver's and no library's text."""
    with Receiver(answers(b"HTTP/1.1 200 SECRET\r\nX-A: SECRET\r\nContent-Length: 99\r\n\r\nSECRET"), trusted.server()) as receiver:
        outcome = deliver(receiver)

    assert "SECRET" not in repr(outcome)
    assert "127.0.0.1" not in repr(outcome)


@given(answer=st.binary(max_size=300) | st.binary(max_size=60).map(lambda rest: b"HTTP/1.1 200 OK\r\n" + rest))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=150)
def test_any_answer_is_survived(answer: bytes) -> None:
    """Whatever bytes a receiver answers, the attempt has an outcome."""
    with Receiver(answers(answer)) as receiver:
        outcome = deliver(receiver, scheme="http")

    assert outcome.disposition in {"delivered", "retry", "stop"}
    assert outcome.fault in {None, "bad-answer", "connection-reset"}
