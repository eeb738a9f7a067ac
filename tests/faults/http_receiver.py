"""A receiver of webhooks behind real HTTP, which believes what is signed and nothing else."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook

from tests.faults.function import SECRET
from tests.faults.receiver import Receiver


@contextmanager
def http_receiver(status_of: Callable[[str], str]) -> Iterator[tuple[Receiver, str]]:
    """A receiver on a free port of this machine, and its address."""
    receiver = Receiver(status_of)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            # Raises for what is not signed, which the sender hears of as a connection that ended.
            Webhook(SECRET).verify(body, {name.lower(): value for name, value in self.headers.items()})
            status = receiver.take(self.headers["webhook-id"], self.path, body.decode())
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield receiver, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
