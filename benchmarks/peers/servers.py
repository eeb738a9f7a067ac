"""How each server is started: as it comes, with one worker process; the fastest peer once more with its log off."""

import importlib.metadata
import sys
from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.peers.question import Question
from benchmarks.processes import ROOT, BenchmarkError, temporary_folder

APPS = ROOT / "benchmarks" / "peers" / "apps"
ENVIRONMENTS = ROOT / ".venv-peers"
OURS, BARE = "onnx-lambda", "bare ASGI"
# KServe writes a line for each request, which takes it half of its time.
QUIET = "kserve without its log"
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
    peer = server.split(maxsplit=1)[0]
    _same_onnxruntime(peer)
    programs = ENVIRONMENTS / peer / "bin"
    if server == "mlserver":
        folder = temporary_folder()
        settings = {
            "HOST": "127.0.0.1",
            "HTTP_PORT": port,
            "GRPC_PORT": second,
            "METRICS_PORT": third,
            "PARALLEL_WORKERS": "0",
            "MODEL_NAME": question.model,
            "MODEL_URI": str(question.file),
            "MODEL_IMPLEMENTATION": "mlserver_app.OnnxRuntime",
        }
        environment = {f"MLSERVER_{name}": value for name, value in settings.items()} | {"PYTHONPATH": str(APPS)}
        return Launch([str(programs / "mlserver"), "start", str(folder)], environment, f"/v2/models/{question.model}/ready")
    if server == "bentoml":
        options = ["--port", port, "--host", "127.0.0.1", "--working-dir", str(APPS), "--do-not-track"]
        home = {"BENTOML_HOME": str(temporary_folder())}
        return Launch([str(programs / "bentoml"), "serve", "bentoml_app:OnnxService", *options], model | home, "/readyz")
    if server in {"kserve", QUIET}:
        options = ["--http_port", port, "--enable_grpc", "false"]
        if server == QUIET:
            options += ["--enable_latency_logging", "false", "--configure_logging", "false"]
        return Launch([str(programs / "python"), str(APPS / "kserve_app.py"), *options], model, f"/v2/models/{question.model}/ready")
    return Launch([str(programs / "python"), str(APPS / "litserve_app.py")], model, "/health")


def label(server: str) -> str:
    """The server's name and, of a peer, its version."""
    peer, *rest = server.split()
    return " ".join([PEERS[peer], _version(peer, peer), *rest]) if peer in PEERS else server


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
