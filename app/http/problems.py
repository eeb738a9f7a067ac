"""Errors as responses: the one shape, whatever failed (RFC 9457, and the string ``error`` of Open Inference)."""

import orjson

from app.codecs.media_types import accepts
from app.errors import InternalError, Problem
from app.http.message import Request, Response
from app.http.routes import matching

PROBLEM_JSON = "application/problem+json"


def render(problem: Problem, request: Request) -> Response:
    """The problem as a response; ``application/problem+json`` only for those who ask for it, because clients of model
    servers show an error only if it is plain ``application/json`` (kserve's REST client compares the whole value).
    """
    if any(route.errors == "openai" for route in matching(request.path)):
        # https://platform.openai.com/docs/guides/error-codes; its client reads error.message, error.param and error.code
        kind = "invalid_request_error" if problem.status < 500 else "server_error"
        error = {"message": problem.detail, "type": kind, "param": problem.pointer, "code": problem.code}
        return Response(problem.status, orjson.dumps({"error": error}), headers=dict(problem.headers))
    accept = request.headers.get("accept", "")
    asked = PROBLEM_JSON in accept and accepts(accept, PROBLEM_JSON)
    body = orjson.dumps(problem.as_object(request.id))
    return Response(problem.status, body, PROBLEM_JSON if asked else "application/json", dict(problem.headers))


def unexpected(request: Request) -> Response:
    """A failure that nobody foresaw: no text of ours or of a library's leaves the house."""
    return render(InternalError(f"Something failed on our side; the log tells under request id {request.id}."), request)
