"""The command line, as processes."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from onnx import TensorProto as T

from tests import graphs
from tests.shells import ROOT, free_port


def command(*arguments: str, models: Path, stdin: bytes = b"", **settings: str) -> subprocess.CompletedProcess[bytes]:
    environment = {"PATH": os.environ["PATH"], "MODEL_DIR": str(models), **settings}
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments], cwd=ROOT, env=environment, input=stdin, capture_output=True, timeout=60, check=False
    )


def test_predict_from_standard_input(models: Path) -> None:
    """`predict` answers the body on standard input with the bytes that HTTP answers."""
    ended = command("predict", models=models, stdin=b'{"inputs": [[5.1, 3.5, 1.4, 0.2]]}')

    assert (0, b"") == (ended.returncode, ended.stderr)
    assert [0] == json.loads(ended.stdout)["outputs"]["output_label"]


def test_predict_from_a_file(models: Path, tmp_path: Path) -> None:
    """`predict` takes a file, a model and a version."""
    body = tmp_path / "body.json"
    body.write_text('{"inputs": [1, 2]}')
    ended = command("predict", str(body), "--model", "versioned", "--model-version", "2", models=models)

    assert {"name": "versioned", "version": "2"}.items() <= json.loads(ended.stdout)["model"].items()


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "says"),
    [
        (["predict"], b"{", 1, "not valid JSON"),
        (["predict"], b'{"inputs": [[1]]}', 1, "(at /inputs)"),
        (["predict", "--model", "ghost"], b"{}", 1, "the models are"),
        (["predict", "nowhere.json"], b"", 1, "'nowhere.json' cannot be read"),
        (["predikt"], b"", 2, "invalid choice"),
        ([], b"", 2, "COMMAND"),
    ],
)
def test_mistakes_are_one_line(models: Path, arguments: list[str], stdin: bytes, code: int, says: str) -> None:
    """A mistake ends with a sentence on standard error and an exit code, never with a stack trace."""
    ended = command(*arguments, models=models, stdin=stdin)

    assert code == ended.returncode
    assert says in ended.stderr.decode()
    assert "Traceback" not in ended.stderr.decode()


@pytest.mark.parametrize("name", ["serve", "predict", "build"])
def test_wrong_settings_stop_every_command(models: Path, tmp_path: Path, name: str) -> None:
    """A wrong setting stops any command with the setting's name."""
    ended = command(name, models=models, MAX_BODY_BYTES="many")
    assert (1, True) == (ended.returncode, b"MAX_BODY_BYTES is 'many'" in ended.stderr)
    ended = command(name, models=tmp_path / "nowhere")
    assert (1, True) == (ended.returncode, b"MODEL_DIR" in ended.stderr)


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["predict", "--help"], ["build", "--help"], ["--version"]])
def test_help(models: Path, arguments: list[str]) -> None:
    """Help is at hand for every command."""
    ended = command(*arguments, models=models)

    assert 0 == ended.returncode
    assert b"onnx-lambda" in ended.stdout


