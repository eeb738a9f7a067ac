"""An HTTP request and response as this program sees them: no framework, no I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.identifiers import is_plain_id, new_id

# A body that is not here but uploaded, and named by this.
REFERENCE = "application/vnd.onnx-lambda.reference+json"


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
    # Who asks, as the gateway found out (never from a header); empty for nobody in particular
    caller: str = ""
    # What stands before every path outside: a stage, a base path
    base: str = ""
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
            self._id = wanted if is_plain_id(wanted) else self.gateway_id or new_id()
        return self._id


def without_prefix(prefix: str, path: str) -> str:
    """The path below a prefix such as ``/prod``; the path itself where it does not stand below it."""
    return path[len(prefix) :] or "/" if prefix and (path == prefix or path.startswith(prefix + "/")) else path


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class Response:
    """One response."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
