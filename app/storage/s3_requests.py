"""Requests to S3 that may be answered "no", and bodies that come whole or not at all."""

import threading
from contextlib import suppress
from typing import Any

from app.storage.aws_clients import call, is_lost, time_left, unavailable
from app.storage.aws_errors import codes_of

MISSING = frozenset({"404", "405", "MethodNotAllowed", "NoSuchKey", "NoSuchVersion"})
# A body that is slower than this, after a while, is not on its way but stuck.
_LONGEST_WAIT_S, _SLOWEST_BYTES_PER_S = 10.0, 500_000
# A socket that is told to wait this long gives up at its next read.
_AT_ONCE_S = 0.001


class Refused(Exception):
    """S3 answered "no" in a way that was asked about."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def ask(operation: str, refusals: frozenset[str], /, **arguments: Any) -> dict[str, Any]:
    """The answer of an operation, tried again as :func:`app.storage.aws_clients.call` does.

    :raises Refused: for one of the refusals.
    :raises StoreUnavailable: for everything else.
    """
    from botocore.exceptions import ClientError

    try:
        answer: dict[str, Any] = call("s3", operation, **arguments)
    except ClientError as error:
        if found := codes_of(error) & refusals:
            raise Refused(min(found)) from error
        raise unavailable("s3", operation) from error
    return answer


def body_of(stream: Any, length: int) -> bytes | None:
    """A body to its end; None where it is of another length, or so slow that time for another try would go.

    A socket's time-out begins anew with every byte, so a timer ends a body that comes byte by byte.
    """
    longest_s = min(_LONGEST_WAIT_S + length / _SLOWEST_BYTES_PER_S, time_left() / 2)
    timer = threading.Timer(max(0.0, longest_s), _give_up, (stream,))
    timer.start()
    try:
        body = bytes(stream.read())
    except Exception as error:  # botocore's tree is imported to be asked, not to be caught
        if not is_lost(error):
            raise
        return None
    else:
        return body if len(body) == length else None
    finally:
        timer.cancel()
        stream.close()


def _give_up(stream: Any) -> None:
    # What has ended meanwhile has no socket any more.
    with suppress(AttributeError):
        stream.set_socket_timeout(_AT_ONCE_S)
