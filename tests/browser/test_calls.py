"""The calls that the page offers are run as they were copied."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from app.http.message import Response
from app.wiring import event_handler, wire
from tests.browser.conftest import MARKUP, Visit, run
from tests.shells import Context

# Takes the options of the command line's own and no others, and leaves what it was given.
FAKE_AWS = """#!/bin/sh
[ "$1 $2 $3 $5 $6 $7 $9" = "lambda invoke --function-name --cli-binary-format raw-in-base64-out --payload answer.json" ] || exit 2
case "$8" in file://*) cp "${8#file://}" payload.json;; *) printf %s "$8" > payload.json;; esac
echo '"done"' > answer.json
"""


def copied(page: Page, language: str, folder: Path) -> str:
    """The call in a language, as the button puts it on the clipboard; a file that it reads is downloaded into the folder."""
    page.get_by_role("tab", name=language).click()
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    link = page.get_by_role("link", name="Download")
    if link.is_visible():
        with page.expect_download() as download:
            link.click()
        download.value.save_as(folder / download.value.suggested_filename)
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def executed(command: list[str], folder: Path) -> str:
    environment = {"PATH": f"{folder}:{os.environ['PATH']}"}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert 0 == ended.returncode, ended.stderr
    return ended.stdout


@pytest.fixture
def opened(visit: Visit) -> Any:
    """Opens a model on a page that may use the clipboard."""
    return lambda model: visit(f"/#{model}", permissions=["clipboard-read", "clipboard-write"])


MODELS = ["iris", "digits", "two-inputs", "strings", "integers", "versioned/2", "markup-features", "markup-json", "markup-picture"]


@pytest.mark.parametrize("model", MODELS)
def test_curl_and_python_get_the_page_s_answer(opened: Any, tmp_path: Path, model: str) -> None:
    """The copied curl line and Python program are answered as the page was, whatever the model's names are made of."""
    page = opened(model)
    answer = run(page)

    assert answer == json.loads(executed(["sh", "-c", copied(page, "curl", tmp_path)], tmp_path))
    # Python prints a dict; its literal is read back
    program = copied(page, "Python", tmp_path).replace("print(answer.json())", "import json; print(json.dumps(answer.json()))")
    assert answer == json.loads(executed([sys.executable, "-c", program], tmp_path))
    assert [] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize("model", [*MODELS, "numbers"])
def test_tritonclient_gets_the_page_s_answer(opened: Any, tmp_path: Path, model: str) -> None:
    """The copied program for Triton's client prints the outputs that the page shows."""
    page = opened(model)
    if model == "strings":
        page.get_by_label("x BYTES").fill(json.dumps([[MARKUP, "grün \n€"]]))
    outputs = run(page)["outputs"]
    program = copied(page, "tritonclient", tmp_path).replace("print(name,", "import json; print(json.dumps(name),")
    lines = executed([sys.executable, "-c", program], tmp_path).splitlines()
    got = {}
    for line in lines:
        name, end = json.JSONDecoder().raw_decode(line)
        got[name] = ast.literal_eval(line[end:].strip())

    assert nearly(outputs) == got


def nearly(value: Any) -> Any:
    """What NumPy prints of it: text as bytes, float32 with a few digits more."""
    if isinstance(value, dict):
        return {name: nearly(item) for name, item in value.items()}
    if isinstance(value, list):
        return [nearly(item) for item in value]
    return value.encode() if isinstance(value, str) else pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_the_aws_command_line_invokes_with_what_the_function_takes(opened: Any, folder: Path, tmp_path: Path, model: str) -> None:
    """The payload of the copied AWS call, passed to the function as an event, gets the page's answer."""
    page = opened(model)
    answer = run(page)
    (tmp_path / "aws").write_text(FAKE_AWS)
    (tmp_path / "aws").chmod(0o755)
    assert '"done"' == executed(["sh", "-c", copied(page, "AWS CLI", tmp_path)], tmp_path).strip()
    event = json.loads((tmp_path / "payload.json").read_text())
    function = event_handler(wire({"MODEL_DIR": str(folder)}), lambda _: Response(500))

    assert answer == function(event, Context())


def test_a_long_body_is_read_from_a_file(opened: Any, folder: Path, tmp_path: Path) -> None:
    """A body too long for a command line is downloaded, and every call reads it from there."""
    page = opened("numbers")
    numbers = [number / 8 for number in range(5000)]
    page.get_by_label("x FP32").fill(json.dumps(numbers))
    answer = run(page)

    for language in ("curl", "Python", "tritonclient", "AWS CLI"):
        assert len(copied(page, language, tmp_path)) < 1000
    assert answer == json.loads(executed(["sh", "-c", copied(page, "curl", tmp_path)], tmp_path))
    assert str(answer) == executed([sys.executable, "-c", copied(page, "Python", tmp_path)], tmp_path).strip()
    assert f"y {numbers}" == executed([sys.executable, "-c", copied(page, "tritonclient", tmp_path)], tmp_path).strip()
    event = json.loads((tmp_path / "event.json").read_text())
    assert answer == event_handler(wire({"MODEL_DIR": str(folder)}), lambda _: Response(500))(event, Context())


def test_what_open_inference_cannot_say_is_said(opened: Any) -> None:
    """Where Open Inference has no place for a request, the page says why instead of offering a call that fails."""
    page = opened("sequence")
    page.get_by_role("tab", name="tritonclient").click()

    assert "no sequences" in page.locator("#snippet").inner_text()
    page.get_by_role("tab", name="JSON").click()
    page.get_by_label("The request’s body, JSON").fill('{"instances": [[1]]}')
    assert "no “instances”" in page.locator("#snippet").inner_text()
    page.get_by_role("tab", name="curl").click()
    assert "curl -s" in page.locator("#snippet").inner_text()
