"""The short way through ``serve``: a small request that arrived whole is answered where it was read, without ASGI.

A scope, a task, a cycle, an event and three timers for each request take more time than a small model does: docs/decisions/0009-quick-way.md.
What is not small, whole and quick goes through uvicorn's cycle, and its answer is the same.
"""

from typing import Any, NamedTuple
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.cli.http_protocol import HttpProtocol
from app.errors import Problem
from app.http.asgi import AsgiApp, headers_of
from app.http.message import Request, Response

_MOST_BODY_BYTES = 16 * 1024
_MOST_HEAD_BYTES = 2048
# Clients send the same fields again and again, but for the length of the body.
_MOST_HEADS = 16
# Of pipelined requests so many are answered before another connection has its turn.
_MOST_AT_ONCE = 8
# Larger bodies are not copied behind their head.
_COPIED_BYTES = 64 * 1024


class _Head(NamedTuple):
    """What the parser found in a head. ``headers`` is shared by all requests that begin with it."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    length: int


class QuickProtocol(HttpProtocol):
    """One connection. :func:`within` makes the class of an application."""

    asgi: AsgiApp

    def __init__(self, *positional: Any, **named: Any) -> None:
        super().__init__(*positional, **named)
        # Whether the parser is between two requests, so that the next byte begins one.
        self._between = True
        # Heads of this connection: one that is the same to the last byte means the same, and is not parsed again.
        self._heads: dict[bytes, _Head] = {}
        # The head of the request that is being read, as long as it may be answered here, and what there is of its body
        self._head: _Head | None = None
        self._body = b""
        # Those that were answered of what arrived together, and how many more may be
        self._answered: list[_Head] = []
        self._turns = 0
        self._idle_since = 0.0

    def data_received(self, data: bytes) -> None:
        """Answer a request whose head is known; read everything else."""
        self._turns = _MOST_AT_ONCE
        end = 0
        if self._between and len(data) <= _MOST_HEAD_BYTES + _MOST_BODY_BYTES:
            end = data.find(b"\r\n\r\n") + 4
            head = self._heads.get(data[:end])
            if head is not None and end + head.length == len(data) and self._is_free() and self._answer(head, data[end:]):
                return
        super().data_received(data)
        if self._head is not None:
            self._give_up()
        elif end and len(self._answered) == 1 and end + self._answered[0].length == len(data) and end <= _MOST_HEAD_BYTES:
            # What arrived was that one request, from its first byte to its last.
            if len(self._heads) >= _MOST_HEADS:
                self._heads.clear()
            self._heads[data[:end]] = self._answered[0]
        self._answered.clear()

    def on_message_begin(self) -> None:
        """Note that a request has begun."""
        self._between = False
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        if self._head is None:
            super().on_body(body)
        else:
            self._body += body

    def on_message_complete(self) -> None:
        """Answer, if the request may be answered here."""
        self._between = True
        head = self._head
        if head is not None:
            body, self._body, self._head = self._body, b"", None
            if self._answer(head, body):
                self._answered.append(head)
                return
            self._head, self._body = head, body
            self._give_up()
        super().on_message_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close, unless a request was answered meanwhile: then wait on, which costs less than a timer for each."""
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def _begin(self) -> None:
        self._head = self._read_head()
        if self._head is None:
            self._begin_cycle()

    def _give_up(self) -> None:
        """Go uvicorn's way with the request that is being read."""
        self._head, body, self._body = None, self._body, b""
        self._begin_cycle()
        if body:
            super().on_body(body)

    def _begin_cycle(self) -> None:
        # Within the same packet the answer before may have been written here, or the head have come without its body.
        self._unset_keepalive_if_required()
        self._silence()
        super()._begin()

    def _read_head(self) -> _Head | None:
        """The head that was just parsed; None where it asks for more than an answer on a connection that goes on."""
        parser = self.parser
        if self.expect_100_continue or parser.should_upgrade() or parser.get_http_version() != "1.1" or not parser.should_keep_alive():
            return None
        if not self._is_free():
            return None
        headers = headers_of(self.headers)
        length = headers.get("content-length", "0")
        if "transfer-encoding" in headers or not length.isdigit() or int(length) > _MOST_BODY_BYTES:
            return None
        url = httptools.parse_url(self.url)
        if not url.path:
            return None
        path, query = url.path.decode("ascii"), url.query
        return _Head(
            parser.get_method().decode("ascii"),
            unquote(path) if "%" in path else path,
            query.decode("latin-1") if query else "",
            headers,
            int(length),
        )

    def _refuse(self, problem: Problem) -> None:
        # As where the answer is still under way: it is the last.
        if self._answered:
            self.transport.close()
        else:
            super()._refuse(problem)

    def _is_free(self) -> bool:
        """Whether an answer may be written now."""
        return self._turns > 0 and self._is_idle() and not self.flow.write_paused and not self.transport.is_closing()

    def _answer(self, head: _Head, body: bytes) -> bool:
        """Whether the request could be answered here, and was."""
        response = self.asgi.at_once(Request(head.method, head.path, head.headers, head.query, body))
        if response is None:
            return False
        self._turns -= 1
        self._silence()
        head_bytes = self._head_of(response)
        if len(response.body) <= _COPIED_BYTES:
            self.transport.write(head_bytes + response.body)
        else:
            self.transport.write(head_bytes)
            self.transport.write(response.body)
        self.server_state.total_requests += 1
        if response.headers.get("Connection") == "close":
            self.transport.close()
            return True
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
        return True

    def _head_of(self, response: Response) -> bytes:
        headers = response.headers
        lines = [f"content-type: {response.content_type}\r\n", *[f"{name.lower()}: {value}\r\n" for name, value in headers.items()]]
        if "Content-Length" not in headers:
            lines.append(f"content-length: {len(response.body)}\r\n")
        text = "".join(lines)
        # Every value is ours or was checked; one that ended its line would begin a header of a caller's making.
        assert text.count("\n") == len(lines) == text.count("\r")
        defaults = b"".join([b"%s: %s\r\n" % field for field in self.server_state.default_headers])
        return b"%s%s%s\r\n" % (STATUS_LINE[response.status], defaults, text.encode("latin-1", "replace"))


def within(seconds: float, asgi: AsgiApp) -> type[QuickProtocol]:
    """The protocol of an application, whose requests' heads may take this long."""
    return type("QuickProtocol", (QuickProtocol,), {"timeout_s": seconds, "asgi": asgi})
