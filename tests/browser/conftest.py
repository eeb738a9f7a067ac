"""A real Chromium, a real server behind it, and a watch on what the browser complains of."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from onnx import TensorProto as T
from playwright.sync_api import Browser, Page, sync_playwright

from tests import graphs
from tests.browser.strokes import Stroke
from tests.shells import copy_models, server

# What a browser would run if any of it became markup, and what a shell or Python would if it were quoted wrongly.
MARKUP = """<img src=x onerror="owned=1"></script><script>owned=1</script>'"`$(touch owned)\\ &lt;{{1}}"""
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A status that is no success, and no answer at all, are noted on the console, which is no fault of the page.
STATUS_NOTE = "Failed to load resource"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

Visit = Callable[..., Page]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium without a window. Package scope: while Playwright runs, no other test of this process could use asyncio."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert path, (
        f"The page is tested in a real browser: install one of {', '.join(BROWSERS)} (Debian: apt-get install chromium), or run make chromium."
    )
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's two models, and one for each thing that the page makes a difference of."""
    models = copy_models(tmp_path_factory.mktemp("page") / "models")
    text, label = json.dumps(MARKUP), json.dumps(f"A {MARKUP}")
    shared = f"title = {text}\ndescription = {text}\nlabels = [{text}, {label}]\n"
    inputs, nodes = [graphs.tensor(MARKUP, T.FLOAT, ["n", 2])], [graphs.node("Softmax", [MARKUP], [f"out {MARKUP}"])]
    softmax = graphs.model(nodes, inputs, [graphs.tensor(f"out {MARKUP}", T.FLOAT, ["n", 2])])
    examples = f"[[examples]]\ntitle = {text}\ninputs = {{ {text} = [[0.5, 2.0]] }}\n"
    graphs.put(models, "markup-features", softmax, toml=f"{shared}features = [{text}, {label}]\n{examples}")
    graphs.put(models, "markup-json", softmax, toml=shared + examples)
    graphs.put(models, "markup-picture", softmax, toml=f'{shared}{examples}[image]\nsize = [1, 2]\nchannels = "L"\n')
    graphs.put(models, "markup-strings", graphs.zipmap([MARKUP, f"A {MARKUP}"]))
    picture = graphs.model(
        [graphs.node("Identity", ["x"], ["y"])],
        [graphs.tensor("x", T.FLOAT, ["n", 3, 24, 32])],
        [graphs.tensor("y", T.FLOAT, ["n", 3, 24, 32])],
    )
    scaled = "scale = 0.00392156862745098\nmean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]\n"
    for resize in ("nearest", "box", "bilinear", "bicubic", "lanczos"):
        graphs.put(models, f"photo-{resize}", picture, toml=f'[image]\nsize = [24, 32]\nchannels = "BGR"\nresize = "{resize}"\n{scaled}')
    graphs.put(models, "two-inputs", graphs.two_inputs())
    graphs.put(models, "integers", graphs.identity(T.INT64))
    graphs.put(models, "strings", graphs.identity(T.STRING, ["n", 2]))
    graphs.put(models, "numbers", graphs.identity(T.FLOAT))
    graphs.put(models, "sequence", graphs.sequence_input())
    graphs.put(models, "broken", b"this is no model")
    for version in ("1", "2", "10"):
        graphs.put(models, "versioned", graphs.identity(T.FLOAT), version=version)
    return models


@pytest.fixture(scope="package")
def served(folder: Path) -> Iterator[httpx.Client]:
    """``serve`` with these models."""
    with server(folder, fast_lane=True) as client:
        yield client


@pytest.fixture
def visit(browser: Browser, served: httpx.Client) -> Iterator[Visit]:
    """Opens the page at an address below the server's; at its end the browser must not have complained of anything it watched."""
    complaints: list[str] = []
    contexts = []

    def opened(address: str = "/", *, url: httpx.URL = served.base_url, watched: bool = True, **settings: Any) -> Page:
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | settings))
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.add_init_script(
            "addEventListener('securitypolicyviolation', (event) => console.error('policy', event.violatedDirective, event.sample))"
        )
        if watched:
            page.on("console", lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{str(url).rstrip('/')}{address}")
        page.locator("#bench, #trouble > *").filter(visible=True).wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [] == [text for text in complaints if not text.startswith(STATUS_NOTE)]


def run(page: Page) -> dict[str, Any]:
    """Press the button; the server's answer."""
    with page.expect_response("**/predict") as answer:
        page.get_by_role("button", name="Run").click()
    page.wait_for_selector("#answer:not([aria-busy])")
    found: dict[str, Any] = answer.value.json()
    return found


def draw(page: Page, strokes: list[Stroke], *, left: float = 0.1, top: float = 0.1, size: float = 0.8) -> None:
    """Draw with the mouse into a square of the pad, and wait for the answer that follows by itself."""
    pad = page.locator("canvas.pad")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box
    with page.expect_response("**/predict"):
        for stroke in strokes:
            points = [(box["x"] + box["width"] * (left + x * size), box["y"] + box["height"] * (top + y * size)) for x, y in stroke]
            page.mouse.move(*points[0])
            page.mouse.down()
            for point in points[1:]:
                page.mouse.move(*point)
            page.mouse.up()
    page.wait_for_selector("#answer:not([aria-busy])")


def best(page: Page) -> str:
    """The class that the answer shows as the best."""
    return page.locator(".best .name").inner_text()
