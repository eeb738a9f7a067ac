"""Receivers of webhooks on this machine: real sockets, real TLS."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

Behaviour = Callable[["Receiver", socket.socket], None]


class Receiver:
    """A server, on a free port of 127.0.0.1 unless told otherwise, that does one thing with every connection.

    ``accepted`` counts the connections, ``requests`` holds what was read of each request, ``sent`` what was written.
    """

    def __init__(self, behaviour: Behaviour, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1", port: int = 0) -> None:
        self._behaviour, self._tls = behaviour, tls
        self.accepted = self.sent = 0
        self.requests: list[bytes] = []
        self.ended = threading.Event()
        self._last: object = None
        self._listener = socket.create_server((address, port))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # One connection more, and the loop ends at it: whoever connected before has been counted by then.
        with socket.socket() as last:
            last.bind(("127.0.0.1", 0))
            self._last = last.getsockname()
            last.connect(("127.0.0.1", self.port))
            self._threads[0].join(10)
        self.ended.set()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            connection, peer = self._listener.accept()
            if peer == self._last:
                connection.close()
                return
            self.accepted += 1
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        try:
            served = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
        except OSError:  # a handshake that the sender gave up
            connection.close()
            return
        # the sender hangs up, as it should
        with served, contextlib.suppress(OSError):
            self._behaviour(self, served)

    def read_request(self, connection: socket.socket) -> bytes:
        """The whole of a request; it is kept in ``requests``."""
        read = b""
        while b"\r\n\r\n" not in read:
            read += connection.recv(65536) or b"\r\n\r\n"
        head, _, body = read.partition(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
        while len(body) < length and (more := connection.recv(65536)):
            body += more
        self.requests.append(head + b"\r\n\r\n" + body)
        return self.requests[-1]

    def write(self, connection: socket.socket, data: bytes) -> None:
        """Send, and count what went out."""
        connection.sendall(data)
        self.sent += len(data)


def answers(answer: bytes) -> Behaviour:
    """A receiver that reads the request and gives this answer."""

    def behave(receiver: Receiver, connection: socket.socket) -> None:
        receiver.read_request(connection)
        receiver.write(connection, answer)

    return behave


def status(line: str, *fields: str, body: bytes = b"") -> bytes:
    """An answer as bytes."""
    return "\r\n".join([f"HTTP/1.1 {line}", *fields, f"Content-Length: {len(body)}", "", ""]).encode() + body


def drips(begin: bytes, piece: bytes = b"x") -> Behaviour:
    """A receiver that begins an answer and then sends a piece at a time, without end."""

    def behave(receiver: Receiver, connection: socket.socket) -> None:
        receiver.read_request(connection)
        receiver.write(connection, begin)
        while not receiver.ended.wait(0.01):
            receiver.write(connection, piece)

    return behave


def resets(receiver: Receiver, connection: socket.socket) -> None:
    """A receiver that reads the request and resets the connection."""
    receiver.read_request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def says_nothing(receiver: Receiver, connection: socket.socket) -> None:
    """A receiver that reads the request and never answers."""
    receiver.read_request(connection)
    receiver.ended.wait(10)


def hangs_up(receiver: Receiver, connection: socket.socket) -> None:
    """A receiver that reads the request and closes the connection."""
    receiver.read_request(connection)


def listens(receiver: Receiver, connection: socket.socket) -> None:
    """A receiver that keeps whatever it is sent, to the end of the connection."""
    while read := connection.recv(65536):
        receiver.requests.append(read)
