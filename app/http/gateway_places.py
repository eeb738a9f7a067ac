"""Where API Gateway sends each row of the route table: its places, who may call them, and how often.

A place is a route of API Gateway. Most rows have one of their own; those below ``/v1`` and ``/v2`` share a greedy one for each method,
because API Gateway takes a parameter for a whole segment only (``{name}:predict`` is none), and because the clients of model servers
read the function's errors and not API Gateway's.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from app.http.routes import ROUTES, Route

# Who may call a place: everybody, or callers with the scope of the group.
Group = Literal["open", "predict", "jobs", "read"]
GREEDY = ("/v1/", "/v2/")
# Where jobs are kept is S3 on AWS, which takes and gives these bodies itself.
OF_SERVE = frozenset({"uploads:receive", "uploads:send"})
_OPEN = "health:live"


class Throttle(NamedTuple):
    """Requests a second, and how many at once, of a place."""

    rate: int
    burst: int


# What strangers may call cannot use up the account's concurrency.
_OF_OPEN = Throttle(10, 20)
# Made by FastAPI, which takes a cold start of its own, and of every model there is.
_OF_PAGES = Throttle(5, 10)


class Place(NamedTuple):
    """A route of API Gateway, with the rows of the table that it leads to."""

    method: str
    path: str
    group: Group
    rows: tuple[Route, ...]
    # None: the stage's own
    throttle: Throttle | None = None

    @property
    def key(self) -> str:
        """The route key of an HTTP API, such as ``GET /models/{name}``."""
        return f"{self.method} {self.path}"

    @property
    def summary(self) -> str:
        """What it is for, in a line."""
        return self.rows[0].summary if len(self.rows) == 1 else f"{len(self.rows)} routes below {self.path.removesuffix('{proxy+}')}"


def places(routes: Iterable[Route] = ROUTES) -> tuple[Place, ...]:
    """The places of a route table, in its order; rows of ``serve`` alone have none."""
    rows: dict[tuple[str, str], list[Route]] = {}
    for route in routes:
        if route.endpoint not in OF_SERVE:
            rows.setdefault((_path(route), route.method), []).append(route)
    return tuple(Place(method, path, _group(found), tuple(found), _throttle(found)) for (path, method), found in rows.items())


def _path(route: Route) -> str:
    greedy = next((prefix for prefix in GREEDY if route.path.startswith(prefix)), None)
    return f"{greedy}{{proxy+}}" if greedy else route.path


def _group(rows: list[Route]) -> Group:
    if all(row.endpoint == _OPEN for row in rows):
        return "open"
    if any(row.dialect for row in rows):
        return "predict"
    return "jobs" if rows[0].endpoint.startswith(("jobs:", "uploads:")) else "read"


def _throttle(rows: list[Route]) -> Throttle | None:
    if _group(rows) == "open":
        return _OF_OPEN
    return None if any(row.fast for row in rows) else _OF_PAGES
