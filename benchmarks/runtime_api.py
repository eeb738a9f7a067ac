"""A Lambda Runtime API for one process and one event: hands the event out, notes when the answer has arrived.

Contract: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import contextlib
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PREFIX = "/2018-06-01/runtime/"
ARN = "arn:aws:lambda:eu-central-1:123456789012:function:benchmark"
INVOCATION_SECONDS = 60


class RuntimeApi(ThreadingHTTPServer):
    """What Lambda is to the process in it. `idle` is set once the process asks for a second event, or has failed."""

    daemon_threads = True

    def __init__(self, event: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.event = event
        self.handed_out = False
        self.answer = b""
        self.answered_ns = 0
        self.failure = ""
        self.idle = threading.Event()
        self.closing = threading.Event()

    @property
    def address(self) -> str:
        """The value of AWS_LAMBDA_RUNTIME_API."""
        return f"127.0.0.1:{self.server_port}"


@contextlib.contextmanager
def runtime_api(event: bytes) -> Iterator[RuntimeApi]:
    """Serve the Runtime API on a free port for as long as the block lasts."""
    with RuntimeApi(event) as api:
        thread = threading.Thread(target=api.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield api
        finally:
            api.closing.set()
            api.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one segment
    server: RuntimeApi

    def do_GET(self) -> None:
        api = self.server
        if self.path != f"{PREFIX}invocation/next":
            return self._reply(404, b"")
        if api.handed_out:
            api.idle.set()
            api.closing.wait()
            self.close_connection = True
            return None
        api.handed_out = True
        headers = {
            "Lambda-Runtime-Aws-Request-Id": str(uuid.uuid4()),
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + INVOCATION_SECONDS) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": ARN,
            "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0",
        }
        return self._reply(200, api.event, headers)

    def do_POST(self) -> None:
        body = self._body()
        api = self.server
        if self.path.startswith(f"{PREFIX}invocation/") and self.path.endswith("/response"):
            api.answered_ns = time.perf_counter_ns()
            api.answer = body
        else:
            api.failure = f"{self.path}: {body.decode(errors='replace')[:2000]}"
            api.idle.set()
        self._reply(202, b'{"status":"OK"}')

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response_only(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing: the benchmark reports itself."""
