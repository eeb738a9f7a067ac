"""HTTP as API Gateway brings it to the function, and what callers ask for and hear."""

import base64
import json
from typing import Any, NamedTuple

ISSUER = "https://issuer.example.com"
Row = tuple[float, ...]


class Ask(NamedTuple):
    """What a caller wants. His job is his alone; ``key`` is his Idempotency-Key."""

    owner: str
    key: str
    row: Row
    webhook: str = ""
    # the id under which the body was uploaded; without one it is in the request
    upload: str = ""

    @property
    def body(self) -> bytes:
        """The request's body."""
        return json.dumps({"instances": [self.row]}).encode()


class Answer(NamedTuple):
    """What came back over HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Seen(NamedTuple):
    """What a caller was told of a job at some moment."""

    job_id: str
    status: str


class GaveUp(Exception):
    """A caller was refused, or asked as often as a caller may."""


def http_event(owner: str, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> dict[str, Any]:
    """An event of an HTTP API whose JWT authorizer knows the caller."""
    http = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test"}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "api.example.com", **(headers or {})},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "domainName": "api.example.com",
            "authorizer": {"jwt": {"claims": {"iss": ISSUER, "sub": owner}, "scopes": None}},
            "http": http,
            "requestId": "request",
            "routeKey": "$default",
            "stage": "$default",
        },
        "body": body.decode(),
        "isBase64Encoded": False,
    }


def answer_of(found: Any) -> Answer | None:
    if found is None:
        return None
    body = base64.b64decode(found["body"]) if found["isBase64Encoded"] else found["body"].encode()
    return Answer(found["statusCode"], {name.lower(): value for name, value in found["headers"].items()}, body)


def sqs_record(message: dict[str, Any]) -> dict[str, Any]:
    """A message as a delivery has it."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": {"ApproximateReceiveCount": "1"},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:queue",
        "awsRegion": "eu-west-1",
    }
