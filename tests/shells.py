"""The ways an HTTP request reaches the program, each as a transport for one and the same httpx client."""

import base64
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from app.wiring import event_handler, wire
from handler import ThroughMangum
from local.http_event import HttpRequest, event_of

ROOT = Path(__file__).parent.parent
EMULATOR = next((ROOT / ".venv-sam").glob("lib/python*/site-packages/samcli/local/rapid/aws-lambda-rie-" + os.uname().machine), None)
START_S = 60.0


class Context:
    """What Lambda passes beside the event."""

    aws_request_id = "00000000-0000-4000-8000-000000000001"
    function_name = "onnx-lambda"
    memory_limit_in_mb = 1769

    def __init__(self, remaining_ms: int = 30_000) -> None:
        self._ends = time.monotonic() + remaining_ms / 1000

    def get_remaining_time_in_millis(self) -> int:
        return int((self._ends - time.monotonic()) * 1000)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def http_api_event(request: httpx.Request, authorizer: Mapping[str, Any]) -> dict[str, Any]:
    """An HTTP API event (payload 2.0) as API Gateway makes it."""
    path = request.url.raw_path.decode().partition("?")[0]
    # API Gateway joins repeated headers and writes names in lower case.
    headers = {name.lower(): value for name, value in request.headers.items()}
    seen = HttpRequest(request.method, path, request.url.query.decode(), headers, request.read(), "192.0.2.1")
    return event_of(seen, authorizer=authorizer)


class EventTransport(httpx.BaseTransport):
    """Sends each request as a Lambda event to a function that answers events."""

    def __init__(self, invoke: Callable[[dict[str, Any]], Any], subject: str = "") -> None:
        self._invoke = invoke
        self._authorizer = {"jwt": {"claims": {"iss": "https://issuer.test", "sub": subject}, "scopes": None}} if subject else {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._invoke(http_api_event(request, self._authorizer))
        assert set(answer) == {"statusCode", "headers", "body", "isBase64Encoded"}, answer
        body = base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"].encode()
        return httpx.Response(answer["statusCode"], headers=answer["headers"], stream=httpx.ByteStream(body), request=request)


@contextlib.contextmanager
def in_process(models: Path, *, fast_lane: bool, **settings: str) -> Iterator[httpx.Client]:
    """The Lambda handler in this process: the fast lane, or everything through Mangum and FastAPI."""
    with tenants(models, fast_lane=fast_lane, **settings) as client_of:
        yield client_of("")


@contextlib.contextmanager
def tenants(models: Path, *, fast_lane: bool, **settings: str) -> Iterator[Callable[[str], httpx.Client]]:
    """The same; gives clients by the subject of the JWT that the gateway has checked, "" for one who has shown none."""
    program = wire({"MODEL_DIR": str(models), "HTTP_FAST_LANE": "on" if fast_lane else "off", "JOBS": "off", **settings})
    answer = event_handler(program, ThroughMangum(program))
    with contextlib.ExitStack() as stack:
        if program.parts and settings.get("JOBS") == "sqlite":
            stack.callback(program.parts.stores.backend.close)
            stack.callback(program.parts.local_worker.stop, START_S)

        def client_of(subject: str) -> httpx.Client:
            transport = EventTransport(lambda event: answer(event, Context()), subject)
            return stack.enter_context(httpx.Client(transport=transport, base_url="http://lambda", timeout=60))

        yield client_of


@contextlib.contextmanager
def server(models: Path, *, fast_lane: bool, **settings: str) -> Iterator[httpx.Client]:
    """``onnx-lambda serve``: uvicorn with the fast lane, or with FastAPI alone."""
    port = free_port()
    environment = {**os.environ, "MODEL_DIR": str(models), "HTTP_FAST_LANE": "on" if fast_lane else "off", "PORT": str(port)}
    environment |= {"JOBS_DIR": str(models.parent / f"jobs-{port}"), **settings}
    with process([sys.executable, "-m", "app", "serve"], environment) as running:
        url = f"http://127.0.0.1:{port}"
        _wait(running, lambda: httpx.get(f"{url}/health/live").status_code == 200)
        with httpx.Client(base_url=url, timeout=60) as client:
            yield client


@contextlib.contextmanager
def emulator_url(models: Path, **settings: str) -> Iterator[str]:
    """awslambdaric under AWS's runtime interface emulator, whose function is called "function"; gives the emulator's address."""
    assert EMULATOR is not None, "the emulator is in .venv-sam: run make .venv-sam/ready"
    emulator_port, runtime_port = free_port(), free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "MODEL_DIR": str(models),
        "PYTHONPATH": str(ROOT),
        "AWS_LAMBDA_FUNCTION_NAME": "onnx-lambda",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "30",
        **settings,
    }
    addresses = ["--runtime-interface-emulator-address", f"127.0.0.1:{emulator_port}", "--runtime-api-address", f"127.0.0.1:{runtime_port}"]
    command = [str(EMULATOR), *addresses, sys.executable, "-m", "awslambdaric", "handler.handler"]
    with process(command, environment) as running:
        _wait(running, lambda: bool(socket.create_connection(("127.0.0.1", emulator_port), 1).close() or True))
        yield f"http://127.0.0.1:{emulator_port}"


