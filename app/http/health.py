"""Liveness, readiness, and the front page."""

from typing import Any

import app
from app.codecs.json_output import dumps
from app.errors import ModelNotReady, UnknownModel
from app.http.message import Request, Response
from app.http.routes import Services
from app.inference.repository import RETRY_S, Entry, Repository
from app.report import Report

LINKS = {
    "predict": "/predict",
    "models": "/models",
    "live": "/health/live",
    "ready": "/health/ready",
    "openapi": "/openapi.json",
    "docs": "/docs",
}


def index(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001 - the signature of every endpoint
    """What this is, and where to go from here: for a browser a page to try the models on, else JSON."""
    # caches on the way keep the two apart (RFC 9110, section 12.5.5)
    vary = {"Vary": "Accept"}
    accept = request.headers.get("accept", "")
    if "text/html" in accept:
        from app.http import playground

        if playground.is_wanted(accept):
            page = playground.page()
            page.headers |= vary
            return page
    # "status" is what KServe's v1 client reads of a server that is alive
    return Response(200, dumps({"name": "onnx-lambda", "version": app.__version__, "status": "alive", "links": LINKS}), headers=vary)


def live(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001
    """The process answers."""
    return Response(200, b'{"status":"live","live":true}')


def expected(repository: Repository) -> list[Entry]:
    """What has to answer: the default model, without one those that were to be loaded at the start."""
    try:
        return [repository.entry()]
    except UnknownModel:
        return [entry for entry in repository.entries() if entry.preloaded]


def ready(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001
    """Every model's state; 503 while the default model cannot answer."""
    repository = services.repository
    failure: ModelNotReady | None = None
    try:
        repository.get()
    except UnknownModel:
        failed = [entry for entry in expected(repository) if entry.failure]
        failure = ModelNotReady(f"Model '{failed[0].name}' could not be loaded: {failed[0].failure}") if failed else None
    except ModelNotReady as problem:
        failure = problem
    models: dict[str, Any] = {}
    for entry in repository.entries():
        state = {"state": "ready" if entry.loaded else "failed" if entry.failure else "not loaded"}
        models.setdefault(entry.name, {})[entry.version] = state | ({"reason": entry.failure} if entry.failure else {})
    body = {"status": "not ready" if failure else "ready", "ready": failure is None, "models": models}
    if failure is None:
        return Response(200, dumps(body))
    return Response(
        failure.status, dumps(failure.as_object(request.id) | body | {"status": failure.status}), headers={"Retry-After": str(RETRY_S)}
    )