def serve(models: Path, port: int, **settings: str) -> subprocess.Popen[str]:
    environment = {"PATH": os.environ["PATH"], "MODEL_DIR": str(models), "PORT": str(port), **settings}
    return subprocess.Popen(
        [sys.executable, "-m", "app", "serve"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def first_lines(running: subprocess.Popen[str], count: int) -> list[str]:
    """The first lines of a process; it is killed where they do not come, so that the test fails rather than hangs."""
    assert running.stdout is not None
    guard = threading.Timer(60, running.kill)
    guard.start()
    try:
        return [running.stdout.readline() for _ in range(count)]
    finally:
        guard.cancel()


def test_serve_prints_a_curl_that_works(models: Path) -> None:
    """`serve` prints its address and one curl line, and the line, run as printed, gets a prediction."""
    port = free_port()
    running = serve(models, port)
    try:
        greeting = first_lines(running, 3)
        assert f"http://127.0.0.1:{port}" in greeting[0]
        ended = subprocess.run(shlex.split(greeting[2]), capture_output=True, timeout=20, check=True)
        assert [0] == json.loads(ended.stdout)["outputs"]["output_label"]
    finally:
        running.kill()
        running.communicate()


def test_serve_finishes_what_it_is_doing_on_sigterm(models: Path) -> None:
    """On SIGTERM a request that is being answered is answered, then the process ends."""
    port = free_port()
    running = serve(models, port, REQUEST_TIMEOUT_S="3")
    try:
        first_lines(running, 3)
        url = f"http://127.0.0.1:{port}"
        answers: list[httpx.Response] = []
        thread = threading.Thread(
            target=lambda: answers.append(httpx.post(f"{url}/models/slow/predict", json={"inputs": {"times": 10**9}}, timeout=30))
        )
        thread.start()
        time.sleep(1)
        running.send_signal(signal.SIGTERM)
        thread.join(20)
        assert 504 == answers[0].status_code
        assert running.wait(15) in {0, -signal.SIGTERM}
    finally:
        running.kill()
        running.communicate()


def test_serve_says_when_the_port_is_taken(models: Path) -> None:
    """A port in use is said in one line that tells what to do."""
    port = free_port()
    running = serve(models, port)
    try:
        first_lines(running, 3)
        ended = command("serve", models=models, PORT=str(port))
        assert 1 == ended.returncode
        assert re.fullmatch(
            rf"onnx-lambda serve: nothing can listen on 127.0.0.1:{port} \(.*in use\); .*PORT=8001\.\n", ended.stderr.decode()
        )
    finally:
        running.kill()
        running.communicate()


def test_serve_without_a_loadable_default_still_serves(tmp_path: Path) -> None:
    """A default model that cannot be loaded is said; the server answers 503 for it, and is not ready."""
    graphs.put(tmp_path, "bad", b"no model")
    port = free_port()
    running = serve(tmp_path, port)
    try:
        lines = first_lines(running, 2)
        url = f"http://127.0.0.1:{port}"
        assert "could not be loaded" in "".join(lines)
        ready = httpx.get(f"{url}/health/ready")
        assert (503, False) == (ready.status_code, ready.json()["ready"])
        assert isinstance(ready.json()["error"], str)
        assert 503 == httpx.post(f"{url}/predict", json={"inputs": [1]}).status_code
        assert 200 == httpx.get(f"{url}/health/live").status_code
    finally:
        running.kill()
        running.communicate()


def test_serve_says_when_the_host_is_not_here(models: Path) -> None:
    """An address that is not this machine's is said, with the setting that names it."""
    ended = command("serve", models=models, HOST="192.0.2.1")

    assert 1 == ended.returncode
    assert b"nothing can listen on 192.0.2.1:8000" in ended.stderr
    assert b"HOST" in ended.stderr


def test_serve_starts_with_one_broken_model_and_no_default(tmp_path: Path) -> None:
    """A broken model among several keeps nothing else from serving; the greeting shows one that works."""
    graphs.put(tmp_path, "a-broken", b"no model")
    graphs.put(tmp_path, "b-good", graphs.identity(T.FLOAT))
    port = free_port()
    running = serve(tmp_path, port)
    try:
        lines = "".join(first_lines(running, 4))
        assert "a-broken" in lines
        assert "/models/b-good/predict" in lines
        assert 200 == httpx.post(f"http://127.0.0.1:{port}/models/b-good/predict", json={"inputs": [1]}).status_code
    finally:
        running.kill()
        running.communicate()


def test_misplaced_models_are_told(tmp_path: Path) -> None:
    """An .onnx file where no model is looked for is named, with the place where it belongs."""
    graphs.put(tmp_path, "good", graphs.identity(T.FLOAT))
    for place in ("model.onnx", "mine/model.onnx", "with space/1/model.onnx", "good/1/other.onnx"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(b"")
    running = serve(tmp_path, free_port())
    try:
        lines = "".join(first_lines(running, 5))
        for place in ("model.onnx", "mine/model.onnx", "with space/1/model.onnx", "good/1/other.onnx"):
            assert f" {place} is not served" in lines
    finally:
        running.kill()
        running.communicate()


def test_a_long_example_is_not_printed(tmp_path: Path) -> None:
    """For a model whose example nobody would read, the greeting shows how to ask what it takes; its page has no example."""
    graphs.put(tmp_path, "image", graphs.identity(T.FLOAT, ["n", 3, 224, 224]))
    port = free_port()
    running = serve(tmp_path, port)
    try:
        lines = first_lines(running, 3)
        assert max(map(len, lines)) < 200
        assert "/models/image" in lines[2]
        assert httpx.get(f"http://127.0.0.1:{port}/models/image").json()["example"] is None
        assert len(httpx.get(f"http://127.0.0.1:{port}/openapi.json").content) < 100_000
    finally:
        running.kill()
        running.communicate()


def test_serve_says_where_no_job_can_be_kept(tmp_path: Path) -> None:
    """A folder for jobs that cannot be made is named at the start, and predictions are answered all the same."""
    (tmp_path / "file").write_text("")
    environment = {**os.environ, "MODEL_DIR": str(ROOT / "models"), "JOBS_DIR": str(tmp_path / "file" / "jobs"), "PORT": "0"}
    with subprocess.Popen([sys.executable, "-m", "app", "serve"], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        told = running.stderr.readline()
        running.terminate()

    assert "no job can be kept: JOBS_DIR is" in told
