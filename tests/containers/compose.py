"""`docker compose up`, with ports, a network and names that nobody else has."""

import contextlib
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import botocore.session
import httpx

from tests.containers import engine
from tests.shells import free_port

# Beside the network of a stack that somebody has up on this machine.
SUBNET = "93.184.215.16/28"
Compose = Callable[..., str]


class Up(NamedTuple):
    """A stack that is up."""

    compose: Compose
    url: str
    aws: str

    def client(self, service: str) -> Any:
        """A client of its AWS, from this machine."""
        session = botocore.session.Session()
        session.set_credentials("me", "mine")
        return session.create_client(service, endpoint_url=self.aws, region_name="eu-west-1")

    def outputs(self) -> dict[str, str]:
        """Where things are, as the stack says it."""
        lines = self.compose("exec", "-T", "aws", "python3", "-m", "local", "outputs").splitlines()
        return {line[:13].strip(): line[13:] for line in lines}


def command() -> list[str]:
    """Compose as it is installed here: the client's plugin, or the program of its own."""
    if engine.docker("compose", "version", check=False).returncode == 0:
        return [engine.DOCKER, "compose"]
    program = shutil.which("docker-compose")
    assert program, "docker compose is missing: install its plugin, or docker-compose (Debian, Ubuntu: apt-get install docker-compose)"
    return [program]


@contextlib.contextmanager
def up(receiver: str) -> Iterator[Up]:
    """`docker compose up`; everything is gone at the end.

    :param receiver: the URL of a receiver of webhooks on this machine.
    """
    gateway, aws = free_port(), free_port()
    environment = {key: value for key, value in os.environ.items() if key in {"HOME", "DOCKER_HOST", "DOCKER_CONFIG"}}
    # Debian's client first, as in `engine`: this program calls it to build.
    environment |= {"PATH": f"{Path(engine.DOCKER).parent}:{os.environ['PATH']}", "PORT": str(gateway), "AWS_PORT": str(aws)}
    environment |= {"SUBNET": SUBNET, "WEBHOOK_RECEIVER": receiver, "COMPOSE_PROJECT_NAME": f"onnx-lambda-test-{uuid.uuid4().hex[:8]}"}
    program = command()

    def compose(*arguments: str, check: bool = True, timeout: float = 180) -> str:
        done = subprocess.run(
            [*program, *arguments], cwd=engine.ROOT, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert not check or 0 == done.returncode, (arguments, done.stdout[-3000:], done.stderr[-3000:])
        return done.stdout

    try:
        compose("build", timeout=900)
        compose("up", "-d")
        found = Up(compose, f"http://127.0.0.1:{gateway}", f"http://127.0.0.1:{aws}")
        _wait(found)
        yield found
    finally:
        compose("down", "--volumes", "--timeout", "2", check=False)


def _wait(found: Up) -> None:
    ends = time.monotonic() + engine.START_S
    while True:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{found.url}/health/live", timeout=60).status_code == 200:
                return
        assert time.monotonic() < ends, found.compose("logs", check=False)[-3000:]
        time.sleep(0.1)
