"""Requests to S3 that may be answered "no", lists of any length, and bodies that come and go whole or not at all."""

import base64
import hashlib
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from app.errors import Invalid
from app.storage.aws_clients import call, is_lost, time_left, unavailable
from app.storage.aws_errors import codes_of

# "Object key naming guidelines": in UTF-8.
MOST_KEY_BYTES = 1024
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


def key_of(prefix: str, name: str) -> str:
    """The key of a name below a prefix.

    :raises Invalid: for one that is longer than S3 takes.
    """
    key = prefix + name
    if (length := len(key.encode())) > MOST_KEY_BYTES:
        raise Invalid(
            f"What is written would have a key of {length} bytes, and S3 takes at most {MOST_KEY_BYTES:,}; shorten the name of the input, "
            "the folders that it is in, or the output's prefix."
        )
    return key


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


def listed(bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    """What ListObjectsV2 tells of each object under a prefix, asked for a page of a thousand at a time."""
    asked = {"Bucket": bucket, "Prefix": prefix}
    while True:
        page = call("s3", "list_objects_v2", **asked)
        yield from page.get("Contents", ())
        if not page.get("IsTruncated"):
            return
        asked["ContinuationToken"] = page["NextContinuationToken"]


def checked(body: bytes) -> dict[str, Any]:
    """A body with the SHA-256 that S3 compares it with."""
    return {"Body": body, "ChecksumSHA256": base64.b64encode(hashlib.sha256(body).digest()).decode()}


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
