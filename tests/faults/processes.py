"""Invocations in processes of their own, which a fault kills by SIGKILL: ``python -m tests.faults.processes`` is their parent.

The parent has imported everything and asked AWS for nothing; each invocation is a fork of it. It reads a JSON object a line and
answers one a line. AWS is moto over HTTP or, where it is told of a socket, the memory of the test behind that.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

import pytest

from app.jobs.delivery import Delivery
from app.jobs.sender import Sent
from app.storage import aws_clients
from tests.faults.function import ROOT, Function, Names, hurry
from tests.faults.points import KILLS, Fault, Points, Send, sigkill
from tests.faults.scenarios import SCENARIOS, run_in_memory
from tests.faults.world import World


class Processes:
    """The parent, as its user sees it. ``world`` is who is asked by those that know no moto."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.world: World | None = None

    def ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Run one invocation; ``{}`` where it was killed."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def answer(self, listener: Listener) -> None:
        """Answer one process after the other, until the test ends."""
        while True:
            try:
                self._answer(listener.accept())
            except OSError:
                return

    def _answer(self, connection: Connection) -> None:
        assert self.world
        with connection:
            while True:
                try:
                    service, operation, arguments = connection.recv()
                    if service == "receiver":
                        answer: Any = self.world.receiver.transmit(arguments)
                    else:
                        answer = self.world.cloud.send(service, operation, arguments)
                    connection.send((answer, None))
                except EOFError:
                    return
                except Exception as error:  # whatever it is, it is for the process to bear
                    connection.send((None, error))


@contextmanager
def processes(names: Names, *, memory: bool) -> Iterator[Processes]:
    """A parent of processes, for the memory of the test or for the AWS of this environment."""
    with tempfile.TemporaryDirectory() as folder:
        address = str(Path(folder, "aws")) if memory else ""
        listener = Listener(address) if memory else None
        command = [sys.executable, "-m", "tests.faults.processes", json.dumps(names), address]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            found = Processes(process)
            if listener:
                threading.Thread(target=found.answer, args=(listener,), daemon=True).start()
            try:
                yield found
            finally:
                assert process.stdin
                process.stdin.close()
                process.wait(10)
                if listener:
                    listener.close()


# A fork takes longer than most invocations, so that none is made where the kill cannot come yet.
_MOST_CALLS = 60


class KilledWorld(World):
    """A world in which a process that is killed is one: invocations are forked as long as such a fault is to come."""

    def __init__(self, processes: Processes, *arguments: Any, **options: Any) -> None:
        self._processes = processes
        super().__init__(*arguments, **options)
        processes.world = self

    def invoke(self, event: dict[str, Any]) -> Any:
        """See :meth:`World.invoke`."""
        killing = min((fault for fault in self.points.faults if fault.mode in KILLS), default=None)
        if killing is None:
            return super().invoke(event)
        if killing.call > self.points.count + _MOST_CALLS:
            return self._invoke_here(event)
        found = self._processes.ask({"event": event, "now": self.clock(), "count": self.points.count, "faults": self.points.faults})
        if not found:
            self.points.skip([fault for fault in self.points.faults if fault.call <= killing.call], killing.call)
            return None
        self.points.skip([Fault(*fault) for fault in found["hit"]], found["count"])
        return found["answer"]

    def _invoke_here(self, event: dict[str, Any]) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.points, "kill", lambda: pytest.fail(f"an invocation made more than {_MOST_CALLS} calls"))
            return super().invoke(event)


def _serve(names: Names, address: str) -> None:
    logging.disable(logging.CRITICAL)
    if not address:
        for service in ("dynamodb", "sqs", "s3"):
            aws_clients.client(service)
    hurry()
    # Loads the model, and whatever else is loaded when it is first needed.
    for scenario in SCENARIOS:
        run_in_memory(scenario)
    Function(names, time.time)
    for line in sys.stdin:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            os.write(writing, json.dumps(_invoke(names, address, json.loads(line))).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as answer:
            found = answer.read()
        status = os.waitpid(child, 0)[1]
        assert bool(found) != (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL)
        sys.stdout.write((found or "{}") + "\n")
        sys.stdout.flush()


def _invoke(names: Names, address: str, asked: dict[str, Any]) -> dict[str, Any]:
    faults = [Fault(*fault) for fault in asked["faults"]]
    send, transmit = _through(address) if address else (aws_clients.send, None)
    points = Points(send, faults, kill=sigkill, count=asked["count"])
    aws_clients.send = points.send
    answer = Function(names, lambda: float(asked["now"]), transmit).invoke(asked["event"])
    return {"answer": answer, "count": points.count, "hit": points.hit}


def _through(address: str) -> tuple[Send, Callable[[Delivery], Sent]]:
    connection = Client(address)

    def ask(service: str, operation: str, arguments: Any) -> Any:
        connection.send((service, operation, arguments))
        answer, error = connection.recv()
        if error is not None:
            raise error
        return answer

    return ask, lambda delivery: ask("receiver", "take", delivery)


if __name__ == "__main__":
    _serve(Names(*json.loads(sys.argv[1])), sys.argv[2])
