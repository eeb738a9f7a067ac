"""A function under AWS's runtime interface emulator, invoked as Lambda invokes it.

The emulator takes one event at a time: a second one beside it makes it panic, so events wait for one another here. On Lambda each would
get an environment of its own.
"""

import http.client
import json
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from typing import Any

from local.limits import PAYLOAD_BYTES

PATH = "/2015-03-31/functions/function/invocations"
START_S = 60.0


class InvokeFailed(Exception):
    """There is no answer: the function raised, ended, ran out of time, or has said more than Lambda passes on."""


class EventTooLarge(Exception):
    """Lambda refuses the event (413 RequestTooLargeException)."""


class TookTooLong(Exception):
    """There was no answer within the time that the caller waits."""


class Emulator:
    """A function's emulator at a port of this machine."""

    def __init__(self, name: str, port: int, timeout_s: float) -> None:
        """:param timeout_s: the function's own, at which the emulator ends it."""
        self.name = name
        self._port = port
        self._timeout_s = timeout_s
        self._one_at_a_time = ThreadPoolExecutor(1, thread_name_prefix=name)

    def invoke(self, event: Any, patience_s: float | None = None) -> Any:
        """The function's answer to an event.

        :param patience_s: how long the caller waits, its turn included; for ever where it is None.
        :raises EventTooLarge, InvokeFailed, TookTooLong:
        """
        body = json.dumps(event).encode()
        if len(body) > PAYLOAD_BYTES:
            raise EventTooLarge
        asked = self._one_at_a_time.submit(self._ask, body)
        try:
            return asked.result(patience_s)
        except (NotInTime, CancelledError):
            asked.cancel()
            raise TookTooLong from None

    def _ask(self, body: bytes) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout_s + START_S)
        try:
            _connect(connection)
            connection.request("POST", PATH, body, {"Content-Type": "application/json"})
            text = connection.getresponse().read()
        except OSError as error:
            raise InvokeFailed(f"{self.name} cannot be reached: {error}") from error
        finally:
            connection.close()
        return _read(text)


def _connect(connection: http.client.HTTPConnection) -> None:
    """Connect; a container that starts at the same time may be a little behind."""
    ends = time.monotonic() + START_S
    while True:
        try:
            connection.connect()
            return
        except ConnectionRefusedError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.1)


def _read(text: bytes) -> Any:
    """The answer. The emulator gives failures status 200 as well: an object with ``errorType``, or words that are no JSON."""
    try:
        answer = json.loads(text)
    except ValueError:
        raise InvokeFailed(text.decode(errors="replace")[:200]) from None
    if isinstance(answer, dict) and "errorType" in answer and "statusCode" not in answer:
        raise InvokeFailed(f"{answer['errorType']}: {answer.get('errorMessage', '')}"[:200])
    if len(text) > PAYLOAD_BYTES:
        raise InvokeFailed(f"Function.ResponseSizeTooLarge: {len(text)} bytes")
    return answer


Invoke = Callable[[Any], Any]
