"""A webhook's URL is one of the public internet when it is submitted, however it is written."""

import socket
import threading
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.jobs.errors import WebhookRefused
from app.jobs.public_address import is_public
from app.jobs.webhook_address import AddressPolicy, addresses, check_resolves, check_url
from tests.jobs.webhook_urls import ANSWERS, NAME, POLICY, PUBLIC, REFUSED, SPECIAL, reaches_inside, read_by_libc

LAPTOP = AddressPolicy(allow_private=True)


def test_corpus_is_large() -> None:
    """The corpus has at least 200 different URLs that are refused."""
    assert len({url for _, url in REFUSED}) == len(REFUSED) >= 200


@pytest.mark.parametrize(("group", "url"), REFUSED, ids=range(len(REFUSED)))
def test_no_url_of_the_corpus_is_taken(group: str, url: str) -> None:
    """Every URL of the corpus is refused when it is submitted, with a reason that does not repeat it."""
    with pytest.raises(WebhookRefused) as raised:
        check_url(url, allow=POLICY)

    assert 422 == raised.value.status
    assert raised.value.detail.startswith("Webhook-Url cannot be used: it")
    assert len(url) < 15 or url not in raised.value.detail
    if group == "addresses":
        assert "an address that is not of the public internet" in raised.value.detail


@pytest.mark.parametrize("url", [url for url, _ in PUBLIC])
def test_public_urls_are_taken(url: str) -> None:
    """A plain https URL of a public host is taken: what is refused is refused for its fault alone."""
    assert "https" == check_url(url, allow=POLICY).scheme


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "authority"),
    [
        ("https://hooks.example.com", "hooks.example.com", 443, "/", "hooks.example.com"),
        ("HTTPS://Hooks.Example.COM:443/Hook", "hooks.example.com", 443, "/Hook", "hooks.example.com"),
        ("https://hooks.example.com:8443?a=%2f", "hooks.example.com", 8443, "/?a=%2f", "hooks.example.com:8443"),
        ("https://8.8.8.8/a/../b", "8.8.8.8", 443, "/a/../b", "8.8.8.8"),
        ("https://[2A00:1450:0::1]:8443/", "2a00:1450::1", 8443, "/", "[2a00:1450::1]:8443"),
    ],
)
def test_parts(url: str, host: str, port: int, path: str, authority: str) -> None:
    """The parts are the URL's, the host in lower case, an address in its usual spelling, path and query as they are."""
    target = check_url(url)

    assert (host, port, path, authority) == (target.host, target.port, target.path, target.authority)


