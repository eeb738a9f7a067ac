"""A share of all calls to AWS fails, each in a way of its own."""

import random
import threading
from collections import Counter
from typing import Any

from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from tests.faults.points import Killed, Send, unheard

# Beside the failures: of a thousand calls so many end their process.
KILLED_SHARE = 0.002
MODES = ("refused", "reset", "lost", "lost-500", "throttled", "500", "slow-down")


class Noise:
    """Stands between the program and AWS, as :class:`tests.faults.points.Points` does. Threads may share it.

    :param share: of the calls that fail, from 0 to 1.
    """

    def __init__(self, send: Send, seed: int, share: float) -> None:
        self._send = send
        self._chance = random.Random(seed)
        self._share = share
        self._lock = threading.Lock()
        self._local = threading.local()
        self.calls = 0
        self.failed: Counter[str] = Counter()

    def send(self, service: str, operation: str, arguments: dict[str, Any]) -> Any:
        """One attempt, as :func:`app.storage.aws_clients.send` makes it."""
        if getattr(self._local, "dead", False):
            raise Killed
        mode = self._mode()
        if mode in ("", "lost", "lost-500", "killed-after"):
            answer = self._heard(mode, service, operation, arguments)
            if not mode:
                return answer
            unheard(answer)
        if mode.startswith("killed"):
            self._local.dead = True
            raise Killed
        raise _failure(mode, service, operation)

    def revive(self) -> None:
        """Another process takes the place of the one that was killed."""
        self._local.dead = False

    def _heard(self, mode: str, service: str, operation: str, arguments: dict[str, Any]) -> Any:
        try:
            return self._send(service, operation, arguments)
        except ClientError:
            if not mode:
                raise
            return None

    def _mode(self) -> str:
        with self._lock:
            self.calls += 1
            mode = ""
            if self._chance.random() < KILLED_SHARE:
                mode = self._chance.choice(("killed-before", "killed-after"))
            elif self._chance.random() < self._share:
                mode = self._chance.choice(MODES)
            if mode:
                self.failed[mode] += 1
            return mode


def _failure(mode: str, service: str, operation: str) -> Exception:
    if mode == "refused":
        return EndpointConnectionError(endpoint_url=service)
    if mode == "reset":
        return ConnectionClosedError(endpoint_url=service)
    if mode == "lost":
        return ReadTimeoutError(endpoint_url=service)
    code = {"throttled": "ThrottlingException", "slow-down": "SlowDown"}.get(mode, "InternalServerError")
    status = 400 if mode == "throttled" else 503 if mode == "slow-down" else 500
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, operation)
