"""A webhook is never sent to an address inside, whatever the name meant when it was submitted."""

import contextlib
import socket
from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.jobs.errors import WebhookRefused
from app.jobs.webhook_address import PUBLIC, AddressPolicy, Target, check_resolves, check_url
from app.jobs.webhook_connection import AttemptFailed, Connect, Deadline, open_connection, open_socket
from app.jobs.webhook_request import Outcome, send
from app.jobs.webhook_signature import parse_secrets
from tests.jobs.test_webhook_address import HOSTS, URLS
from tests.jobs.webhook_receivers import Receiver, answers, listens, status
from tests.jobs.webhook_urls import ANSWERS, NAME, REFUSED, reaches_inside, read_by_libc

SECRETS = parse_secrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
LAPTOP = AddressPolicy(allow_private=True)


class Network:
    """A resolver and a dialler of the test's own: what was asked, where a connection was tried; nobody is there."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.tried: list[str] = []

    def resolve(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def connect(self, address: str, port: int, timeout_s: float) -> socket.socket:
        self.tried.append(address)
        raise ConnectionRefusedError

    def send(self, target: Target) -> Outcome:
        return send(target, b"{}", webhook_id="msg_1", secrets=SECRETS, timeout_s=5, resolve=self.resolve, connect=self.connect)


def lenient_host(url: str) -> str | None:
    """The host that a lenient reader finds in a URL, mapped to ASCII as IDNA 2003 does (circled digits become digits); None for none."""
    with contextlib.suppress(ValueError):
        host = urlsplit(url.strip().replace("\\", "/")).hostname
        return host.encode("idna").decode() if host else None
    return None


CONNECTED = [(url, host) for _, url in REFUSED if (host := lenient_host(url))]


def test_corpus_is_large_at_connect_as_well() -> None:
    """At least 200 URLs of the corpus have a host for a lenient reader."""
    assert 200 <= len(CONNECTED)


@pytest.mark.parametrize("host", [host for _, host in CONNECTED], ids=range(len(CONNECTED)))
def test_no_host_of_the_corpus_is_connected_to_inside(host: str) -> None:
    """Were the check of the URL passed by, the address that libc reads in the host, or its name's, would still be refused."""
    numbers = read_by_libc(host)
    network = Network(numbers or ["169.254.169.254"])
    outcome = network.send(Target("https", host, 443, "/", None, PUBLIC))

    assert [] == [address for address in network.tried if reaches_inside(address)]
    assert "retry" == outcome.disposition
    if not numbers or reaches_inside(numbers[0]):
        assert "address-refused" == outcome.fault
        assert [] == network.tried


@pytest.mark.parametrize("answers", [answers for answers, _ in ANSWERS], ids=[why for _, why in ANSWERS])
def test_rebound_names_are_refused(answers: list[str]) -> None:
    """A name that was public when it was submitted and has any inner address now is not connected to at all."""
    network = Network(["8.8.8.8"], answers)
    target = check_url(f"https://{NAME}/")
    check_resolves(target, network.resolve)
    outcome = network.send(target)

    assert ("retry", None, "address-refused") == (outcome.disposition, outcome.status, outcome.fault)
    assert [] == network.tried


def test_names_are_looked_up_once_in_an_attempt() -> None:
    """The address that was checked is the one that is connected to: a name that changes with every look-up is asked once."""
    network = Network(["8.8.8.8", "9.9.9.9"], ["127.0.0.1"])
    outcome = network.send(check_url(f"https://{NAME}/"))

    assert [NAME] == network.asked
    assert ["8.8.8.8", "9.9.9.9"] == network.tried
    assert "connection-failed" == outcome.fault


POOL = st.sampled_from([*(answer for answers, _ in ANSWERS for answer in answers), "8.8.8.8", "1.1.1.1", "2a00:1450::1", "2606:4700::1111"])


