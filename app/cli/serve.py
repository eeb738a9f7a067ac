"""``onnx-lambda serve``: a plain HTTP server with the same routes as the Lambda function."""

import argparse
import contextlib
import gc
import json
import os
import shlex
import socket
import sys
from typing import NoReturn

import uvicorn

from app.cli.quick_protocol import within
from app.cli.strays import strays
from app.codecs.example import example_body
from app.errors import ModelNotReady, SettingError, StoreUnavailable
from app.inference.loading import Loaded
from app.wiring import Program, asgi_app, wire

# Docker sends SIGKILL 10 s after SIGTERM, SageMaker 30 s; what runs then gets most of the shorter time.
_SHUTDOWN_S = 8
# A curl line longer than this is not one to copy.
_LONGEST_BODY = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = "HOST and PORT say where (127.0.0.1:8000); every other setting is in docs/settings.md."


def run(arguments: argparse.Namespace) -> NoReturn:  # noqa: ARG001 - the signature of every command
    """Serve until SIGTERM or SIGINT; what is being answered then has 8 s to finish."""
    program = wire()
    settings = program.settings
    asgi = asgi_app(program)
    config = uvicorn.Config(
        asgi,
        http=within(settings.request_timeout_s, asgi),
        lifespan="off",
        access_log=False,
        log_level="error",
        server_header=False,
        # Neither scheme nor client address is read by anything here.
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )
    with _listening(settings.host, settings.port) as listening:
        print("\n".join(_greeting(program, listening.getsockname()[1])), flush=True)
        if program.parts:
            try:
                program.parts.start_local_worker()
            except (SettingError, StoreUnavailable) as error:
                # A read-only container that is asked for no job serves as well as any.
                print(f"onnx-lambda serve: no job can be kept: {error}", file=sys.stderr)
        # What was made so far stays; looking through it again and again took a tenth of the time of small requests.
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])
    # Python waits for its threads, and a run that outlasts the time above goes on until its own deadline; as process 1 of a
    # container nothing else ends it before SIGKILL.
    sys.stdout.flush()
    os._exit(0)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (")[0]
        raise SettingError(f"nothing can listen on {host}:{port} ({reason}); HOST and PORT say where, as in PORT=8001.") from error


def _greeting(program: Program, port: int) -> list[str]:
    settings, repository = program.settings, program.repository
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104 - compared, not bound
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    url = f"http://{host}:{port}{settings.base_path}"
    for stray in strays(repository):
        print(f"onnx-lambda serve: {stray}", file=sys.stderr)
    lines = [f"onnx-lambda serves {', '.join(repository.names())} on {url} (in a browser: a playground; docs: {url}/docs)"]
    loaded = _first_ready(program)
    if loaded is None:
        return lines
    path = "/predict" if loaded.name == repository.default_model else f"/models/{loaded.name}/predict"
    body = json.dumps(
        example_body(loaded.signature, loaded.manifest.example),
        separators=(",", ":"),
        ensure_ascii=False,
    )
    if body == "null" or len(body) > _LONGEST_BODY:
        return [*lines, f"Ask it what {loaded.name} takes:", f"  curl -s {url}/models/{loaded.name}"]
    return [*lines, "Try:", f"  curl -s {url}{path} -H 'Content-Type: application/json' -d {shlex.quote(body)}"]


def _first_ready(program: Program) -> Loaded | None:
    """The default model, else the first that can be loaded; those that cannot are told."""
    repository = program.repository
    default = [repository.default_model] if repository.default_model else []
    for name in [*default, *(name for name in repository.names() if name not in default)]:
        try:
            return repository.get(name)
        except ModelNotReady as problem:
            print(f"onnx-lambda serve: {problem.detail}", file=sys.stderr)
    return None
