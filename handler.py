"""The Lambda function: ``handler.handler``. Everything is loaded and connected here, once for each execution environment."""

import sys
import time

_started = time.perf_counter()

import functools
from typing import Any

import orjson

from app.http.message import Request, Response
from app.wiring import Program, event_handler, runner, wire


class OrjsonMarshaller:
    """Reads events and writes answers with orjson. awslambdaric's own goes over the whole body with simplejson each way;
    replacing it is documented at ``BaseLambdaRuntimeClient.marshaller``.
    """

    def unmarshal_request(self, request: bytes, content_type: str | None = "application/json") -> Any:
        """The event; anything that is not JSON fails the invocation, as with the original."""
        return request if content_type != "application/json" else orjson.loads(request)

    def marshal_response(self, response: Any) -> tuple[bytes, str]:
        """The answer as JSON bytes."""
        return orjson.dumps(response, option=orjson.OPT_SERIALIZE_NUMPY), "application/json"


class ThroughMangum:
    """Answers a request by FastAPI behind Mangum, both imported at the first such request.

    Mangum is given an event made from the request that was parsed strictly, because it raises on a good many that
    a client can cause (a Host with two colons, bad base64).
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._mangum: Any = None

    def __call__(self, request: Request) -> Response:
        """Answer one request."""
        if self._mangum is None:
            from mangum import Mangum

            from app.http.fastapi_app import create

            _set_event_loop()
            # lifespan="auto" would run start-up and shut-down at every invocation.
            self._mangum = Mangum(create(runner(self._program, always_inline=True)), lifespan="off")
        answer = self._mangum(_canonical_event(request), None)
        headers = {name.lower(): value for name, value in answer["headers"].items()}
        body = _decoded(answer["body"], encoded=answer["isBase64Encoded"])
        content_type = headers.pop("content-type", "application/json")
        headers.pop("content-length", None)
        return Response(answer["statusCode"], body, content_type, headers)


@functools.cache
def _set_event_loop() -> None:
    """One loop for the process: Mangum asks for the current one, and newer Pythons warn where there is none."""
    import asyncio
    import atexit

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    atexit.register(loop.close)


def _canonical_event(request: Request) -> dict[str, Any]:
    from base64 import b64encode
    from urllib.parse import quote

    path = quote(request.path)
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.query,
        # Mangum reads host and port out of these, and raises where they are no host and no port
        "headers": {
            **request.headers,
            "host": "lambda",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
            "x-request-id": request.id,
        },
        "requestContext": {"http": {"method": request.method, "path": path, "sourceIp": "127.0.0.1"}, "stage": "$default"},
        "body": b64encode(request.body).decode(),
        "isBase64Encoded": True,
        # read by app.http.asgi.request_of
        "request": request,
    }


def _decoded(body: str, *, encoded: bool) -> bytes:
    from base64 import b64decode

    return b64decode(body) if encoded else body.encode()


program = wire(started=_started)
if _runtime := sys.modules.get("awslambdaric.lambda_runtime_client"):
    _runtime.BaseLambdaRuntimeClient.marshaller = OrjsonMarshaller()
_answer = event_handler(program, ThroughMangum(program))


def handler(event: Any, context: Any) -> Any:
    """Answer one invocation: API Gateway, Function URL, load balancer, direct invoke, schedule, and with jobs their queues and sweeper.

    :raises UnknownEvent: for an event that nothing here knows.
    """
    return _answer(event, context)
