"""HTTP/1.1 on one connection of ``serve``: uvicorn's protocol, made to answer in its own right what never reaches the application."""

import json
from asyncio import TimerHandle, Transport
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.errors import BodyTooSlow, Problem, Unreadable
from app.identifiers import new_id

# The path and the header fields of one request. The parser has no limit, and what it gives is kept while the request is answered;
# a server may refuse what is larger than it wishes to process (RFC 9110, section 5.4).
_HEAD_BYTES = 65_536
# Of a head that does not end, where it began within what arrived is not known: that may hold the end of a body, and uvloop and
# asyncio read at most 256 KB at once.
_UNFINISHED_BYTES = _HEAD_BYTES + 262_144


class HttpProtocol(HttpToolsProtocol):
    """One connection. ``timeout_s`` is how long a request's head may take; :func:`within` sets it."""

    timeout_s: float = 60.0

    def __init__(self, *positional: Any, **named: Any) -> None:
        super().__init__(*positional, **named)
        self._in_head = False
        # No more than this much of what has arrived is of the head being read.
        self._head_bytes = 0
        self._alarm: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._alarm = self.loop.call_later(self.timeout_s, self._end_waiting)

    def connection_lost(self, exc: Exception | None) -> None:
        """End what waits."""
        self._silence()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what has arrived; what cannot be read is refused."""
        self._unset_keepalive_if_required()
        self._head_bytes = self._head_bytes + len(data) if self._in_head else len(data)
        try:
            while data:
                try:
                    self.parser.feed_data(data)
                    break
                except httptools.HttpParserUpgrade as upgrade:
                    # A server may ignore Upgrade (RFC 9110, section 7.8), and the body that follows is the request's. The parser
                    # takes it for another protocol's, so it is given the same head again, without what made it think so.
                    # Java's HttpClient and curl --http2 offer h2c with every request of cleartext HTTP.
                    data = data[upgrade.args[0] :]
                    self.parser.feed_data(self._head_without_upgrade())
        except httptools.HttpParserError as error:
            # What a callback raises is the context of the parser's error.
            cause = error.__context__
            self._refuse(cause if isinstance(cause, Problem) else Unreadable("The request is not HTTP/1.1: its framing cannot be read."))
            return
        if self._in_head or (self._is_idle() and self.timeout_keep_alive_task is None):
            # The timer of uvicorn between two requests ends with the first byte, be it of a head that never ends.
            if self._in_head and self._head_bytes > _UNFINISHED_BYTES:
                self._refuse(_too_long())
            elif self._alarm is None:
                self._alarm = self.loop.call_later(self.timeout_s, self._end_waiting)

    def on_message_begin(self) -> None:
        """Note that a head has begun."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Start to answer, unless the head is too long."""
        self._in_head = False
        self._silence()
        if self._head_bytes > _HEAD_BYTES and len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > _HEAD_BYTES:
            raise _too_long()
        if self.parser.get_method() == b"CONNECT":
            # The parser takes it for an upgrade whatever its fields are.
            raise Unreadable("CONNECT is for proxies (RFC 9110, section 9.3.6), and this is none.")
        self._begin()

    def _begin(self) -> None:
        """Start to answer the request whose head was read."""
        super().on_headers_complete()

    def _is_idle(self) -> bool:
        """Whether no answer is due or under way, apart from that to a request that is still being read."""
        return self.cycle is None or self.cycle.response_complete

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whether the connection stays open: a client that has sent all it wants may still read (RFC 9293, section 3.6)."""
        cycle = self.cycle
        due = cycle is not None and not cycle.response_complete
        if cycle.more_body if due else self._in_head:
            self._refuse(Unreadable("The connection ended before the request did."))
        elif due:
            cycle.keep_alive = False
        return due

    def _should_upgrade(self) -> bool:
        """True is for uvicorn's callbacks: no request begins with a head that offers an upgrade, see data_received."""
        return True

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % field for field in self.headers if field[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def _silence(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _end_waiting(self) -> None:
        self._alarm = None
        if self._in_head:
            self._refuse(BodyTooSlow(f"The header fields did not arrive within {self.timeout_s} s."))
        else:
            self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        """Answer with the problem and close the connection, after the answers that are due before."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body:
                # The request before this one is whole.
                cycle.keep_alive = False
                return
            if cycle.response_started or self.pipeline:
                self.transport.close()
                return
            cycle.disconnected = True
            cycle.message_event.set()
        request_id = new_id()
        body = json.dumps(problem.as_object(request_id), separators=(",", ":")).encode()
        fields = [*self.server_state.default_headers, (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        fields += [(b"x-request-id", request_id.encode()), (b"connection", b"close")]
        head = b"".join([b"%s: %s\r\n" % field for field in fields])
        self.transport.write(b"%s%s\r\n%s" % (STATUS_LINE[problem.status], head, body))
        self.transport.close()


def _too_long() -> Unreadable:
    return Unreadable(
        f"The request line and the header fields are longer than the {_HEAD_BYTES} bytes that are read; send what is large in the body."
    )
