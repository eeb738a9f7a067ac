"""The page by keyboard, by screen reader, in dark and light, on a phone."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visit, best, draw, run
from tests.browser.strokes import DIGITS


def focused(page: Page) -> str:
    """What has the focus: its role or tag, and its name."""
    found: str = page.evaluate(
        """() => {
          const at = document.activeElement;
          const name = at.labels?.[0]?.firstChild.textContent.trim() || at.getAttribute("aria-label") || at.textContent.trim();
          return `${at.getAttribute("role") ?? at.localName} ${name}`;
        }"""
    )
    return found


def test_by_keyboard_alone(visit: Visit) -> None:
    """Tab goes through the page in the order in which it is read, each stop is seen, and Ctrl+Enter runs from wherever it is."""
    page = visit()
    stops = []
    for _ in range(15):
        page.keyboard.press("Tab")
        stops.append(focused(page))
        assert "none" != page.evaluate("getComputedStyle(document.activeElement).outlineStyle"), stops[-1]

    assert [
        "a Documentation",
        "a OpenAPI",
        "select Model",
        "tab Form",
        "button A setosa",
        "button A versicolor and a virginica",
        "input sepal_length",
        "input sepal_width",
        "input petal_length",
        "input petal_width",
        "button Add a row",
        "button Run",
        "tab curl",
        "pre The call",
        "button Copy",
    ] == stops

    page.get_by_label("petal_length").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("6.1")
    with page.expect_response("**/predict"):
        page.keyboard.press("Control+Enter")
    expect(page.locator(".best .name")).not_to_have_text("setosa")
    page.get_by_role("tab", name="curl").focus()
    page.keyboard.press("ArrowLeft")
    assert "tab AWS CLI" == focused(page)
    assert "aws lambda invoke" in page.locator("#snippet").inner_text()
    page.keyboard.press("Home")
    assert "curl -s" in page.locator("#snippet").inner_text()


def test_by_screen_reader(visit: Visit) -> None:
    """Everything has a role and a name, headings follow each other, and the answer is said without taking the focus."""
    page = visit()
    for role, name in {
        "combobox": "Model",
        "form": "Input",
        "region": "Answer",
        "tablist": "How to edit the input",
        "spinbutton": "petal_width",
        "group": "Examples",
        "navigation": "About this server",
    }.items():
        expect(page.get_by_role(role, name=name)).to_be_visible()  # type: ignore[arg-type]
    page.get_by_role("button", name="Run").focus()
    run(page)

    assert "button Run" == focused(page)
    assert re.fullmatch(r"setosa, 98\.1\s%\. Status 200, [\d.]+ (ms|µs)\.", page.get_by_role("status").inner_text())
    assert ["setosa 98.1 %", "versicolor 1.9 %"] == [
        re.sub(r"\s+", " ", item) for item in page.get_by_role("list", name="output_probability").get_by_role("listitem").all_inner_texts()
    ][:2]
    assert ["H1", "H2", "H2", "H2"] == page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((heading) => heading.tagName)")
    nameless = "[...document.querySelectorAll('button, input, select, textarea')].filter((at) => !(at.labels?.length || at.ariaLabel || at.textContent.trim()))"
    assert 0 == page.evaluate(f"{nameless}.length")
    assert page.evaluate(
        "[...document.querySelectorAll('[aria-controls], [aria-describedby]')].every((at) => (at.getAttribute('aria-controls') ?? at.getAttribute('aria-describedby')).split(' ').every((id) => document.getElementById(id)))"
    )


def luminance(colour: str) -> float:
    """Relative luminance of a computed colour (WCAG 2.2)."""
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(text: Locator) -> float:
    """The contrast of a text with the ground that it stands on."""
    ink, ground = text.evaluate(
        """(at) => {
          const colour = getComputedStyle(at).color;
          while (at && getComputedStyle(at).backgroundColor === "rgba(0, 0, 0, 0)") at = at.parentElement;
          return [colour, getComputedStyle(at).backgroundColor];
        }"""
    )
    lighter, darker = sorted((luminance(ink), luminance(ground)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dark_and_light(visit: Visit, scheme: str) -> None:
    """The page follows the system's scheme, and all its text contrasts with its ground by 4.5 to 1 (WCAG 2.2, 1.4.3)."""
    page = visit(color_scheme=scheme)
    run(page)
    ground = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert ground < 0.05 if scheme == "dark" else ground > 0.9

    texts = "h1, .description, .facts dt, .facts b, .facts .chip, .facts .digest, .hint, label, input, select, button, a, .name, .value, .good, .timings dt, summary, pre"
    poor = {
        text.evaluate("(at) => at.className || at.localName"): contrast(text) for text in page.locator(texts).filter(visible=True).all()
    }
    page.get_by_label("petal_width").fill("1e60")
    run(page)
    poor |= {name: contrast(page.locator(name).first) for name in (".bad", ".problem h3", ".problem p", "#failure", "[aria-invalid]")}

    assert {} == {name: value for name, value in poor.items() if value < 4.5}


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
def test_at_every_width(visit: Visit, width: int) -> None:
    """From the narrowest phone on nothing hangs over the page's edge, whatever is shown."""
    page = visit(viewport={"width": width, "height": 760})

    def check() -> None:
        assert width >= page.evaluate("document.documentElement.scrollWidth")
        over = "[...document.querySelectorAll('main *')].filter((at) => !at.closest('pre') && !at.closest('.unseen') && at.getBoundingClientRect().right > innerWidth)"
        assert [] == page.evaluate(f"{over}.map((at) => at.outerHTML.slice(0, 80))")

    run(page)
    page.get_by_text("The answer’s JSON").click()
    for language in ("Python", "tritonclient", "AWS CLI"):
        page.get_by_role("tab", name=language).click()
        check()
    page.get_by_label("petal_width").fill("1e60")
    run(page)
    check()
    page.get_by_role("tab", name="JSON").click()
    check()
    for model in ("digits", "markup-features", "versioned", "broken"):
        page.get_by_label("Model", exact=True).select_option(model)
        expect(page.locator("#facts, #trouble").filter(has_text=re.compile(".")).first).to_be_visible()
        check()


def test_reduced_motion(visit: Visit) -> None:
    """Who asks for less motion gets none."""
    page = visit(reduced_motion="reduce")
    run(page)

    assert "none" == page.locator(".bar").first.evaluate("(bar) => getComputedStyle(bar, '::before').animationName")


def test_a_picture_follows_the_scheme(visit: Visit) -> None:
    """Ink is dark on light and light on dark, and what the model is sent is the same."""
    sent = []
    for scheme in ("light", "dark"):
        page = visit("/#digits", color_scheme=scheme)
        with page.expect_request("**/predict") as request:
            draw(page, DIGITS["1"])
        sent.append(request.value.post_data_json)
        ink = page.locator("canvas.pad").evaluate(
            "(pad) => [...pad.getContext('2d').getImageData(pad.width / 2, pad.height / 2, 1, 1).data]"
        )
        assert (ink[0] < 80) if scheme == "light" else (ink[0] > 180)
        assert "1" == best(page)

    assert sent[0] == sent[1]
