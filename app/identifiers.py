"""Ids of requests: new ones, and which of a caller's may stand in a log line and a header as they are."""

# A caller's own id goes into logs and headers, so it is taken only if it is plain (faults.md F-68).
_PLAIN = frozenset("._:+/=@-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")

# Version 4 of the variant of RFC 9562
_VERSION_BITS = 0x4 << 76 | 0x2 << 62
_FREE_BITS = (1 << 128) - 1 & ~(0xF << 76) & ~(0x3 << 62)


def is_plain_id(text: object) -> bool:
    """Whether a request's id can stand in a log line and a header as it is."""
    return isinstance(text, str) and 0 < len(text) <= 128 and _PLAIN.issuperset(text)


def new_id() -> str:
    """A version 4 UUID (RFC 9562, section 5.4), in a third of the time of the module uuid.

    It names a request and protects nothing, so it asks the system for no randomness.
    """
    import random

    text = "%032x" % (random.getrandbits(128) & _FREE_BITS | _VERSION_BITS)
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
