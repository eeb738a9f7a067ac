"""The Docker engine as the tests use it: containers that are gone at the end, on ports that nobody else has."""

import contextlib
import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.shells import EMULATOR

ROOT = Path(__file__).parent.parent.parent
# Debian's client comes first: a newer one without the buildx plugin is no use against an old engine.
DOCKER = os.environ.get("DOCKER") or shutil.which("docker", path=f"/usr/bin:{os.environ['PATH']}") or "docker"
INVOKE_PATH = "/2015-03-31/functions/function/invocations"
LABEL = f"onnx-lambda-test={uuid.uuid4().hex}"
START_S = 60.0
# How a cautious cluster runs a container.
HARDENED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "12345:12345")


def docker(*arguments: str, timeout: float = 60, check: bool = True, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run one command of the client."""
    done = subprocess.run([DOCKER, *arguments], capture_output=True, timeout=timeout, check=False, input=stdin)
    assert not check or 0 == done.returncode, (arguments, (done.stdout + done.stderr).decode()[-3000:])
    return done


def run(image: str, *command: str, flags: tuple[str, ...] = (), stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run a container to its end; nothing is checked."""
    return docker("run", "--rm", "-i", "--label", LABEL, *flags, image, *command, check=False, stdin=stdin)


def python(image: str, code: str, flags: tuple[str, ...] = ()) -> str:
    """What a piece of Python prints inside the image."""
    done = run(image, "-c", code, flags=("--entrypoint", "python3", *flags))
    assert 0 == done.returncode, done.stderr.decode()
    return done.stdout.decode()


@contextlib.contextmanager
def container(image: str, *command: str, flags: tuple[str, ...] = ()) -> Iterator[str]:
    """A container in the background; its id."""
    identity = docker("run", "--detach", "--label", LABEL, "--publish", "127.0.0.1::8080", *flags, image, *command).stdout.decode().strip()
    try:
        yield identity
    finally:
        docker("rm", "--force", "--volumes", identity)


def address(identity: str) -> str:
    """Where port 8080 of a container is on this machine."""
    return "http://" + docker("port", identity, "8080/tcp").stdout.decode().splitlines()[0]


def logs(identity: str) -> str:
    done = docker("logs", identity)
    return (done.stdout + done.stderr).decode()


def wait(identity: str, is_up: Callable[[], bool]) -> None:
    """Wait until a container answers.

    :raises AssertionError: with its output, when it ends before, or does not answer in time.
    """
    ends = time.monotonic() + START_S
    while time.monotonic() < ends:
        with contextlib.suppress(httpx.TransportError):
            if is_up():
                return
        if docker("inspect", "--format", "{{.State.Running}}", identity).stdout.strip() != b"true":
            break
        time.sleep(0.05)
    raise AssertionError(f"did not come up: {logs(identity)[-3000:]}")


@contextlib.contextmanager
def served(image: str, flags: tuple[str, ...] = ()) -> Iterator[tuple[str, httpx.Client]]:
    """`docker run IMAGE serve`: the container's id, and a client of it."""
    with container(image, "serve", flags=flags) as identity, httpx.Client(base_url=address(identity), timeout=60) as client:
        wait(identity, lambda: client.get("/health/live").status_code == 200)
        yield identity, client


def mounted_for(entry: str | None) -> tuple[str, ...]:
    """The flags that mount the emulator: as the entry point, as AWS's guide does it, or at the place where the image looks for it."""
    place = "/aws-lambda/aws-lambda-rie" if entry else "/usr/local/bin/aws-lambda-rie"
    assert EMULATOR is not None, "the emulator is in .venv-sam: run make .venv-sam/ready"
    return ("--volume", f"{EMULATOR}:{place}:ro", *(("--entrypoint", place) if entry else ()))


@contextlib.contextmanager
def emulated(image: str, flags: tuple[str, ...] = (), *, entry: str | None = None) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """The image under the emulator: the container's id, and a function that invokes it with an event."""
    command = (entry, "handler.handler") if entry else ()
    with container(image, *command, flags=(*mounted_for(entry), *flags)) as identity, httpx.Client(timeout=60) as client:
        url = address(identity)

        def invoke(event: Any) -> Any:
            return json.loads(client.post(f"{url}{INVOKE_PATH}", json=event).content)

        # The emulator answers 404 at once for a path that it does not have; the function starts with the first event.
        wait(identity, lambda: client.get(url).status_code in {404, 405})
        yield identity, invoke
