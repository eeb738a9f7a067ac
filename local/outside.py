"""The outside, as far as webhooks see it: a server with a public address and a certificate that they trust.

The functions send webhooks as they do on Lambda, to https:// and public addresses alone, and nothing is told to look away. So a receiver on
this machine stands behind this server, which passes on what it is sent.
"""

import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local.authority import Authority

# Standard Webhooks, and what a receiver reads beside it.
_PASSED_ON = ("webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "user-agent", "traceparent")
# Beyond the sender's own patience nobody waits for an answer.
_PATIENCE_S = 15.0


def serve(authority: Authority, port: int, receiver: str, say: Callable[[str], None]) -> ThreadingHTTPServer:
    """Receive in threads of this process until it ends; port 0 is a free one.

    :param receiver: the URL before the paths of webhooks; where it is empty every webhook is answered 204.
    :param say: is told a line of each webhook.
    """

    class Outside(BaseHTTPRequestHandler):
        timeout = _PATIENCE_S

        def do_POST(self) -> None:  # the library's name
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name: self.headers[name] for name in _PASSED_ON if name in self.headers}
            status = _passed_on(f"{receiver.rstrip('/')}{self.path}", body, headers) if receiver else 204
            say(f"webhook {headers.get('webhook-id', 'without an id')}: {len(body)} bytes, {status}")
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            """Say nothing beside that."""

    server = ThreadingHTTPServer(("0.0.0.0", port), Outside)  # noqa: S104  # its public address is one of its container's
    server.daemon_threads = True
    # The handshake is the connection's own thread's, so that one that never comes holds up nobody.
    server.socket = authority.server().wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _passed_on(url: str, body: bytes, headers: dict[str, str]) -> int:
    """The receiver's status; 502 where there is none, at which the sender tries again later."""
    asked = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310  # the address is the owner's own
    # No proxy of the environment: what is meant is a machine beside this one.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(asked, timeout=_PATIENCE_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 502
