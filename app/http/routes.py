"""Every route as data. An endpoint is a plain function of a request; no framework is known here."""

import functools
from collections.abc import Callable
from typing import NamedTuple

from app.errors import MethodNotAllowed, NotFound
from app.http import health, models, predict
from app.http.message import Request, Response
from app.inference.repository import Repository
from app.prediction import Predictor
from app.report import Report


class Services(NamedTuple):
    """What endpoints may use."""

    predictor: Predictor
    repository: Repository


# None: answered by the FastAPI shell itself (pages that only a framework makes).
Endpoint = Callable[[Services, Request, Report], Response] | None


class Route(NamedTuple):
    """One row. ``fast`` routes are answered without importing FastAPI."""

    method: str
    path: str
    endpoint: Endpoint
    summary: str
    fast: bool = True


def _predict(services: Services, request: Request, report: Report) -> Response:
    return predict.predict(services.predictor, request, report)


def _show(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001
    return models.show(services.repository, request)


ROUTES: tuple[Route, ...] = (
    Route("POST", "/predict", _predict, "Predict with the default model"),
    Route("POST", "/models/{name}/predict", _predict, "Predict with the newest version of a model"),
    Route("POST", "/models/{name}/versions/{version}/predict", _predict, "Predict with one version of a model"),
    Route("GET", "/models", lambda services, *_: models.index(services.repository), "List the models"),
    Route("GET", "/models/{name}", _show, "Describe a model"),
    Route("GET", "/models/{name}/versions/{version}", _show, "Describe one version of a model"),
    Route("GET", "/health/live", lambda *_: health.live(), "Whether the process answers"),
    Route("GET", "/health/ready", lambda services, request, _: health.ready(services.repository, request), "Whether the models can answer"),
    Route("GET", "/", lambda *_: health.index(), "What this is"),
    Route("GET", "/openapi.json", None, "The description of this interface", fast=False),
    Route("GET", "/docs", None, "The description as a page", fast=False),
    Route("GET", "/docs/{asset}", None, "The page's scripts and styles", fast=False),
)

_BY_LENGTH: dict[int, list[tuple[Route, list[str]]]] = {}
for _route in ROUTES:
    _BY_LENGTH.setdefault(_route.path.count("/"), []).append((_route, _route.path.split("/")))


@functools.lru_cache(maxsize=512)
def matching(path: str) -> tuple[Route, ...]:
    """The routes of a path, whatever their method. Model names are compared with nothing here: any segment will do."""
    parts = path.split("/")
    return tuple(
        route
        for route, pattern in _BY_LENGTH.get(len(parts) - 1, ())
        if all(want == got or (want[:1] == "{" and got) for want, got in zip(pattern, parts, strict=True))
    )


def find(request: Request) -> Route:
    """The route of a request; its path parameters are set on the request.

    :raises NotFound: no route has this path.
    :raises MethodNotAllowed: routes have this path for other methods.
    """
    found = matching(request.path)
    if not found:
        stripped = request.path.rstrip("/")
        hint = f" Did you mean {stripped[:200]}?" if stripped != request.path and matching(stripped) else ""
        raise NotFound(f"There is nothing at this path; GET / lists what there is.{hint}")
    # RFC 9110, section 9.3.2: HEAD is GET without the body.
    method = "GET" if request.method == "HEAD" else request.method
    for route in found:
        if route.method == method:
            if "{" not in route.path:
                return route
            parts = zip(route.path.split("/"), request.path.split("/"), strict=True)
            request.parameters = {want[1:-1]: got for want, got in parts if want[:1] == "{"}
            return route
    allowed = [route.method for route in found]
    allowed += ["HEAD"] * ("GET" in allowed)
    raise MethodNotAllowed(f"This path takes {' or '.join(allowed)}.", headers={"Allow": ", ".join(allowed)})
