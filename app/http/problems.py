"""Errors as responses: the one shape, whatever failed (RFC 9457, and the string ``error`` of Open Inference)."""

import orjson

from app.codecs.media_types import accepts
from app.errors import InternalError, Invalid, Problem, UnknownModel
from app.http.message import Request, Response
from app.http.routes import matching

PROBLEM_JSON = "application/problem+json"


def render(problem: Problem, request: Request, *, openai: bool = False) -> Response:
    """The problem as a response, for OpenAI's clients where the path or the caller of this says so; ``application/problem+json`` only for those who ask for it, because clients of model
    servers show an error only if it is plain ``application/json`` (kserve's REST client compares the whole value).
    """
    if openai or any(route.errors == "openai" for route in matching(request.path)):
        return _openai(problem)
    accept = request.headers.get("accept", "")
    asked = PROBLEM_JSON in accept and accepts(accept, PROBLEM_JSON)
    body = orjson.dumps(problem.as_object(request.id))
    return Response(problem.status, body, PROBLEM_JSON if asked else "application/json", dict(problem.headers))


def _openai(problem: Problem) -> Response:
    """The error object that OpenAI's clients read (https://platform.openai.com/docs/guides/error-codes): ``param`` is the bare
    name of a parameter, and every request that is read and refused is 400.
    """
    status = 400 if isinstance(problem, Invalid) else problem.status
    error = {
        "message": problem.detail,
        "type": "invalid_request_error" if status < 500 else "server_error",
        "param": (problem.pointer or "").lstrip("/").partition("/")[0] or None,
        # the one code of theirs that clients ask for
        "code": "model_not_found" if isinstance(problem, UnknownModel) else problem.code,
    }
    return Response(status, orjson.dumps({"error": error}), headers=dict(problem.headers))


def unexpected(request: Request) -> Response:
    """A failure that nobody foresaw: no text of ours or of a library's leaves the house."""
    return render(InternalError(f"Something failed on our side; the log tells under request id {request.id}."), request)
