"""Which IP addresses a webhook may go to: those of the public internet, told by what is allowed and by what is not."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

# The IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890), and what neither they nor ipaddress.is_global refuse.
_NEVER_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # "this network", which Linux takes for the machine itself (RFC 791)
        "10.0.0.0/8",  # private (RFC 1918)
        "100.64.0.0/10",  # carrier-grade NAT (RFC 6598), neither private nor global to Python; Alibaba's metadata are here
        "127.0.0.0/8",  # loopback (RFC 1122); on Lambda also the runtime API
        "168.63.129.16/32",  # Azure's platform services, in the middle of public space
        "169.254.0.0/16",  # link-local (RFC 3927): metadata of EC2, ECS and Lambda
        "172.16.0.0/12",  # private (RFC 1918)
        "192.0.0.0/24",  # IETF protocol assignments (RFC 6890); Oracle's metadata are here
        "192.0.2.0/24",  # documentation (RFC 5737)
        "192.31.196.0/24",  # AS112 (RFC 7535)
        "192.52.193.0/24",  # AMT (RFC 7450)
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "192.168.0.0/16",  # private (RFC 1918)
        "192.175.48.0/24",  # AS112 (RFC 7534)
        "198.18.0.0/15",  # benchmarking (RFC 2544)
        "198.51.100.0/24",  # documentation (RFC 5737)
        "203.0.113.0/24",  # documentation (RFC 5737)
        "224.0.0.0/4",  # multicast (RFC 5771), global to Python
        "240.0.0.0/4",  # reserved and broadcast (RFC 1112)
    )
)
# All public IPv6 is here (RFC 4291, section 2.4, and IANA's allocations). Outside lie loopback, IPv4-mapped and IPv4-compatible
# addresses, NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), SRv6 (5f00::/16), unique-local, link-local, site-local and multicast.
_UNICAST_V6 = IPv6Network("2000::/3")
_NEVER_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocol assignments (RFC 2928): Teredo, which carries an IPv4 address, benchmarking, ORCHID, AMT
        "2001:db8::/32",  # documentation (RFC 3849)
        "2002::/16",  # 6to4 (RFC 7526), which carries an IPv4 address
        "2620:4f:8000::/48",  # AS112 (RFC 7534)
        "3ffe::/16",  # 6bone, given back (RFC 3701)
        "3fff::/20",  # documentation (RFC 9637)
    )
)
# An ISATAP interface identifier carries an IPv4 address under any prefix (RFC 5214, section 6.1).
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})
# What a laptop and its containers use. Link-local and carrier-grade NAT are not here: they are where clouds put metadata.
_LOCAL_V4 = tuple(map(IPv4Network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
_LOCAL_V6 = tuple(map(IPv6Network, ("::1/128", "fc00::/7")))
# The metadata of EC2, EKS and Google's machines, inside unique-local space.
_METADATA_V6 = tuple(map(IPv6Network, ("fd00:ec2::/32", "fd20:ce::/32")))


def read_address(text: str) -> Address | None:
    """The address of a text as a resolver or a socket gives it; None for what is none, or has a scope."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # a scope ("fe80::1%eth0") names an interface of this machine
    return None if isinstance(address, IPv6Address) and address.scope_id else address


def is_public(address: Address | str) -> bool:
    """Whether an address is one of the public internet, of one machine, and carries no other address inside it.

    Python's ``is_global`` is asked as well, so a range that either of the two refuses is refused. A NAT64 prefix of a network's
    own (RFC 6052, section 2.2) cannot be told from public space: a network that has one must keep its own deny list.
    """
    ip = read_address(address) if isinstance(address, str) else address
    if ip is None or not ip.is_global or ip.is_multicast or ip.is_reserved:
        return False
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in _NEVER_V4)
    if ip.scope_id or ip not in _UNICAST_V6 or int(ip) >> 32 & 0xFFFFFFFF in _ISATAP:
        return False
    return not any(ip in network for network in _NEVER_V6)


def is_local(address: Address) -> bool:
    """Whether an address is one of this machine or of a private network, and of no cloud's metadata."""
    if isinstance(address, IPv4Address):
        return any(address in network for network in _LOCAL_V4)
    return any(address in network for network in _LOCAL_V6) and not any(address in network for network in _METADATA_V6)