@pytest.mark.parametrize("network", SPECIAL)
def test_special_ranges_are_not_public(network: str) -> None:
    """The first, the last and a middle address of each special-purpose range are refused, as a value and as text."""
    whole = ip_network(network)
    for address in (whole[0], whole[-1], whole[whole.num_addresses // 2]):
        assert not is_public(address)
        assert not is_public(str(address))


@pytest.mark.parametrize(
    "address",
    [
        *[
            "1.0.0.0",
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
        ],
        *["168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.167.255.255"],
        *["192.169.0.0", "198.17.255.255", "198.20.0.0", "203.0.112.255", "203.0.114.0", "223.255.255.255"],
        *[
            "2001:200::1",
            "2001:4860:4860::8888",
            "2001:db7::1",
            "2001:db9::1",
            "2003::1",
            "2600:1f18::1",
            "2606:4700::1111",
            "2a00:1450:4001::1",
            "3fff:1000::1",
        ],
    ],
)
def test_neighbours_of_special_ranges_are_public(address: str) -> None:
    """The addresses beside the special ranges are public: no receiver is refused that need not be."""
    assert is_public(address)


@given(st.integers(0, 2**32 - 1).map(IPv4Address) | st.integers(0, 2**128 - 1).map(IPv6Address))
def test_no_special_address_is_public(address: IPv4Address | IPv6Address) -> None:
    """No address of a special-purpose range is public, and none that Python calls other than global."""
    assert not is_public(address) or (address.is_global and not reaches_inside(str(address)))


@given(st.text(max_size=60))
def test_texts_that_are_no_address_are_not_public(text: str) -> None:
    """A text is public only where Python reads it as an address."""
    if is_public(text):
        assert not reaches_inside(text)


PIECES = st.sampled_from(
    [
        *["https://", "HTTPS://", "http://", "https:/", "//", "https://", "https://", "https://"],
        *[
            "127.0.0.1",
            "10.0.0.1",
            "0x7f",
            "0177",
            "2130706433",
            "169.254.169.254",
            "8.8.8.8",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[2a00:1450::1]",
            "[",
            "]",
            "localhost",
        ],
        *[
            "hooks.example.com",
            "internal",
            "metadata",
            ".",
            "..",
            ":",
            ":443",
            ":8443",
            ":22",
            "@",
            "/",
            "\\",
            "?",
            "#",
            "%",
            "%00",
            "%2e",
            "-",
            "_",
            "xn--",
            "a",
            "0",
            "1",
            "x",
            "e",
            ".com",
            ".local",
            "０",
            "。",
            "é",
        ],
        *["", "\r\n", "\t", " ", "\0", "\ud800"],
    ]
)
URLS = st.text(max_size=80) | st.lists(PIECES, max_size=10).map("".join) | st.text(max_size=80).map("https://{}".format)
HOSTS = st.from_regex(r"\A[0-9a-fxA-FX.]{1,20}(:443)?\Z") | st.from_regex(r"\A(0x)?[0-9a-f]{1,12}(\.(0x|0)?[0-9a-f]{0,3}){0,4}\Z")


@given(URLS | HOSTS.map("https://{}/".format))
def test_any_text_is_refused_or_safe(url: str) -> None:
    """Whatever the text, it is refused with our refusal, or it is a URL whose host the C library does not take for an inner address."""
    try:
        target = check_url(url)
    except WebhookRefused:
        return

    assert "https" == target.scheme
    assert target.port in {443, 8443}
    assert target.path.startswith("/")
    assert (target.path + target.authority).isascii()
    assert not set(target.path + target.authority) & set(" \r\n\t\0\\#")
    # a name is no number to libc; an address is the one that we read
    assert ([] if target.address is None else [str(target.address)]) == read_by_libc(target.host)
    assert target.address is None or not reaches_inside(target.host)


@pytest.mark.parametrize("answers", [answers for answers, _ in ANSWERS], ids=[why for _, why in ANSWERS])
def test_names_with_an_inner_address_are_refused(answers: list[str]) -> None:
    """A name that has an inner address, beside public ones or alone, is refused when it is submitted."""
    with pytest.raises(WebhookRefused, match="not of the public internet"):
        check_resolves(check_url(f"https://{NAME}/"), lambda host, port: answers)


def test_names_with_public_addresses_are_taken() -> None:
    """A name whose addresses are all public is taken, and asked for as it is."""
    asked = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["8.8.8.8", "2a00:1450:4001::1", "8.8.8.8"]

    target = check_url(f"https://{NAME}:8443/")
    check_resolves(target, resolve)

    assert (ip_address("8.8.8.8"), ip_address("2a00:1450:4001::1")) == addresses(target, resolve, 5)
    assert [(NAME, 8443)] * 2 == asked


@pytest.mark.parametrize("failure", [socket.gaierror(socket.EAI_NONAME, "x"), UnicodeError("x"), ValueError("x"), None])
def test_names_without_an_address_are_refused(failure: Exception | None) -> None:
    """A name that does not exist, has no address, or that the resolver cannot read is refused."""

    def resolve(host: str, port: int) -> list[str]:
        if failure:
            raise failure
        return []

    with pytest.raises(WebhookRefused, match="no address in the DNS"):
        check_resolves(check_url(f"https://{NAME}/"), resolve)


def test_slow_resolvers_are_not_waited_for() -> None:
    """A resolver that does not answer is given up at the limit."""
    ended = threading.Event()

    def resolve(host: str, port: int) -> list[str]:
        # longer than the limit, and short enough that a limit which does not hold gives an answer
        ended.wait(5)
        return ["8.8.8.8"]

    try:
        with pytest.raises(WebhookRefused, match=r"could not be looked up in the DNS in 0\.05 s"):
            check_resolves(check_url(f"https://{NAME}/"), resolve, timeout_s=0.05)
    finally:
        ended.set()


def test_system_resolver_is_asked_by_default() -> None:
    """Without a resolver of one's own the system's is asked: it knows localhost."""
    check_resolves(check_url("http://localhost/", allow=LAPTOP))
    with pytest.raises(WebhookRefused, match="not of the public internet"):
        check_resolves(check_url(f"https://{NAME}/")._replace(host="localhost"))


def test_addresses_are_not_looked_up() -> None:
    """A host that is an address is not given to the resolver."""

    def resolve(host: str, port: int) -> list[str]:
        raise AssertionError

    check_resolves(check_url("https://8.8.8.8/"), resolve)


@pytest.mark.parametrize(
    "url",
    [
        *[
            "http://127.0.0.1:9000/",
            "http://localhost:9000/hook",
            "https://localhost/",
            "http://receiver:8080/",
            "http://192.168.1.2/",
            "http://[::1]:80/",
        ],
        *[
            "http://host.docker.internal:9000/",
            "http://10.0.0.1/",
            "http://[fd00::1]/",
            "https://hooks.example.com:9001/",
            "https://8.8.8.8/",
        ],
    ],
)
def test_laptops_may_send_to_themselves(url: str) -> None:
    """With the switch for a laptop, plain http, any port, local names and private addresses are taken; without it they are not."""
    assert check_url(url, allow=LAPTOP).policy.allow_private
    if url != "https://8.8.8.8/":
        with pytest.raises(WebhookRefused):
            check_url(url)


LITERALS = [url for group, url in REFUSED if group in {"spellings", "syntax"} and not url.lower().startswith("http://")]


@pytest.mark.parametrize(
    "url",
    [
        *[
            "https://169.254.169.254/",
            "https://169.254.170.2/",
            "https://[fd00:ec2::254]/",
            "https://[fd20:ce::254]/",
            "https://[fe80::1]/",
            "https://0.0.0.0/",
        ],
        *[
            "https://100.100.100.200/",
            "https://168.63.129.16/",
            "https://[::ffff:127.0.0.1]/",
            "https://metadata.google.internal/",
            "https://224.0.0.1/",
        ],
        *["https://metadata/", "https://localhost./", "ftp://localhost/"],
        *LITERALS,
    ],
    ids=range(14 + len(LITERALS)),
)
def test_laptops_are_not_open_to_all(url: str) -> None:
    """With the switch for a laptop, metadata, odd spellings and what is no URL are refused as ever."""
    with pytest.raises(WebhookRefused):
        check_url(url, allow=LAPTOP)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://hooks.example.com:22/", "its port is not one of 443, 8443"),
        ("https://me:secret@hooks.example.com/", "a user name or a password"),
        ("https://hooks.example.com/#a", "a fragment"),
        ("https://hooks.example.com/a b", "percent-encoded"),
        ("http://hooks.example.com/", "does not begin with https://"),
        ("hooks.example.com/hook", "not of the form https://host/path"),
        ("https://hooks.example.com:x/", "its host or its port cannot be read"),
        ("https://hooks.example.com/%", "without two hexadecimal digits"),
        ("https://0x7f.1/", "an unusual spelling"),
        ("https://10.0.0.1/", "not of the public internet"),
        ("https://hooks_1.example.com/", "letters, digits, hyphens and single dots"),
        ("https://receiver/", "a local name"),
        ("https://metadata.goog/", "one that webhooks are not sent to"),
        ("https://hooks.example.com/" + "a" * 2048, "more than 2048 characters"),
    ],
)
def test_refusals_say_what_is_wrong(url: str, said: str) -> None:
    """A refusal names the part that is wrong and what was expected."""
    with pytest.raises(WebhookRefused) as raised:
        check_url(url)

    assert said in raised.value.detail
