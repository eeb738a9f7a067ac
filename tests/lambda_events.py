"""The smallest HTTP API event of a request."""

from typing import Any


def v2(method: str, path: str, body: str | None = None) -> dict[str, Any]:
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {"http": {"method": method, "path": path}, "requestId": "gateway-1", "stage": "$default"},
        "body": body,
        "isBase64Encoded": False,
    }
