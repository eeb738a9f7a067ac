"""An HTTP request and response as this program sees them: no framework, no I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

# A caller's own id goes into logs and headers, so it is taken only if it is plain (faults.md F-68).
_PLAIN = frozenset("._:+/=@-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class Request:
    """One request. Header names are in lower case; ``deadline`` is in ``time.monotonic()`` seconds."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    body: bytes = b""
    deadline: float | None = None
    gateway_id: str = ""
    # Lambda's own id of the invocation
    function_id: str = ""
    # Whether a response can be carried back; raises ResultTooLarge if not, naming the largest output, which it is given.
    # Set by a shell that has a limit of its own.
    check_response: "Callable[[Response, str], None] | None" = None
    # Filled by the route table: the values of {name} in the path.
    parameters: dict[str, str] = field(default_factory=dict)
    _id: str = ""

    @property
    def id(self) -> str:
        """What ``X-Request-Id`` answers: the caller's own id if it is plain, else the gateway's, else a new one."""
        if not self._id:
            wanted = self.headers.get("x-request-id", "")
            self._id = wanted if is_plain_id(wanted) else self.gateway_id or _new_id()
        return self._id


def is_plain_id(text: object) -> bool:
    """Whether a request's id can stand in a log line and a header as it is."""
    return isinstance(text, str) and 0 < len(text) <= 128 and _PLAIN.issuperset(text)


def without_prefix(prefix: str, path: str) -> str:
    """The path below a prefix such as ``/prod``; the path itself where it does not stand below it."""
    return path[len(prefix) :] or "/" if prefix and (path == prefix or path.startswith(prefix + "/")) else path


def _new_id() -> str:
    """A version 4 UUID (RFC 9562, section 5.4). It names a request and protects nothing, so it asks the system for no randomness."""
    import random

    text = f"{random.getrandbits(128) & ~(0xF << 76) & ~(0x3 << 62) | 0x4 << 76 | 0x2 << 62:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class Response:
    """One response."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
