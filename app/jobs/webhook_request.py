"""One attempt to deliver a webhook, from the look-up of the receiver's name to what its answer means."""

import io
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, cast

from app import __version__
from app.jobs.delivery import Disposition
from app.jobs.webhook_address import RESOLVE_TIMEOUT_S, LookupFailed, Resolve, Target, addresses, look_up
from app.jobs.webhook_connection import (
    AnswerTooLong,
    AttemptFailed,
    BoundedStream,
    Connect,
    Deadline,
    Fault,
    open_connection,
    open_socket,
    send_all,
)
from app.jobs.webhook_schedule import parse_retry_after
from app.jobs.webhook_signature import Secrets, headers

if TYPE_CHECKING:
    import socket

# Standard Webhooks 1.0.0, "Request timeouts": 15 to 30 s.
TIMEOUT_S = 15.0


class Outcome(NamedTuple):
    """What became of an attempt.

    ``status`` is the receiver's, where it came; ``fault`` is what kept the answer from being whole; ``retry_after_s`` is what the
    receiver asked for, at most 24 h.
    """

    disposition: Disposition
    status: int | None
    fault: Fault | None
    retry_after_s: float | None
    duration_s: float

    @property
    def label(self) -> str:
        """The fault, or else the status, for a log line and the job's record."""
        return self.fault or str(self.status)


class _Answer:
    """What is known of an answer so far; a fault after the status leaves the status."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.retry_after: str | None = None


class _Source(NamedTuple):
    """What ``HTTPResponse`` asks of a socket: the one stream, each time."""

    stream: io.BufferedReader

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002
        """The stream."""
        return self.stream


def send(
    target: Target,
    body: bytes,
    *,
    webhook_id: str,
    secrets: Secrets,
    timeout_s: float = TIMEOUT_S,
    resolve: Resolve = look_up,
    connect: Connect = open_socket,
    now: Callable[[], float] = time.time,
) -> Outcome:
    """Send a webhook once. It never raises for anything that a receiver, a resolver or a network does.

    :param target: of :func:`app.jobs.webhook_address.check_url`.
    :param body: JSON, sent as it is.
    :param timeout_s: for the attempt as a whole: look-up, connection, TLS, request and answer.
    """
    deadline, answer, fault = Deadline(timeout_s), _Answer(), None
    timestamp = int(now())
    request = _request(target, body, headers(secrets, webhook_id, timestamp, body))
    try:
        found = addresses(target, resolve, min(RESOLVE_TIMEOUT_S, deadline.left()))
        connected = open_connection(target, found, deadline, connect)
        try:
            send_all(connected, request, deadline)
            _read_answer(connected, deadline, answer)
        finally:
            connected.close()
    except (LookupFailed, AttemptFailed) as failure:
        fault = failure.word
    except Exception as failure:  # the network and http.client have many; none may end the sender's loop
        fault = _fault(failure)
    retry_after_s = parse_retry_after(answer.retry_after, now())
    return Outcome(_disposition(answer.status, fault), answer.status, fault, retry_after_s, deadline.elapsed())


def _request(target: Target, body: bytes, signed: dict[str, str]) -> bytes:
    """The request as it goes over the wire. Every value was checked: none can hold a line end."""
    fields = {
        "Host": target.authority,
        "User-Agent": f"onnx-lambda/{__version__}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Accept-Encoding": "identity",
        "Connection": "close",
    } | signed
    lines = [f"POST {target.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + body


def _read_answer(connected: "socket.socket", deadline: Deadline, answer: _Answer) -> None:
    """Read the status, the headers, and of the body what fits into the limit.

    A body that ends early or not at all is a fault, although the status has come: the receiver may have died over it.
    """
    from http.client import HTTPException, HTTPResponse

    source = cast("socket.socket", _Source(io.BufferedReader(BoundedStream(connected, deadline))))
    # A collected HTTPResponse closes the stream that it shares with the next one, so all are kept.
    responses: list[HTTPResponse] = []
    try:
        # 103 Early Hints and the like come before the answer (RFC 9110, section 15.2); http.client passes over 100 alone
        while not responses or 100 <= responses[-1].status < 200:
            responses.append(HTTPResponse(source, method="POST"))
            responses[-1].begin()
    except AnswerTooLong:
        raise AttemptFailed("bad-answer") from None
    response = responses[-1]
    answer.status, answer.retry_after = response.status, response.getheader("Retry-After")
    try:
        while response.read(8192):
            pass
    except AnswerTooLong:
        return
    if response.length:
        raise HTTPException


def _fault(failure: Exception) -> Fault:
    """The word for what went wrong: an exception's text may hold addresses and what the receiver sent."""
    import ssl

    if isinstance(failure, TimeoutError):
        return "timeout"
    if isinstance(failure, ssl.SSLError):
        return "tls-failed"
    if isinstance(failure, ConnectionError):
        return "connection-reset"
    return "connection-failed" if isinstance(failure, OSError) else "bad-answer"


def _disposition(status: int | None, fault: Fault | None) -> Disposition:
    """Standard Webhooks 1.0.0, "Delivery success and failure": 2xx was taken, 410 is not wanted any more, all else is tried again."""
    if status == 410:
        return "stop"
    return "delivered" if fault is None and status is not None and 200 <= status < 300 else "retry"
