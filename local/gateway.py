"""The HTTP API in front of the function: HTTP in, Lambda's events out to the emulator, and its answers back.

Everything that API Gateway answers by itself is here: what has no route, what is too large, what takes too long. Nobody's identity is
checked; every caller is one who showed none.
"""

import json
import sys
import time
import uuid
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from local.emulator import EventTooLarge, InvokeFailed, TookTooLong
from local.http_event import HttpAnswer, HttpRequest, NoAnswer, answer_of, event_of
from local.limits import API_BODY_BYTES, API_HEADER_BYTES
from local.moto_server import Environ, StartResponse
from local.routes import Routes

_READ_BYTES = 1 << 16


class Gateway:
    """A WSGI application."""

    def __init__(self, routes: Routes, invoke: Callable[[Any], Any], say: Callable[[str], None]) -> None:
        """:param invoke: asks the function, and raises as :meth:`local.emulator.Emulator.invoke` does.
        :param say: is told a line of each request.
        """
        self._routes = routes
        self._invoke = invoke
        self._say = say

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        began = time.monotonic()
        request = _request(environ)
        answer = self._answer(request)
        self._say(f"{request.method} {request.path} {answer.status} {(time.monotonic() - began) * 1000:.0f} ms")
        headers = [*answer.headers, ("content-length", str(len(answer.body))), ("apigw-requestid", uuid.uuid4().hex)]
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
        return [] if request.method == "HEAD" else [answer.body]

    def _answer(self, request: HttpRequest) -> HttpAnswer:
        if refusal := _too_large(request):
            return refusal
        taken = self._routes.take(request.method, request.path)
        if taken is None:
            return _own(404, "Not Found")
        try:
            return answer_of(self._invoke(event_of(request, str(taken.route), taken.parameters)))
        except EventTooLarge:
            return _own(413, "Request Entity Too Large")
        except TookTooLong:
            return _own(503, "Service Unavailable")
        except (InvokeFailed, NoAnswer) as error:
            # What API Gateway writes into its log as $context.integrationErrorMessage, and tells no caller.
            self._say(f"{request.method} {request.path}: {error}")
            return _own(500, "Internal Server Error")


def _too_large(request: HttpRequest) -> HttpAnswer | None:
    if sum(len(name) + len(value) for name, value in request.headers.items()) + len(request.path) > API_HEADER_BYTES:
        return _own(431, "Request Header Fields Too Large")
    return _own(413, "Request Entity Too Large") if len(request.body) > API_BODY_BYTES else None


def _own(status: int, message: str) -> HttpAnswer:
    return HttpAnswer(status, [("content-type", "application/json")], json.dumps({"message": message}).encode())


def _request(environ: Environ) -> HttpRequest:
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    if "cookie" in headers:
        # Repeated ones were joined as all headers are.
        headers["cookie"] = headers["cookie"].replace(",", "; ")
    caller = environ.get("REMOTE_ADDR", "")
    headers |= {"x-forwarded-for": caller, "x-forwarded-port": "443", "x-forwarded-proto": "https"}
    path, _, query = str(environ["REQUEST_URI"]).partition("?")
    return HttpRequest(environ["REQUEST_METHOD"], path, query, headers, _body(environ), caller)


def _body(environ: Environ) -> bytes:
    """The body, read to its end, so that the connection can be used again; of one that is too large no more than says so."""
    # Chunked bodies end by themselves.
    left = sys.maxsize if environ.get("wsgi.input_terminated") else int(environ.get("CONTENT_LENGTH") or 0)
    kept, size = [], 0
    while left > 0 and (part := environ["wsgi.input"].read(min(left, _READ_BYTES))):
        left -= len(part)
        size += len(part)
        if size <= API_BODY_BYTES + _READ_BYTES:
            kept.append(part)
    return b"".join(kept)
