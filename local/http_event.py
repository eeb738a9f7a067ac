"""HTTP requests as Lambda's events of an HTTP API (payload 2.0), and a function's answers as HTTP.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
import binascii
import json
import time
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

ACCOUNT = "123456789012"
DOMAIN = "api.execute-api.eu-west-1.amazonaws.com"
# Bodies of other types come in base64, as forms do.
_TEXT = ("text/", "application/json", "application/javascript", "application/xml")
# What the connection is about, and what API Gateway sets itself: an answer's are not passed on.
_HOP_BY_HOP = frozenset({"connection", "content-length", "keep-alive", "server", "te", "trailer", "transfer-encoding", "upgrade"})


class HttpRequest(NamedTuple):
    """A request: the path and query as they were sent, repeated headers joined by a comma, their names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    caller: str = "127.0.0.1"


class HttpAnswer(NamedTuple):
    """An answer to send."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class NoAnswer(Exception):
    """What a function returned is nothing that an HTTP API can send."""


def event_of(
    request: HttpRequest,
    route: str = "$default",
    parameters: Mapping[str, str] | None = None,
    authorizer: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The event of a request that takes this route."""
    headers = {name: value for name, value in request.headers.items() if name != "cookie"}
    text = _text(request)
    return {
        "version": "2.0",
        "routeKey": route,
        "rawPath": request.path,
        "rawQueryString": request.query,
        **({"cookies": request.headers["cookie"].split("; ")} if "cookie" in request.headers else {}),
        "headers": headers,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "api",
            **({"authorizer": authorizer} if authorizer else {}),
            "domainName": DOMAIN,
            "domainPrefix": "api",
            "http": {
                "method": request.method,
                "path": request.path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.caller,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": f"gateway-{uuid.uuid4().hex}",
            "routeKey": route,
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
            "timeEpoch": time.time_ns() // 1_000_000,
        },
        **({"pathParameters": dict(parameters)} if parameters else {}),
        "body": base64.b64encode(request.body).decode() if text is None else text,
        "isBase64Encoded": text is None,
    }


def _text(request: HttpRequest) -> str | None:
    """The body where it goes into an event as it is; None where it goes in base64."""
    kind = request.headers.get("content-type", "text/plain").strip().lower()
    if not kind.startswith(_TEXT) or "content-encoding" in request.headers:
        return None
    try:
        return request.body.decode()
    except UnicodeDecodeError:
        return None


def answer_of(returned: Any) -> HttpAnswer:
    """What a function returned, as HTTP. Without a status it is the body itself, as JSON ("Lambda function response for format 2.0").

    :raises NoAnswer: for a status that is none, or a body that is not what its flag says.
    """
    if not isinstance(returned, dict) or "statusCode" not in returned:
        return HttpAnswer(200, [("content-type", "application/json")], json.dumps(returned).encode())
    try:
        status = HTTPStatus(int(returned["statusCode"])).value
        body = str(returned.get("body") or "")
        content = base64.b64decode(body, validate=True) if returned.get("isBase64Encoded") else body.encode()
    except (TypeError, ValueError, binascii.Error) as error:
        raise NoAnswer(str(error)) from error
    told = {str(name).lower(): str(value) for name, value in (returned.get("headers") or {}).items()}
    headers = [(name, value) for name, value in told.items() if name not in _HOP_BY_HOP]
    headers += [("set-cookie", cookie) for cookie in returned.get("cookies") or ()]
    return HttpAnswer(status, headers, content)
