"""Lambda's HTTP events: API Gateway HTTP API (payload 2.0 and 1.0), REST API, Function URL and Application Load Balancer.

Parsing is strict, so that nothing a client or a gateway sends raises out of here: what cannot be read is answered 400.
Event shapes: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html and
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
"""

import binascii
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Literal

from app.codecs.media_types import TEXT
from app.errors import ResultTooLarge, Unreadable
from app.http.application import Application
from app.http.callers import caller_of
from app.http.message import Request, Response, without_prefix
from app.identifiers import is_plain_id

Flavour = Literal["v2", "v1", "alb"]
# 6 MB: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_RESPONSE_BYTES = 6_291_556
# Room for the status, the headers and the envelope's own punctuation.
_HEADER_BYTES = 4096
_GATEWAY_COMPRESSES = {"compression": "gateway"}
# Sets and string methods rather than regular expressions, here and on the whole cold-start path: compiling one takes 0.3 ms.
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")  # RFC 9110, section 5.6.2
# Keys of other sources: an event that has one is never HTTP, whatever else it carries (a forged queue message).
_FOREIGN_KEYS = ("Records", "detail-type", "Items", "BatchInput", "rmqMessagesByQueue", "awslogs", "responsePayload", "requestPayload")


def flavour_of(event: Any) -> Flavour | None:
    """Which HTTP event this is, by its exact shape; None for everything else."""
    if not isinstance(event, dict) or any(key in event for key in _FOREIGN_KEYS):
        return None
    context = event.get("requestContext")
    if not isinstance(context, dict) or "eventSource" in event:
        return None
    if event.get("version") == "2.0" and "routeKey" in event and isinstance(context.get("http"), dict):
        return "v2"
    if isinstance(event.get("httpMethod"), str) and "path" in event:
        if "elb" in context:
            return "alb"
        return "v1" if "resource" in event else None
    return None


class LambdaGateway:
    """Event in, response dictionary out."""

    def __init__(
        self, application: Application, *, fallback: Callable[[Request], Response], fast_lane: bool, base_path: str, margin_s: float
    ) -> None:
        """:param fallback: answers what the fast lane does not (Mangum and FastAPI).
        :param margin_s: seconds before the invocation's deadline at which a run is ended.
        """
        self._application = application
        self._fallback = fallback
        self._fast_lane = fast_lane
        self._base_path = base_path
        self._margin_s = margin_s

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Answer one event that :func:`flavour_of` recognises. Nothing is raised."""
        flavour = flavour_of(event) or "v2"
        request = Request("GET", "/", gateway_id=_gateway_id(event, context), check_response=_check_envelope)
        request.function_id = str(getattr(context, "aws_request_id", ""))
        try:
            self._read(event, context, flavour, request)
        except Unreadable as problem:
            return self._render(self._application.refuse(problem, request), event, flavour)
        if self._fast_lane and self._application.is_fast(request):
            response = self._application.handle(request)
        else:
            response = self._fallback(request)
        return self._render(response, event, flavour)

    def _read(self, event: dict[str, Any], context: Any, flavour: Flavour, request: Request) -> None:
        headers = _headers(event)
        # A REST API that compresses by itself (template.yaml, RequestValidation) would take what the function compressed for text.
        if flavour == "v1" and event.get("stageVariables") == _GATEWAY_COMPRESSES:
            headers.pop("accept-encoding", None)
        request.headers = headers
        request.method = _method(event, flavour)
        request.path, request.base = self._path(event, flavour)
        request.caller = caller_of(event, flavour)
        request.query = _query(event, flavour)
        request.body = _body(event)
        remaining = getattr(context, "get_remaining_time_in_millis", None)
        if remaining is not None:
            request.deadline = time.monotonic() + remaining() / 1000 - self._margin_s

    def _path(self, event: dict[str, Any], flavour: Flavour) -> tuple[str, str]:
        """The path, and what stood before it."""
        path = event.get("rawPath") if flavour == "v2" else event.get("path")
        if not isinstance(path, str) or not path.startswith("/") or not _encodable(path):
            raise Unreadable("The request's path is missing, is no text, or does not start with '/'.")
        stage = event["requestContext"].get("stage")
        # HTTP APIs put a named stage before the path; REST APIs do not.
        whole = path
        if flavour == "v2" and isinstance(stage, str) and stage != "$default":
            path = without_prefix(f"/{stage}", path)
        path = without_prefix(self._base_path, path)
        base = _stage_before(whole, event, flavour) + (whole.removesuffix(path) if path != "/" else whole.rstrip("/"))
        # Decoded exactly once, as every HTTP server does; no model's name needs it, and nothing is looked up on disk by it.
        if "%" not in path:
            return path, base
        from urllib.parse import unquote

        return unquote(path, errors="replace"), base

    def _render(self, response: Response, event: dict[str, Any], flavour: Flavour) -> dict[str, Any]:
        headers = {"Content-Type": response.content_type, **response.headers}
        text = _text(response)
        body = text if text is not None else b64encode(response.body).decode()
        answer: dict[str, Any] = {"statusCode": response.status, "headers": headers, "body": body, "isBase64Encoded": text is None}
        if flavour == "alb" and isinstance(event.get("multiValueHeaders"), dict):
            answer["multiValueHeaders"] = {name: [value] for name, value in answer.pop("headers").items()}
        if flavour == "alb":
            from http import HTTPStatus

            answer["statusDescription"] = f"{response.status} {HTTPStatus(response.status).phrase}"
        return answer


def _stage_before(path: str, event: dict[str, Any], flavour: Flavour) -> str:
    """What stands before a path of payload 1.0, whose stage the context's path alone has: ``/prod`` of ``/prod/jobs``."""
    outer = event["requestContext"].get("path") if flavour == "v1" else None
    found = isinstance(outer, str) and outer.startswith("/") and outer.endswith(path) and outer.isascii() and outer.isprintable()
    return str(outer).removesuffix(path) if found else ""


