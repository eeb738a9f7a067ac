"""The points at which a program asks AWS for something, numbered, and what can go wrong at each of them."""

import os
import signal
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

Send = Callable[[str, str, dict[str, Any]], Any]
# One call is tried this often (app.storage.aws_clients.ATTEMPTS): a fault that lasts longer is an outage to whoever asked.
ALL_ATTEMPTS = 5
MODES = {
    # the retry loop hides these
    "before": "the connection fails once before anything is done",
    "after": "what was asked is done once more than its caller hears of",
    "throttle": "two throttles and then an answer",
    # these its callers must bear
    "down": "every attempt fails before anything is done",
    "lost": "every attempt is done and none is answered",
    "slow-before": "an hour passes for everybody else before it is done",
    "slow-after": "an hour passes for everybody else before the answer is heard",
    "late-before": "an hour passes in which nobody does anything but look, before it is done",
    "late-after": "an hour passes in which nobody does anything but look, before the answer is heard",
    "kill-before": "the process is killed before",
    "kill-after": "the process is killed after it was done and before the answer",
}
_TIMES = {"before": 1, "after": 1, "throttle": 2, "down": ALL_ATTEMPTS, "lost": ALL_ATTEMPTS}
KILLS = ("kill-before", "kill-after")


class Fault(NamedTuple):
    """What goes wrong at the call of a number."""

    call: int
    mode: str


class Killed(BaseException):
    """The process is gone. Nothing that it still does has an effect: see :class:`Points`."""


def sigkill() -> None:
    """End this process as the platform does, at once."""
    os.kill(os.getpid(), signal.SIGKILL)


def die() -> None:
    """End what runs here, where a test stands in for a process."""
    raise Killed


def unheard(answer: Any) -> None:
    """Close the connection of an answer that nobody reads."""
    if answer and "Body" in answer:
        answer["Body"].close()


class Points:
    """Stands between the program and AWS. A call that is tried again keeps its number.

    :param kill: ends the process.
    :param meanwhile: what everybody else does while this process waits: everything, or no more than look.
    """

    def __init__(
        self,
        send: Send,
        faults: Sequence[Fault] = (),
        *,
        kill: Callable[[], None] = die,
        meanwhile: Callable[[bool], None] = lambda alone: None,
        count: int = 0,
    ) -> None:
        self._send = send
        self._faults = {fault.call: fault for fault in faults}
        self.kill = kill
        self._meanwhile = meanwhile
        self.count = count
        self.names: list[str] = []
        self.hit: list[Fault] = []
        self._asked: dict[str, Any] | None = None
        self._fault: Fault | None = None
        self._left = 0
        self._passing = False
        self._dead = False

    def send(self, service: str, operation: str, arguments: dict[str, Any]) -> Any:
        """One attempt, as :func:`app.storage.aws_clients.send` makes it."""
        if self._dead:
            raise Killed
        if self._passing:
            return self._send(service, operation, arguments)
        if arguments is not self._asked:
            self._asked = arguments
            self.count += 1
            self.names.append(f"{service} {operation}")
            self._fault = self._faults.pop(self.count, None)
            if self._fault is not None:
                self.hit.append(self._fault)
                self._left = _TIMES.get(self._fault.mode, 1)
        if self._fault is None or not self._left:
            return self._send(service, operation, arguments)
        self._left -= 1
        return self._go_wrong(self._fault.mode, service, operation, arguments)

    def revive(self) -> None:
        """Another process takes the place of the one that was killed."""
        self._dead = False

    @property
    def faults(self) -> list[Fault]:
        """Those that are still to come."""
        return sorted(self._faults.values())

    def skip(self, hit: Sequence[Fault], count: int) -> None:
        """Go on where another process has come to."""
        for fault in hit:
            del self._faults[fault.call]
        self.hit += hit
        self.count = count

    def _go_wrong(self, mode: str, service: str, operation: str, arguments: dict[str, Any]) -> Any:
        if mode in ("before", "down"):
            raise EndpointConnectionError(endpoint_url=service)
        if mode == "throttle":
            answer = {"Error": {"Code": "ThrottlingException"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
            raise ClientError(answer, operation)
        if mode == "kill-before":
            self._end()
        if mode in ("slow-before", "late-before"):
            self._wait(alone=mode == "late-before")
        try:
            answer = self._send(service, operation, arguments)
        except ClientError as error:
            if mode in ("slow-before", "late-before"):
                raise
            refused: ClientError | None = error
            answer = None
        else:
            refused = None
        if mode == "kill-after":
            unheard(answer)
            self._end()
        if mode in ("slow-after", "late-after"):
            self._wait(alone=mode == "late-after")
        if mode in ("after", "lost"):
            # A refusal is not heard of either.
            unheard(answer)
            raise ReadTimeoutError(endpoint_url=service)
        if refused is not None:
            raise refused
        return answer

    def _end(self) -> None:
        self._dead = True
        self.kill()

    def _wait(self, *, alone: bool) -> None:
        self._passing = True
        try:
            self._meanwhile(alone)
        finally:
            self._passing = False
