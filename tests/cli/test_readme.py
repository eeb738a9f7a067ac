"""The README does what it says."""

import json
import os
import re
import subprocess

import httpx

from tests.cli.test_commands import first_lines
from tests.shells import ROOT, free_port

README = (ROOT / "README.md").read_text()


def blocks() -> list[str]:
    """The shell lines of the README."""
    return [
        line
        for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
        for line in block.splitlines()
        if line and not line.startswith("#")
    ]


def test_make_serve_and_every_curl_of_the_readme() -> None:
    """`make serve` serves on the port it is told, and each curl line of the README gets its answer from it."""
    port = free_port()
    environment = {**os.environ, "PORT": str(port)} | {"MODEL_DIR": str(ROOT / "models")}
    running = subprocess.Popen(
        ["make", "--no-print-directory", "serve", f"PORT={port}"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert f"http://127.0.0.1:{port}" in first_lines(running, 1)[0]
        curls = [line for line in blocks() if "curl -s" in line and "models/mine" not in line and "9000" not in line]
        assert len(curls) >= 4
        for line in curls:
            command = re.sub(r"(?:127\.0\.0\.1|localhost):8000", f"127.0.0.1:{port}", line)
            answer = subprocess.run(command, shell=True, capture_output=True, timeout=30, check=True).stdout
            if "text/csv" in line:
                assert [b"0", b"0.98097366"] == answer.splitlines()[1].split(b",")[:2], answer
            else:
                assert {"outputs", "predictions"} & json.loads(answer).keys(), answer
        shown = json.loads(re.findall(r"```json\n(.*?)```", README, re.DOTALL)[0])
        got = httpx.post(f"http://127.0.0.1:{port}/predict", json={"inputs": {"X": [[5.1, 3.5, 1.4, 0.2]]}}).json()
        assert shown["outputs"] == got["outputs"]
        assert got["model"]["digest"].startswith(shown["model"]["digest"].rstrip("…"))
    finally:
        os.killpg(running.pid, 15)
        running.communicate(timeout=20)


def test_predict_line_of_the_readme() -> None:
    """The line that needs no server works as it stands."""
    (line,) = [line for line in blocks() if line.startswith("echo")]
    module = line.replace(".venv/bin/onnx-lambda", ".venv/bin/python -m app")
    ended = subprocess.run(module, shell=True, cwd=ROOT, capture_output=True, timeout=60, check=True)

    assert [0] == json.loads(ended.stdout)["outputs"]["output_label"]