def _text(response: Response) -> str | None:
    """The body as text, where the content type is one of text and the body really is."""
    if not response.content_type.startswith(TEXT) or "Content-Encoding" in response.headers:
        return None
    try:
        return response.body.decode()
    except UnicodeDecodeError:
        return None


def _check_envelope(response: Response, largest_output: str) -> None:
    """Lambda takes a response only up to a size, in which a JSON body is a string with its quotes escaped and a binary one base64.

    :raises ResultTooLarge: with the limit, what the body comes to, and the largest output.
    """
    length = len(response.body)
    if length * 2 + _HEADER_BYTES <= _RESPONSE_BYTES:
        return
    text = _text(response)
    size = _HEADER_BYTES + (length * 4 // 3 + 4 if text is None else length + text.count('"') + text.count("\\"))
    if size > _RESPONSE_BYTES:
        raise ResultTooLarge(
            f"The result has {length} bytes, {size} in Lambda's envelope, which takes {_RESPONSE_BYTES}; output '{largest_output}' is the largest; "
            'ask for fewer rows, for fewer outputs with "outputs", or for a compressed answer (Accept-Encoding: gzip).'
        )


def _gateway_id(event: Mapping[str, Any], context: Any) -> str:
    wanted = event["requestContext"].get("requestId")
    return wanted if is_plain_id(wanted) else str(getattr(context, "aws_request_id", ""))


def _method(event: dict[str, Any], flavour: Flavour) -> str:
    method = event["requestContext"]["http"].get("method") if flavour == "v2" else event["httpMethod"]
    if not isinstance(method, str) or not (method.isascii() and method.isalpha() and len(method) <= 20):
        raise Unreadable("The request's method is not one.")
    return method.upper()


def _headers(event: dict[str, Any]) -> dict[str, str]:
    """Headers by lower-case name; REST APIs and load balancers may send lists."""
    single, multiple = event.get("headers") or {}, event.get("multiValueHeaders") or {}
    if not isinstance(single, dict) or not isinstance(multiple, dict):
        raise Unreadable("The request's headers are not an object.")
    found: dict[str, str] = {}
    for name, value in [*single.items(), *((name, _joined(values)) for name, values in multiple.items())]:
        if (
            not isinstance(value, str)
            or not 0 < len(name) <= 256
            or not _TOKEN.issuperset(name)
            or "\r" in value
            or "\n" in value
            or "\x00" in value
        ):
            raise Unreadable("A header of the request has a name or value that HTTP does not allow.")
        if not _encodable(value):
            raise Unreadable("A header of the request is not valid text.")
        found[name.lower()] = value
    return found


def _encodable(text: str) -> bool:
    """JSON can write half of a surrogate pair, which no text has."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def _joined(values: Any) -> Any:
    return ",".join(values) if isinstance(values, list) and all(isinstance(value, str) for value in values) else None


def _query(event: dict[str, Any], flavour: Flavour) -> str:
    if flavour == "v2":
        query = event.get("rawQueryString") or ""
        if not isinstance(query, str) or not _encodable(query):
            raise Unreadable("The request's query string is not text.")
        return query
    multiple = event.get("multiValueQueryStringParameters") or {}
    single = event.get("queryStringParameters") or {}
    if not isinstance(multiple, dict) or not isinstance(single, dict):
        raise Unreadable("The request's query parameters are not an object.")
    pairs = [(name, value) for name, values in multiple.items() for value in (values if isinstance(values, list) else [])]
    pairs = pairs or list(single.items())
    if any(not isinstance(value, str) or not _encodable(name + value) for name, value in pairs):
        raise Unreadable("The request's query parameters are not text.")
    if not pairs:
        return ""
    from urllib.parse import quote

    # A load balancer passes them on encoded, API Gateway decoded.
    return "&".join(f"{n}={v}" if flavour == "alb" else f"{quote(n, errors='replace')}={quote(v, errors='replace')}" for n, v in pairs)


def _body(event: dict[str, Any]) -> bytes:
    body = event.get("body")
    if body is None:
        return b""
    encoded = event.get("isBase64Encoded", False)
    if not isinstance(body, str) or not isinstance(encoded, bool):
        raise Unreadable("The request's body is not text, or isBase64Encoded is not true or false.")
    try:
        return binascii.a2b_base64(body.encode("ascii"), strict_mode=True) if encoded else body.encode()
    except (binascii.Error, UnicodeEncodeError) as error:
        what = "base64, although isBase64Encoded says so" if encoded else "valid Unicode text"
        raise Unreadable(f"The request's body is not {what}.") from error
