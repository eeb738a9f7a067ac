"""Nothing of a model, a request or an answer becomes markup or script."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import MARKUP, Visit, run


def check_nothing_was_injected(page: Page) -> None:
    """No element that the page does not have itself, no script that ran."""
    assert page.evaluate("typeof owned") == "undefined"
    assert 1 == page.evaluate("document.scripts.length")
    assert 0 == page.locator("img, iframe, object, svg, [onerror], [onload], [onclick]").count()


@pytest.mark.parametrize("model", ["markup-features", "markup-json", "markup-picture", "markup-strings"])
def test_markup_in_a_model_is_text(visit: Visit, model: str) -> None:
    """Titles, descriptions, labels, feature, input and output names full of markup are shown as they are, in every view."""
    page = visit(f"/#{model}")
    answer = run(page)
    page.get_by_text("The answer’s JSON").click()
    for language in ("Python", "tritonclient", "AWS CLI", "curl"):
        page.get_by_role("tab", name=language).click()
    page.get_by_role("tab", name="JSON").click()
    shown = re.sub(r"\s+", " ", page.locator("body").inner_text())

    assert "outputs" in answer
    assert shown.count(MARKUP) >= 2
    assert MARKUP in page.locator(".best .name").inner_text()
    check_nothing_was_injected(page)


def test_markup_in_an_error_is_text(visit: Visit) -> None:
    """An error that names an input full of markup shows it as it is, and marks its field."""
    page = visit("/#markup-features")
    page.get_by_role("spinbutton", name=MARKUP, exact=True).fill("1e60")
    problem = run(page)

    assert MARKUP[:20] in problem["detail"]
    assert problem["detail"] in page.locator("#result").inner_text()
    check_nothing_was_injected(page)


def test_markup_in_the_address_is_text(visit: Visit) -> None:
    """What the address names after # chooses a model that exists, and is nothing else."""
    page = visit("/#%E0%A4%A<img src=x onerror=owned=1>/%")
    expect(page.get_by_role("heading", level=1)).to_have_text("Iris species")

    check_nothing_was_injected(page)


def test_the_browser_keeps_the_policy(visit: Visit) -> None:
    """A script, a style, a handler, markup from text, a request elsewhere: the browser refuses each."""
    page = visit(watched=False)
    refused = page.evaluate(
        """async () => {
          const seen = [];
          addEventListener("securitypolicyviolation", (event) => { seen.push(event.effectiveDirective); event.stopImmediatePropagation(); }, true);
          const script = document.createElement("script");
          try { document.body.innerHTML = "<p>markup</p>"; } catch (error) { seen.push(error.name); }
          try { script.text = "owned = 1"; } catch (error) { seen.push(error.name); }
          try { await fetch("https://example.com/"); } catch (error) { seen.push(error.name); }
          const style = document.createElement("style");
          style.textContent = "body { display: none }";
          document.head.append(style);
          await new Promise((done) => setTimeout(done, 200));
          return [...new Set(seen)].sort();
        }"""
    )

    assert {"TypeError", "connect-src", "require-trusted-types-for", "style-src-elem"} == set(refused)
    check_nothing_was_injected(page)
