"""The event every candidate gets, as API Gateway's HTTP API sends it, and the context beside it."""

import json
import time
from typing import Any

from benchmarks.runtime_api import ARN, INVOCATION_SECONDS

IRIS_BODY = '{"inputs": {"X": [[5.1, 3.5, 1.4, 0.2]]}}'


def http_api_event(body: str, path: str = "/predict") -> dict[str, Any]:
    """An HTTP API v2 event: POST with a JSON body, the headers of a usual client."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {
            "accept": "*/*",
            "content-length": str(len(body)),
            "content-type": "application/json",
            "host": "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com",
            "user-agent": "python-httpx/0.28.1",
            "x-amzn-trace-id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
            "x-forwarded-for": "192.0.2.1",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3d4e5",
            "domainName": "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com",
            "domainPrefix": "a1b2c3d4e5",
            "http": {
                "method": "POST",
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "python-httpx/0.28.1",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": "$default",
            "time": "10/Mar/2026:16:30:00 +0000",
            "timeEpoch": 1773160200000,
        },
        "body": body,
        "isBase64Encoded": False,
    }


def as_bytes(event: dict[str, Any]) -> bytes:
    """The event on the wire."""
    return json.dumps(event, separators=(",", ":")).encode()


class Context:
    """What awslambdaric hands to a handler beside the event."""

    function_name = "benchmark"
    function_version = "$LATEST"
    invoked_function_arn = ARN
    memory_limit_in_mb = "1769"
    aws_request_id = "52fdfc07-2182-154f-163f-5f0f9a621d72"
    log_group_name = "/aws/lambda/benchmark"
    log_stream_name = "2026/03/10/[$LATEST]0123456789abcdef"
    identity = None
    client_context = None
    tenant_id = None

    def __init__(self) -> None:
        self._deadline = time.monotonic() + INVOCATION_SECONDS

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda would stop the invocation."""
        return int((self._deadline - time.monotonic()) * 1000)
