"""A connection to a webhook's receiver: to an address that was checked, by no proxy, within one deadline.

Nothing here reads the environment's proxy variables or follows a redirect, and no name is looked up twice: what was checked is what
is connected to (Smokescreen's rule: resolve, classify, dial the same address).
"""

import io
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from app.jobs.public_address import Address, read_address
from app.jobs.webhook_address import Target

if TYPE_CHECKING:
    import socket

# Of an answer only the status and Retry-After matter; the rest is read so that the receiver is not cut off, up to here.
MAX_ANSWER_BYTES = 64 * 1024
Connect = Callable[[str, int, float], "socket.socket"]
Fault = Literal[
    "name-not-resolved",
    "resolver-timeout",
    "address-refused",
    "connection-failed",
    "connection-reset",
    "tls-failed",
    "timeout",
    "bad-answer",
]


class AttemptFailed(Exception):
    """An attempt ended before there was an answer; ``word`` says how, without an address or a library's text."""

    def __init__(self, word: Fault) -> None:
        super().__init__(word)
        self.word = word


class AnswerTooLong(Exception):
    """The receiver sent more than is read of an answer."""


class Deadline:
    """The one end of an attempt: every wait in it takes what is left."""

    def __init__(self, timeout_s: float) -> None:
        self.started = time.monotonic()
        self._end = self.started + timeout_s

    def left(self) -> float:
        """The seconds that are left.

        :raises TimeoutError: when none are.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def elapsed(self) -> float:
        """The seconds since the start."""
        return time.monotonic() - self.started


def open_socket(address: str, port: int, timeout_s: float) -> "socket.socket":
    """A TCP connection to an IP address.

    :raises OSError: when there is none within ``timeout_s``.
    """
    import socket

    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.settimeout(timeout_s)
        made.connect((address, port))
    except BaseException:
        made.close()
        raise
    return made


def open_connection(target: Target, addresses: Sequence[Address], deadline: Deadline, connect: Connect) -> "socket.socket":
    """A connection to the first of the addresses that takes one, secured where the target is https.

    :raises AttemptFailed: when none does, when the socket is connected to another address, or when TLS fails.
    :raises OSError: when the connection breaks or the time is up.
    """
    word: Fault = "connection-failed"
    for position, address in enumerate(addresses):
        try:
            # an equal share for each address that is left, so that one that never answers leaves time for the others
            connected = connect(str(address), target.port, deadline.left() / (len(addresses) - position))
        except TimeoutError:
            word = "timeout"
            continue
        except OSError:
            word = "connection-failed"
            continue
        try:
            _check_peer(connected, target, address)
            return _secure(connected, target, deadline) if target.scheme == "https" else connected
        except BaseException:
            connected.close()
            raise
    raise AttemptFailed(word)


def _check_peer(connected: "socket.socket", target: Target, asked: Address) -> None:
    """Refuse a socket whose other end is not the address that was asked for, or not one that webhooks go to, before a byte is sent."""
    host, port, *_ = connected.getpeername()
    peer = read_address(str(host))
    if peer is None or peer != asked or port != target.port or not target.policy.allows(peer):
        raise AttemptFailed("address-refused")


def _secure(connected: "socket.socket", target: Target, deadline: Deadline) -> "socket.socket":
    """TLS over a connection, the certificate checked for the host of the URL against the system's authorities."""
    import ssl

    context = ssl.create_default_context()
    # the handshake as a whole takes no longer than this: CPython counts one deadline over its reads and writes
    connected.settimeout(deadline.left())
    try:
        return context.wrap_socket(connected, server_hostname=target.host)
    except ssl.SSLError:
        raise AttemptFailed("tls-failed") from None


class BoundedStream(io.RawIOBase):
    """What a receiver sends, to the deadline and to :data:`MAX_ANSWER_BYTES`.

    A socket's own time-out starts anew with each read, so that a byte every few seconds would hold it for ever.
    """

    def __init__(self, connected: "socket.socket", deadline: Deadline) -> None:
        self._socket, self._deadline, self._left = connected, deadline, MAX_ANSWER_BYTES

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what comes next.

        :raises AnswerTooLong: at the limit.
        :raises TimeoutError: at the deadline.
        """
        if not self._left:
            raise AnswerTooLong
        self._socket.settimeout(self._deadline.left())
        read = self._socket.recv_into(memoryview(buffer)[: self._left])
        self._left -= read
        return read


def send_all(connected: "socket.socket", message: bytes, deadline: Deadline) -> None:
    """Send a message before the deadline, however slowly the receiver takes it.

    :raises OSError: when the connection breaks or the time is up.
    """
    rest = memoryview(message)
    while rest:
        # not sendall(): its time-out is for the whole on a plain socket, and may start anew with each piece over TLS
        connected.settimeout(deadline.left())
        rest = rest[connected.send(rest) :]
