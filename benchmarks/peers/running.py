"""Servers that run while they are measured, and are gone afterwards with every process they started."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.peers import wire
from benchmarks.peers.servers import Launch
from benchmarks.processes import BenchmarkError, child, tail

START_SECONDS = 90.0
END_SECONDS = 10.0
MARK = "ONNX_LAMBDA_BENCHMARK"


class Server:
    """A server that has been started and may not be ready yet."""

    def __init__(
        self, process: subprocess.Popen[bytes], port: int, launch: Launch, output: "tempfile._TemporaryFileWrapper[bytes]"
    ) -> None:
        self.port = port
        self._process, self._ready, self._output = process, launch.ready, output

    def wait(self) -> None:
        """Wait until it can predict.

        :raises BenchmarkError: it ended, or took too long.
        """
        ends = time.monotonic() + START_SECONDS
        while time.monotonic() < ends:
            if self._process.poll() is not None:
                raise BenchmarkError(f"it ended with {self._process.returncode}: {tail(self._output)}")
            with contextlib.suppress(OSError, BenchmarkError), wire.Connection(self.port) as connection:
                if connection.call(wire.request("GET", self._ready, {}, b"")).status == 200:
                    return
            time.sleep(0.1)
        raise BenchmarkError(f"it was not ready after {START_SECONDS:.0f} s: {tail(self._output)}")


@contextlib.contextmanager
def started(launch: Launch, port: int) -> Iterator[Server]:
    """Start a server; end it, and all that it started, when the block ends."""
    mark = secrets.token_hex(8)
    environment: Mapping[str, str] = os.environ | launch.environment | {MARK: mark}
    with tempfile.NamedTemporaryFile() as output, child(launch.command, environment, output=output.fileno()) as process:
        try:
            yield Server(process, port, launch, output)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_SECONDS)
            _kill_marked(f"{MARK}={mark}".encode())


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _kill_marked(mark: bytes) -> None:
    """Kill the processes that inherited this mark: some servers put their workers into sessions of their own."""
    while marked := [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if _has(folder, mark)]:
        for number in marked:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        time.sleep(0.05)


def _has(process: Path, mark: bytes) -> bool:
    try:
        return mark in (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False  # it has ended, or is somebody else's
