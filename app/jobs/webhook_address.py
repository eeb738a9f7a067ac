"""Where a webhook may be sent: the URL as it is written, and the addresses that its name has.

The URL is a stranger's. Were it not checked, it would make this server call what only this server reaches: server-side request
forgery (Standard Webhooks 1.0.0, "Server side request forgery"). The same addresses are checked again on the connected socket, in
:mod:`app.jobs.webhook_connection`, since a name may have other addresses by then.
"""

import re
import threading
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Literal, NamedTuple, NoReturn

from app.jobs.errors import WebhookRefused
from app.jobs.public_address import Address, is_local, is_public, read_address

MAX_URL_CHARACTERS = 2048
# The port of HTTPS, and the one that is used for it beside that. An open list would make this server knock at databases and at
# mail and remote-control ports for whoever asks; a list of forbidden ports is never complete.
PORTS = frozenset({443, 8443})
RESOLVE_TIMEOUT_S = 5.0
_MOST_LOOKUPS = 32
_asking = threading.BoundedSemaphore(_MOST_LOOKUPS)
# RFC 3986, section 2: every character that may stand in a URL. No space, control character, backslash, quote or letter of Unicode.
_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*")
_PARTS = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://([^/?]*)(.*)")
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::([1-9][0-9]{0,4}))?")
_REQUEST_TARGET = re.compile(r"(?:[^%\[\]]|%[0-9A-Fa-f]{2})*")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?")
# A host whose last label is a number is an IPv4 address to libc and to browsers, in parts, octal and hexadecimal as well
# (https://url.spec.whatwg.org/#ends-in-a-number-checker).
_ENDS_IN_A_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?")
# Names that never are a public machine's: RFC 6761, RFC 6762, RFC 7686, RFC 8375, RFC 9476, ICANN's .internal, and custom.
_NOT_PUBLIC = frozenset(
    [
        "alt",
        "arpa",
        "corp",
        "example",
        "home",
        "internal",
        "intranet",
        "invalid",
        "lan",
        "local",
        "localdomain",
        "localhost",
        "mail",
        "onion",
        "private",
        "test",
    ]
)
_METADATA = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "metadata.tencentyun.com"})

Resolve = Callable[[str, int], Sequence[str]]
LookupWord = Literal["name-not-resolved", "resolver-timeout", "address-refused"]


class AddressPolicy(NamedTuple):
    """Whom webhooks may go to.

    ``allow_private`` is for ``serve`` on a laptop and for tests: it adds http://, any port, local names and addresses of this machine
    and of private networks, never those of a cloud's metadata. ``refused_hosts`` are the server's own names.
    """

    allow_private: bool = False
    refused_hosts: frozenset[str] = frozenset()

    def allows(self, address: Address) -> bool:
        """Whether a webhook may be sent to this address."""
        return is_public(address) or (self.allow_private and is_local(address))


PUBLIC = AddressPolicy()


class Target(NamedTuple):
    """A URL that was checked. ``address`` is set where the host is an address; ``path`` is the request target with the query."""

    scheme: str
    host: str
    port: int
    path: str
    address: Address | None
    policy: AddressPolicy

    @property
    def authority(self) -> str:
        """The value of the header ``Host`` (RFC 9110, section 7.2)."""
        host = f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"


class LookupFailed(Exception):
    """A name has no address that a webhook may be sent to; ``word`` says why."""

    def __init__(self, word: LookupWord) -> None:
        super().__init__(word)
        self.word = word


def check_url(url: str, *, allow: AddressPolicy = PUBLIC) -> Target:
    """The parts of a receiver's URL. Nothing is looked up.

    :raises WebhookRefused: for a URL that is not plain https to a public name or address. The message does not repeat the URL, whose
        query may hold a receiver's secret.
    """
    if len(url) > MAX_URL_CHARACTERS:
        _refuse(f"it has more than {MAX_URL_CHARACTERS} characters")
    if not _CHARACTERS.fullmatch(url):
        _refuse("it has a character that no URL has, as a space, a line end, a backslash or an accent; write those percent-encoded")
    if "#" in url:
        _refuse("it has a fragment ('#'), which is never sent; leave it out")
    parts = _PARTS.fullmatch(url)
    if not parts:
        _refuse("it is not of the form https://host/path")
    scheme, authority, path = parts[1].lower(), parts[2], parts[3]
    if scheme != "https" and not (allow.allow_private and scheme == "http"):
        _refuse("it does not begin with https://")
    if "@" in authority:
        _refuse("it has a user name or a password before its host; put a secret into the path or the query")
    host_and_port = _HOST_AND_PORT.fullmatch(authority)
    if not host_and_port:
        _refuse("its host or its port cannot be read; expected https://host/path or https://host:8443/path")
    if not _REQUEST_TARGET.fullmatch(path):
        _refuse("its path or query has a '[', a ']', or a '%' without two hexadecimal digits; write those percent-encoded")
    port = int(host_and_port[2]) if host_and_port[2] else 443 if scheme == "https" else 80
    if port > 65535 or (port not in PORTS and not allow.allow_private):
        _refuse(f"its port is not one of {', '.join(map(str, sorted(PORTS)))}")
    host, address = _read_host(host_and_port[1].lower(), allow)
    return Target(scheme, host, port, path if path.startswith("/") else f"/{path}", address, allow)


