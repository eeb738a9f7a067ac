"""The ASGI shell of ``serve``: a bare callable that answers the fast routes and passes the rest to the FastAPI app."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from app.errors import BodyTooSlow, Problem, Unreadable
from app.http.application import Application
from app.http.message import Request, Response, without_prefix

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
# Under this many bytes, and for a model that lately ran quicker than this, a hop to a thread costs more than it gives.
_INLINE_BYTES = 16 * 1024
_INLINE_TYPES = ("application/json", "application/octet-stream")
_DEFERRING = frozenset(("prefer", "idempotency-key", "webhook-url"))
_STORED = ("/jobs", "/uploads", "/downloads")
_MOST_WAITING = 64
_INLINE_SECONDS = 0.002
_PATIENCE_SECONDS = 0.02


class Runner:
    """Answers requests beside the event loop where they would hold it up, in it where that is quicker."""

    def __init__(self, application: Application, *, timeout_s: float, always_inline: bool = False) -> None:
        """:param always_inline: for a process that has one request at a time, such as a Lambda function."""
        self.application = application
        self._always_inline = always_inline
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(max_workers=max(4, 2 * (os.cpu_count() or 1)), thread_name_prefix="predict")
        # Who waits for a job (Prefer: wait) uses no CPU, and would keep the threads above from those who do.
        self._waiting = ThreadPoolExecutor(max_workers=_MOST_WAITING, thread_name_prefix="wait")
        # path → how long its requests take of late, in seconds; only paths that were answered 200 are kept
        self._lately: dict[str, float] = {"/health/live": 0.0, "/": 0.0, "/ping": 0.0}

    async def answer(self, request: Request, receive: Receive | None) -> Response:
        """Read the body (None: there is none to read), then answer."""
        started = time.perf_counter()
        try:
            if receive is not None:
                request.body = await self._read_in_time(request, receive)
        except Problem as unread:
            return self.application.refuse(unread, request, seconds=time.perf_counter() - started)
        if request.deadline is None:
            request.deadline = time.monotonic() + self._timeout_s
        if self._always_inline:
            return self.application.handle(request)
        started = time.perf_counter()
        at_once = self._try_inline(request)
        if at_once is not None:
            response, took = at_once, time.perf_counter() - started
        else:
            prefer = request.headers.get("prefer", "")
            threads = self._waiting if "wait" in prefer and "async" in prefer else self._threads
            response, took = await asyncio.get_running_loop().run_in_executor(threads, self._handle, request)
        if response.status == 200:
            self._lately[request.path] = self._lately.get(request.path, 0.0) * 0.8 + took * 0.2
        return response

    def at_once(self, request: Request) -> Response | None:
        """The answer to a request that is whole, if it is expected to be quick and is; None where :meth:`answer` has to give it."""
        if len(request.body) > self.application.services.predictor.max_body_bytes:
            return None
        started = time.perf_counter()
        response = self._try_inline(request)
        if response is not None and response.status == 200:
            self._lately[request.path] = self._lately.get(request.path, 0.0) * 0.8 + (time.perf_counter() - started) * 0.2
        return response

    def _handle(self, request: Request) -> tuple[Response, float]:
        """The answer, and the seconds that this thread worked on it.

        Not the wall clock's: eight requests that wait for each other in threads would look slow, and stay there for ever.
        """
        started = time.thread_time()
        return self.application.handle(request), time.thread_time() - started

    def _try_inline(self, request: Request) -> Response | None:
        """The answer, if it is expected to be quick and is; None where it belongs into a thread.

        Whether a run is quick can depend on its values, so it is given a few milliseconds and ended after that.
        """
        if len(request.body) > _INLINE_BYTES or self._lately.get(request.path, 1.0) > _INLINE_SECONDS:
            return None
        # A store of jobs may make its callers wait.
        if not request.headers.keys().isdisjoint(_DEFERRING) or request.path.startswith(_STORED):
            return None
        # A small picture or a small compressed body may be a large one inside.
        if "content-encoding" in request.headers or not request.headers.get("content-type", _INLINE_TYPES[0]).startswith(_INLINE_TYPES):
            return None
        deadline, request.deadline = request.deadline, time.monotonic() + _PATIENCE_SECONDS
        response = self.application.handle(request, patient=False)
        request.deadline = deadline
        if response is None:
            self._lately[request.path] = 1.0
        return response

    async def _read_in_time(self, request: Request, receive: Receive) -> bytes:
        """The body, or :class:`BodyTooSlow`. What ``asyncio.timeout`` does, in a fifth of its 5 µs."""
        task = asyncio.current_task()
        assert task is not None
        late: list[bool] = []

        def end() -> None:
            late.append(True)
            task.cancel()

        alarm = asyncio.get_running_loop().call_later(self._timeout_s, end)
        try:
            return await self._read(request, receive)
        except asyncio.CancelledError:
            if late and task.uncancel() == 0:
                raise BodyTooSlow(f"The body did not arrive within {self._timeout_s} s.") from None
            raise
        finally:
            alarm.cancel()

    async def _read(self, request: Request, receive: Receive) -> bytes:
        check_size = self.application.size_check(request)
        length = request.headers.get("content-length", "")
        if length.isdigit():
            # Refused before a byte of it is read.
            check_size(int(length))
        chunks, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Unreadable("The connection ended before the body did.")
            chunk, more = message.get("body", b""), message.get("more_body", False)
            chunks.append(chunk)
            size += len(chunk)
            check_size(size)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class AsgiApp:
    """The ASGI application."""

    def __init__(self, runner: Runner, fastapi_app: Callable[[], Any], *, fast_lane: bool, base_path: str) -> None:
        """:param fastapi_app: makes the FastAPI app; called at the first request that needs it.
        :param base_path: what a proxy puts before every path.
        """
        self._base_path = base_path
        self._runner = runner
        self._make = fastapi_app
        self._made: Any = None
        self._fast_lane = fast_lane

    def at_once(self, request: Request) -> Response | None:
        """The answer to a request that is whole, without ASGI; None where only the call below can give it."""
        request.path, request.base = without_prefix(self._base_path, request.path), self._base_path
        return self._runner.at_once(request) if self._fast_lane and self._runner.application.is_fast(request) else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection's request."""
        if scope["type"] != "http":
            return
        if self._base_path:
            scope = {**scope, "path": without_prefix(self._base_path, scope["path"]), "onnx-lambda.base": self._base_path}
        request = request_of(scope)
        if not (self._fast_lane and self._runner.application.is_fast(request)):
            await self._fastapi()(scope, receive, send)
            return
        response = await self._runner.answer(request, receive)
        headers = [(b"content-type", response.content_type.encode())]
        headers += [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in response.headers.items()]
        if "Content-Length" not in response.headers:
            headers.append((b"content-length", str(len(response.body)).encode()))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

    def _fastapi(self) -> Any:
        if self._made is None:
            self._made = self._make()
        return self._made


def headers_of(fields: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Header fields, whose names are in lower case, by name."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in fields:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        # RFC 9110, section 5.3, and what API Gateway does
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def request_of(scope: Scope) -> Request:
    """The request of an ASGI scope, without its body. Behind Mangum, deadline and limits are those of the Lambda event."""
    request = Request(scope["method"], scope["path"], headers_of(scope["headers"]), scope["query_string"].decode("latin-1"))
    request.base = scope.get("onnx-lambda.base", "")
    if "aws.event" in scope:
        origin: Request = scope["aws.event"]["request"]
        request.deadline, request.check_response = origin.deadline, origin.check_response
        request.gateway_id, request.function_id = origin.gateway_id, origin.function_id
        request.caller, request.base = origin.caller, origin.base
    return request