@contextlib.contextmanager
def emulator(models: Path, **settings: str) -> Iterator[Callable[[Any], Any]]:
    """The emulator; gives a function that invokes with an event."""
    with emulator_url(models, **settings) as url, httpx.Client(base_url=url, timeout=60) as client:

        def invoke(event: Any) -> Any:
            answer = client.post("/2015-03-31/functions/function/invocations", json=event)
            try:
                return answer.json()
            except ValueError:
                return answer.text

        yield invoke


@contextlib.contextmanager
def emulated(models: Path, **settings: str) -> Iterator[httpx.Client]:
    """HTTP requests as events through the emulator."""
    with emulator(models, **settings) as invoke, httpx.Client(transport=EventTransport(invoke), base_url="http://lambda") as client:
        yield client


@contextlib.contextmanager
def process(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A child process that is gone at the end, whatever happens; its output is in a file it keeps open."""
    log = Path(os.environ.get("TMPDIR", "/tmp"), f"onnx-lambda-test-{os.getpid()}-{time.monotonic_ns()}.log")
    with log.open("wb") as stream:
        running = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True)
    running.log_file = log  # type: ignore[attr-defined]
    try:
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, 15)
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, 9)
            running.wait(10)
        log.unlink(missing_ok=True)


def _wait(running: subprocess.Popen[bytes], is_up: Callable[[], bool]) -> None:
    ends = time.monotonic() + START_S
    while time.monotonic() < ends:
        if running.poll() is not None:
            break
        try:
            if is_up():
                return
        except (OSError, httpx.TransportError):
            time.sleep(0.05)
    raise AssertionError(f"did not come up: {running.log_file.read_text()[-2000:]}")  # type: ignore[attr-defined]


SHELLS: dict[str, Callable[[Path], contextlib.AbstractContextManager[httpx.Client]]] = {
    "uvicorn-fastapi": lambda models: server(models, fast_lane=False),
    "uvicorn-fast-lane": lambda models: server(models, fast_lane=True),
    "mangum": lambda models: in_process(models, fast_lane=False),
    "fast-lane": lambda models: in_process(models, fast_lane=True),
    "emulator": emulated,
}


def copy_models(target: Path) -> Path:
    """The repository's own models, without what a build may have left beside them."""
    shutil.copytree(ROOT / "models", target, ignore=shutil.ignore_patterns("*.prepared.*", "models.lock"))
    return target


def runtimes(variable: str, mark: str) -> list[int]:
    """The processes of awslambdaric in whose environment a variable has this value: one, or none where it is not running."""
    found = []
    for place in Path("/proc").iterdir():
        try:
            command = (place / "cmdline").read_bytes()
            wanted = b"awslambdaric" in command and b"aws-lambda-rie" not in command
            if wanted and f"{variable}={mark}".encode() in (place / "environ").read_bytes().split(b"\0"):
                found.append(int(place.name))
        except OSError:
            # Another process, or gone meanwhile.
            continue
    return found
