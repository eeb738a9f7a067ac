"""Child processes and temporary folders that never outlive the benchmark, and the one way it says what it is doing."""

import atexit
import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, NoReturn

ROOT = Path(__file__).resolve().parent.parent
_started = time.monotonic()
_running: set[subprocess.Popen[bytes]] = set()


class BenchmarkError(Exception):
    """Something could not be measured; the text says why."""


def say(text: str) -> None:
    """Progress, for the person who waits."""
    print(f"[{time.monotonic() - _started:6.1f} s] {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def child(
    command: Sequence[str], environment: Mapping[str, str], *, output: IO[bytes] | int, requests: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command at the root of the repository for as long as the block lasts, then kill it."""
    stdin = subprocess.DEVNULL if requests is None else requests
    process = subprocess.Popen(
        command, env=dict(environment), cwd=ROOT, stdin=stdin, stdout=output, stderr=sys.stderr if requests else output
    )
    _running.add(process)
    try:
        yield process
    finally:
        _end(process)


def run(command: Sequence[str], environment: Mapping[str, str], *, seconds: float) -> None:
    """Run a command to its end; BenchmarkError with the end of its output if it fails or takes too long."""
    with tempfile.TemporaryFile() as output, child(command, environment, output=output) as process:
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise BenchmarkError(f"{' '.join(command)} took over {seconds:.0f} s") from None
        if code:
            raise BenchmarkError(f"{' '.join(command)} ended with {code}: {tail(output)}")


def tail(output: IO[bytes], characters: int = 600) -> str:
    """The end of what a process wrote."""
    output.seek(0)
    return output.read().decode(errors="replace").strip()[-characters:]


def temporary_folder() -> Path:
    """A new folder, deleted when the benchmark ends."""
    folder = Path(tempfile.mkdtemp(prefix="onnx-lambda-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def clean_up_on_exit() -> None:
    """Kill what is still running when this process ends, also when it is told to end."""
    atexit.register(_end_all)
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGHUP, _stop)


def _end_all() -> None:
    for process in list(_running):
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    _running.discard(process)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    process.kill()
    process.wait()


def _stop(number: int, _frame: object) -> NoReturn:
    sys.exit(128 + number)