@given(url=URLS | HOSTS.map("https://{}/".format), found=st.lists(POOL, max_size=4))
def test_no_url_connects_inside(url: str, found: list[str]) -> None:
    """No URL that is taken, with whatever answers of a resolver, is ever connected to an inner address."""
    try:
        target = check_url(url)
    except WebhookRefused:
        return
    network = Network(found)
    network.send(target)

    assert [] == [address for address in network.tried if reaches_inside(address)]
    assert target.address is not None or set(network.tried) in (set(), {str(ip_address(one)) for one in found if not reaches_inside(one)})


def outcome_of(target: Target, connect: Connect = open_socket, found: str = "127.0.0.1") -> Outcome:
    return send(
        target,
        b"{}",
        webhook_id="msg_1",
        secrets=SECRETS,
        timeout_s=5,
        resolve=lambda host, port: [found],
        connect=connect,
    )


def test_real_sockets_are_not_opened_inside() -> None:
    """With the real dialler, a name that is this machine's gets no connection; with the switch for a laptop it does."""
    with Receiver(answers(status("200 OK"))) as inner:
        target = Target("http", NAME, inner.port, "/", None, PUBLIC)
        assert "address-refused" == outcome_of(target).fault
    assert 0 == inner.accepted

    with Receiver(answers(status("200 OK"))) as inner:
        assert "delivered" == outcome_of(target._replace(port=inner.port, policy=LAPTOP)).disposition
    assert 1 == inner.accepted


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_socket_that_leads_elsewhere_gets_no_byte(scheme: str) -> None:
    """A socket whose other end is inside, though a public address was asked for, is closed before TLS and before any byte."""
    with Receiver(listens) as inner:
        outcome = outcome_of(
            Target(scheme, NAME, inner.port, "/", None, PUBLIC),
            lambda address, port, timeout_s: open_socket("127.0.0.1", inner.port, timeout_s),
            "8.8.8.8",
        )

    assert "address-refused" == outcome.fault
    assert (1, []) == (inner.accepted, inner.requests)


@pytest.mark.parametrize(("address", "off"), [("127.0.0.2", 0), ("127.0.0.1", 1)])
def test_a_socket_that_leads_to_another_allowed_place_gets_no_byte(address: str, off: int) -> None:
    """The other end must be the very address and port that were asked for, not another one that is allowed."""
    with Receiver(listens, address="0.0.0.0") as inner:
        outcome = outcome_of(
            Target("http", NAME, inner.port + off, "/", None, LAPTOP),
            lambda asked, port, timeout_s: open_socket(address, inner.port, timeout_s),
        )

    assert "address-refused" == outcome.fault
    assert (1, []) == (inner.accepted, inner.requests)


def test_the_connected_address_is_checked_by_itself() -> None:
    """A refused address that came past every check before is refused on the connected socket."""
    with Receiver(listens) as inner, pytest.raises(AttemptFailed, match="address-refused"):
        open_connection(Target("https", NAME, inner.port, "/", None, PUBLIC), [ip_address("127.0.0.1")], Deadline(5), open_socket)

    assert (1, []) == (inner.accepted, inner.requests)


def test_the_next_address_is_tried() -> None:
    """A name with an address that refuses or times out is reached by its next one."""
    tried = []

    def connect(address: str, port: int, timeout_s: float) -> socket.socket:
        tried.append((address, timeout_s < 5))
        if len(tried) < 3:
            raise (TimeoutError, ConnectionRefusedError)[len(tried) - 1]
        return open_socket(address, port, timeout_s)

    with Receiver(answers(status("200 OK"))) as receiver:
        target = Target("http", NAME, receiver.port, "/", None, LAPTOP)
        outcome = send(
            target,
            b"{}",
            webhook_id="msg_1",
            secrets=SECRETS,
            timeout_s=5,
            resolve=lambda host, port: ["127.0.0.3", "::1", "127.0.0.1"],
            connect=connect,
        )

    assert "delivered" == outcome.disposition
    assert [("127.0.0.3", True), ("::1", True), ("127.0.0.1", True)] == tried
