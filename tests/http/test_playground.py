"""``GET /`` for a browser: who gets the page, and the policy that it comes under."""

import base64
import hashlib
import os
import re
import subprocess
import sys

import httpx
import pytest

from tests.shells import ROOT

CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.fixture(scope="session")
def page(fast: httpx.Client) -> httpx.Response:
    """The page as the fast lane answers it."""
    return fast.get("/", headers={"Accept": CHROMIUM})


@pytest.mark.parametrize("accept", [CHROMIUM, "text/html", "application/json, text/html", "text/html;q=0.3, application/json;q=0.2"])
def test_a_browser_gets_the_page(http: httpx.Client, page: httpx.Response, accept: str) -> None:
    """Who names HTML and likes JSON no better gets the page, the same from every shell."""
    answer = http.get("/", headers={"Accept": accept})

    assert (200, "text/html; charset=utf-8") == (answer.status_code, answer.headers["content-type"])
    assert page.content == answer.content
    assert page.headers["content-security-policy"] == answer.headers["content-security-policy"]
    assert "Accept" == answer.headers["vary"]


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "text/html;q=0.5, application/json", "text/*", "text/html;q=0"])
def test_everybody_else_gets_json(http: httpx.Client, accept: str | None) -> None:
    """Who does not ask for HTML gets JSON: curl, KServe's client, which reads the status, and who sends no Accept at all."""
    request = http.build_request("GET", "/")
    request.headers.pop("Accept")
    if accept is not None:
        request.headers["Accept"] = accept
    answer = http.send(request)

    assert "application/json" == answer.headers["content-type"]
    assert "Accept" == answer.headers["vary"]
    assert "alive" == answer.json()["status"]


def test_head_of_the_page(http: httpx.Client, page: httpx.Response) -> None:
    """HEAD answers the page's headers without the page."""
    answer = http.head("/", headers={"Accept": CHROMIUM})

    assert b"" == answer.content
    assert page.headers["content-security-policy"] == answer.headers["content-security-policy"]


def test_the_policy_lets_nothing_run_but_the_page_itself(page: httpx.Response) -> None:
    """The policy names the page's one script and one style by their hashes, its own server, and nothing else."""
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    hashes = {
        tag: base64.b64encode(hashlib.sha256(re.search(rf"<{tag}[^>]*>(.*?)</{tag}>", page.text, re.DOTALL)[1].encode()).digest()).decode()
        for tag in ("script", "style")
    }

    assert {
        "default-src": "'none'",
        "script-src": f"'sha256-{hashes['script']}'",
        "style-src": f"'sha256-{hashes['style']}'",
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    } == policy
    assert "nosniff" == page.headers["x-content-type-options"]
    assert "no-referrer" == page.headers["referrer-policy"]


def test_the_page_stands_alone(page: httpx.Response) -> None:
    """One script, one style, no handler in the markup, no address but of this server, and no marker left unfilled."""
    markup = re.sub(r"(<script[^>]*>|<style>).*?(</script>|</style>)", r"\1\2", page.text, flags=re.DOTALL)

    assert (1, 1) == (page.text.count("<script"), page.text.count("<style"))
    assert {"docs", "openapi.json"} == {link for link in re.findall(r'(?:href|src)="([^"]*)"', markup) if not link.startswith("data:")}
    assert not re.search(r"\son\w+=|style=|\{(?:style|script|version)\}", markup)


def test_the_page_costs_nothing_until_it_is_asked_for() -> None:
    """What makes the page is imported by the first request for HTML, and by no other."""
    script = (
        "import sys, handler\n"
        "from tests.lambda_events import v2\n"
        "for accept in ('*/*', 'text/html'):\n"
        "    answer = handler.handler(v2('GET', '/') | {'headers': {'accept': accept}}, None)\n"
        "    assert answer['statusCode'] == 200, answer\n"
        "    print('app.http.playground' in sys.modules, 'fastapi' in sys.modules)"
    )
    environment = {"PATH": os.environ["PATH"], "MODEL_DIR": str(ROOT / "models"), "LOG_LEVEL": "ERROR"}
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True
    )

    assert ["False False", "True False"] == ended.stdout.splitlines()[-2:]


def test_a_model_says_what_the_page_needs(http: httpx.Client) -> None:
    """A model's description has all its examples, and how a picture becomes its input, which is named."""
    digits = http.get("/models/digits").json()

    assert {
        "input": "image",
        "size": [8, 8],
        "channels": "L",
        "layout": "HW",
        "invert": True,
        "mean": [0.0],
        "std": [1.0],
    }.items() <= digits["image"].items()
    assert ["A nought"] == [example["title"] for example in digits["examples"]]
    assert digits["example"]["inputs"] == digits["examples"][0]["inputs"]
    assert None is http.get("/models/iris").json()["image"]
    assert 2 == len(http.get("/models/iris").json()["examples"])
