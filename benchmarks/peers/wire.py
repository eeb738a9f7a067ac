"""HTTP/1.1 over plain sockets: a client whose own work is small beside that of the servers it times."""

import contextlib
import re
import select
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.processes import BenchmarkError

SECONDS = 60.0  # for one answer
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def request(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Accept: application/json, */*"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


class Connection:
    """One connection, kept alive from call to call."""

    def __init__(self, port: int) -> None:
        self.socket = _connect(port)

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def call(self, sent: bytes) -> Answer:
        """Send a request and read the whole answer."""
        received = bytearray()
        try:
            self.socket.sendall(sent)
            while not _is_whole(received):
                chunk = self.socket.recv(1 << 18)
                if not chunk:
                    raise BenchmarkError("it closed the connection before the answer was whole")
                received += chunk
        except OSError as error:
            raise BenchmarkError(f"no answer: {error}") from None
        return _parse(bytes(received))


def requests_per_second(port: int, sent: bytes, *, connections: int, seconds: float) -> float:
    """How many requests are answered when each connection sends its next one as soon as it has its answer."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(contextlib.closing(_connect(port))) for _ in range(connections)]
        by_number = {each.fileno(): each for each in sockets}
        partial: dict[int, bytes] = {}
        poll = stack.enter_context(select.epoll())
        for each in sockets:
            poll.register(each, select.EPOLLIN)
            each.sendall(sent)
        answered, started = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds:
            for number, _ in poll.poll(SECONDS):
                received = partial.pop(number, b"") + by_number[number].recv(1 << 16)
                if not _is_whole(received):
                    if not received:
                        raise BenchmarkError("it closed a connection")
                    partial[number] = received
                    continue
                if not received.startswith(b"HTTP/1.1 200 "):
                    raise BenchmarkError(f"it answered {received[:200]!r}")
                answered += 1
                by_number[number].sendall(sent)
        return answered / elapsed


def _connect(port: int) -> socket.socket:
    connected = socket.create_connection(("127.0.0.1", port), SECONDS)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


def _is_whole(received: bytes | bytearray) -> bool:
    """Whether an answer has arrived to its last byte."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return False
    length = _LENGTH.search(received, 0, end + 2)
    if length is None:
        return _joined(bytes(received[end + 4 :])) is not None
    return len(received) >= end + 4 + int(length[1])


def _joined(chunked: bytes) -> bytes | None:
    """The body in chunks (RFC 9112, section 7.1), None as long as the last one is missing."""
    body = b""
    while (line := chunked.partition(b"\r\n"))[1]:
        size = int(line[0].partition(b";")[0], 16)
        if len(line[2]) < size + 2:
            return None
        if not size:
            return body
        body, chunked = body + line[2][:size], line[2][size + 2 :]
    return None


def _parse(received: bytes) -> Answer:
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    return Answer(int(first.split()[1]), headers, body if "content-length" in headers else _joined(body) or b"")
