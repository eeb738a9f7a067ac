"""How each server is started: all quiet, with one worker process, uvloop and httptools, ONNX Runtime with its defaults."""

import importlib.metadata
import sys
from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.peers.question import Question
from benchmarks.processes import ROOT, BenchmarkError, temporary_folder

APPS = ROOT / "benchmarks" / "peers" / "apps"
ENVIRONMENTS = ROOT / ".venv-peers"
OURS, BARE = "onnx-lambda", "bare ASGI"
PEERS = {"kserve": "KServe", "mlserver": "MLServer", "bentoml": "BentoML", "litserve": "LitServe"}  # package → name


class Launch(NamedTuple):
    """A server to start."""

    command: list[str]
    environment: Mapping[str, str]
    ready: str  # the path that answers 200 once it can predict


def launch(server: str, question: Question, ports: list[int]) -> Launch:
    """How to start a server for this model.

    :param ports: free ones: for HTTP, and two more for those that listen elsewhere too.
    :raises BenchmarkError: the peer is not installed, or with another ONNX Runtime.
    """
    port, second, third = map(str, ports)
    model = {"MODEL_FILE": str(question.file), "MODEL_NAME": question.model, "PORT": port}
    if server == OURS:
        ours = {"MODEL_DIR": str(question.folder), "DEFAULT_MODEL": question.model, "PORT": port}
        return Launch([sys.executable, "-m", "app", "serve"], ours, "/health/ready")
    if server == BARE:
        options = ["--loop", "uvloop", "--http", "httptools", "--lifespan", "off", "--log-level", "error", "--port", port]
        return Launch([sys.executable, "-m", "uvicorn", "benchmarks.peers.apps.bare_asgi:app", *options], model, "/")
    _same_onnxruntime(server)
    programs = ENVIRONMENTS / server / "bin"
    if server == "mlserver":
        folder = temporary_folder()
        settings = {
            "HOST": "127.0.0.1",
            "HTTP_PORT": port,
            "GRPC_PORT": second,
            "METRICS_PORT": third,
            "PARALLEL_WORKERS": "0",
            "DEBUG": "false",
            "MODEL_NAME": question.model,
            "MODEL_URI": str(question.file),
            "MODEL_IMPLEMENTATION": "mlserver_app.OnnxRuntime",
        }
        environment = {f"MLSERVER_{name}": value for name, value in settings.items()} | {"PYTHONPATH": str(APPS)}
        return Launch([str(programs / "mlserver"), "start", str(folder)], environment, f"/v2/models/{question.model}/ready")
    if server == "bentoml":
        options = ["--port", port, "--host", "127.0.0.1", "--working-dir", str(APPS), "--do-not-track", "--quiet"]
        home = {"BENTOML_HOME": str(temporary_folder()), "BENTOML_CONFIG_OPTIONS": "services.logging.access.enabled=false"}
        return Launch([str(programs / "bentoml"), "serve", "bentoml_app:OnnxService", *options], model | home, "/readyz")
    if server == "kserve":
        options = ["--http_port", port, "--enable_grpc", "false", "--enable_latency_logging", "false", "--configure_logging", "false"]
        return Launch([str(programs / "python"), str(APPS / "kserve_app.py"), *options], model, f"/v2/models/{question.model}/ready")
    return Launch([str(programs / "python"), str(APPS / "litserve_app.py")], model, "/health")


def label(server: str) -> str:
    """The server's name and, of a peer, its version."""
    return f"{PEERS[server]} {_version(server, server)}".rstrip() if server in PEERS else server


def _same_onnxruntime(peer: str) -> None:
    theirs, ours = _version(peer, "onnxruntime"), importlib.metadata.version("onnxruntime")
    if not theirs:
        raise BenchmarkError(f"{peer} is not installed: run `make bench-peers`")
    if theirs != ours:
        raise BenchmarkError(f"{peer} has ONNX Runtime {theirs}, this project {ours}: run `make lock` and `make bench-peers`")


def _version(peer: str, package: str) -> str:
    """The version of a package in a peer's environment; empty if it is not there."""
    libraries = [str(path) for path in (ENVIRONMENTS / peer).glob("lib/python*/site-packages")]
    found = next(iter(importlib.metadata.distributions(name=package, path=libraries)), None)
    return found.version if found else ""
