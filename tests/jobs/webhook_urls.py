"""The corpus of URLs that a stranger may name, and who of the addresses behind them is public, told without the code that is tested."""

import json
import socket
from ipaddress import ip_address, ip_network
from pathlib import Path

from app.jobs.webhook_address import AddressPolicy

# Each table is a list of [URL, why]; "answers" is a list of [the resolver's answers, why].
CORPUS: dict[str, list[tuple[str, str]]] = json.loads((Path(__file__).parent.parent / "data" / "webhook_urls.json").read_text())
ANSWERS: list[tuple[list[str], str]] = CORPUS.pop("answers")  # type: ignore[assignment]
PUBLIC = CORPUS.pop("public")
REFUSED = [(group, url) for group, table in CORPUS.items() for url, _ in table]
POLICY = AddressPolicy(refused_hosts=frozenset({"api.onnx-lambda.example.org"}))
NAME = "hooks.example.com"

# The special-purpose registries of IANA and multicast, each range as it is written there.
SPECIAL = [
    *[
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
    ],
    *["192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"],
    *["224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32", "168.63.129.16/32"],
    *[
        "::1/128",
        "::/128",
        "::ffff:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "100:0:0:1::/64",
        "2001::/23",
        "2001::/32",
        "2001:2::/48",
    ],
    *[
        "2001:10::/28",
        "2001:20::/28",
        "2001:30::/28",
        "2001:db8::/32",
        "2002::/16",
        "2620:4f:8000::/48",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
    ],
    *["fe80::/10", "fec0::/10", "ff00::/8"],
]


def reaches_inside(address: str) -> bool:
    """Whether an address is of a special-purpose range, or none at all."""
    try:
        ip = ip_address(address)
    except ValueError:
        return True
    return any(ip in ip_network(network) for network in SPECIAL if ip_network(network).version == ip.version)


def read_by_libc(host: str) -> list[str]:
    """The address that the C library takes a host for, in whatever spelling, without a look-up; nothing for a name."""
    try:
        found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError, ValueError):
        return []
    return [str(info[4][0]) for info in found]
