"""``onnx-lambda serve``: a plain HTTP server with the same routes as the Lambda function."""

import argparse
import json
import shlex
import sys

import uvicorn

from app.codecs.example import example_body
from app.errors import ModelNotReady, SettingError, UnknownModel
from app.wiring import Program, asgi_app, wire

# SageMaker and Docker send SIGKILL 30 s and 10 s after SIGTERM; what runs gets most of the shorter time.
_SHUTDOWN_S = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = "HOST and PORT say where (127.0.0.1:8000); every other setting is in docs/settings.md."


def run(arguments: argparse.Namespace) -> int:  # noqa: ARG001 - the signature of every command
    """Serve until SIGTERM or SIGINT; what is being answered then is finished."""
    program = wire()
    settings = program.settings
    config = uvicorn.Config(
        asgi_app(program),
        host=settings.host,
        port=settings.port,
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )
    server = _Server(config, program)
    try:
        server.run()
    except KeyboardInterrupt:
        return 0
    if not server.started:
        raise SettingError(f"nothing can listen on {settings.host}:{settings.port}; is PORT in use? Set another: PORT=8001.")
    return 0


class _Server(uvicorn.Server):
    """Says where it listens once it does."""

    def __init__(self, config: uvicorn.Config, program: Program) -> None:
        super().__init__(config)
        self._program = program

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        try:
            await super().startup(sockets)  # type: ignore[arg-type]
        except SystemExit:
            # uvicorn exits from here when it cannot bind; ``run`` then says so in one line
            self.should_exit = True
            return
        if self.started:
            print("\n".join(_greeting(self._program)), flush=True)


def _greeting(program: Program) -> list[str]:
    settings, repository = program.settings, program.repository
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104 - compared, not bound
    url = f"http://{host}:{settings.port}{settings.base_path}"
    lines = [f"onnx-lambda serves {', '.join(repository.names())} on {url} (docs: {url}/docs)"]
    try:
        loaded = repository.get()
        path = "/predict"
    except UnknownModel:
        loaded = repository.get(repository.names()[0])
        path = f"/models/{loaded.name}/predict"
    except ModelNotReady as problem:
        print(f"onnx-lambda serve: {problem.detail}", file=sys.stderr)
        return lines
    inputs = loaded.manifest.examples[0].inputs if loaded.manifest.examples else None
    body = json.dumps(example_body(loaded.signature, inputs), separators=(",", ":"), ensure_ascii=False)
    return [*lines, "Try:", f"  curl -s {url}{path} -H 'Content-Type: application/json' -d {shlex.quote(body)}"]