def _read_host(host: str, allow: AddressPolicy) -> tuple[str, Address | None]:
    """The host in lower case and without brackets, and its address where it is one."""
    if host.startswith("[") or _ENDS_IN_A_NUMBER.fullmatch(host):
        address = read_address(host.strip("[]"))
        if address is None or (isinstance(address, IPv4Address) and str(address) != host):
            _refuse("its host is an address in an unusual spelling; write four decimal numbers, or IPv6 in brackets")
        if not allow.allows(address):
            _refuse("its host is an address that is not of the public internet")
        return str(address), address
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        _refuse("its host is not a name of letters, digits, hyphens and single dots (RFC 1123), none at the end")
    if host in _METADATA or host in allow.refused_hosts:
        _refuse("its host is one that webhooks are not sent to")
    if not allow.allow_private and (len(labels) == 1 or labels[-1] in _NOT_PUBLIC):
        _refuse("its host is a local name; expected one of the public internet, as hooks.example.com")
    return host, None


def _refuse(why: str) -> NoReturn:
    raise WebhookRefused(f"Webhook-Url cannot be used: {why}.")


def check_resolves(target: Target, resolve: Resolve | None = None, timeout_s: float = RESOLVE_TIMEOUT_S) -> None:
    """Look the host up once, so that a caller learns at once of a name that is wrong.

    :raises WebhookRefused: for a name without addresses, with one that is not public beside others, or that takes too long to look up.
    """
    try:
        addresses(target, resolve or look_up, timeout_s)
    except LookupFailed as failure:
        _refuse(
            {
                "name-not-resolved": "its host has no address in the DNS; check its spelling",
                "resolver-timeout": f"its host could not be looked up in the DNS in {timeout_s:g} s; send the request again",
                "address-refused": "its host has an address that is not of the public internet",
            }[failure.word]
        )


def addresses(target: Target, resolve: Resolve, timeout_s: float) -> tuple[Address, ...]:
    """Every address of the host, each one that a webhook may be sent to. One that may not be refuses them all.

    :raises LookupFailed: for no address, a refused one, or a resolver that does not answer in ``timeout_s``.
    """
    texts = [str(target.address)] if target.address else _ask(target, resolve, timeout_s)
    found = tuple(dict.fromkeys(map(read_address, texts)))
    if not found:
        raise LookupFailed("name-not-resolved")
    allowed = tuple(address for address in found if address is not None and target.policy.allows(address))
    # A name with a public and a private address is an attack or a mistake, never a receiver (faults.md F-58).
    if len(allowed) != len(found):
        raise LookupFailed("address-refused")
    return allowed


def _ask(target: Target, resolve: Resolve, timeout_s: float) -> list[str]:
    """The resolver's answers. libc's has no deadline of its own, so it is asked in a thread that nobody waits for."""
    import queue

    answers: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(list(resolve(target.host, target.port)))
        except Exception:  # whatever a resolver raises for a stranger's name means that the name has no address
            answers.put(None)
        finally:
            _asking.release()

    # Strangers choose the names, and libc may take a minute for each.
    if not _asking.acquire(timeout=max(timeout_s, 0.0)):
        raise LookupFailed("resolver-timeout")
    threading.Thread(target=ask, name="webhook-resolver", daemon=True).start()
    try:
        found = answers.get(timeout=max(timeout_s, 0.0))
    except queue.Empty:
        raise LookupFailed("resolver-timeout") from None
    if found is None:
        raise LookupFailed("name-not-resolved")
    return found


def look_up(host: str, port: int) -> list[str]:
    """The addresses of a name as the system's resolver gives them."""
    import socket

    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
