"""A model is chosen, its form filled, it is run, and what it answers is shown."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit, best, run
from tests.shells import server


def test_the_default_model_is_described(visit: Visit) -> None:
    """The page opens with the default model: title, description, inputs and outputs with datatype and shape, labels, digest."""
    page = visit()
    expect(page.get_by_role("heading", level=1)).to_have_text("Iris species")
    about = page.locator(".about").inner_text()

    for said in ("petals and sepals", "X FP32 [?, 4]", "output_probability FP32 [?, classes]", "versicolor", "sha256:"):
        assert said in re.sub(r"\s+", " ", about)
    assert "Iris species · onnx-lambda" == page.title()


def test_a_form_of_the_features_is_filled_and_run(visit: Visit) -> None:
    """Fields bear the features' names and the example's values; the answer is the server's own, ranked, with what each phase took."""
    page = visit()
    assert "5.1" == page.get_by_label("sepal_length").input_value()
    for name, value in {"sepal_length": "6.3", "sepal_width": "3.3", "petal_length": "6", "petal_width": "2.5"}.items():
        page.get_by_label(name).fill(value)
    answer = run(page)
    scores = answer["outputs"]["output_probability"][0]

    assert "virginica" == best(page)
    assert [f"{score:.1%}".replace("%", "\u00a0%") for score in sorted(scores, reverse=True)][:2] == page.locator(
        ".ranking .value"
    ).all_inner_texts()[:2]
    assert ["decode", "run", "encode", "round trip"] == page.locator(".timings dt").all_inner_texts()[-4:]
    assert all(re.fullmatch(r"[\d.]+ (µs|ms)", took) for took in page.locator(".timings dd").all_inner_texts())
    assert "200" in page.locator("#status").inner_text()
    page.get_by_text("The answer’s JSON").click()
    assert answer["model"]["digest"] in page.locator("#result pre").inner_text()


def test_rows_are_added_and_removed(visit: Visit) -> None:
    """An example of two rows fills two groups of fields; each row has its ranking; a row is added and removed."""
    page = visit()
    page.get_by_role("button", name="A versicolor and a virginica").click()
    run(page)
    assert ["versicolor", "virginica"] == page.locator(".best .name").all_inner_texts()

    page.get_by_role("button", name="Add a row").click()
    assert 3 == len(run(page)["outputs"]["output_label"])
    page.get_by_role("button", name="Remove row 1").click()
    page.get_by_role("button", name="Remove row 2").click()
    assert [2] == run(page)["outputs"]["output_label"]


def test_models_and_versions_are_chosen(visit: Visit) -> None:
    """Another model and an older version are chosen from lists; the address names them, and going back goes back."""
    page = visit()
    expect(page.get_by_label("Version", exact=True)).to_be_hidden()
    page.get_by_label("Model", exact=True).select_option("versioned")
    expect(page.get_by_role("heading", level=1)).to_have_text("versioned")
    assert ["10 (newest)", "2", "1"] == page.get_by_label("Version", exact=True).locator("option").all_inner_texts()
    assert "10" == run(page)["model"]["version"]

    page.get_by_label("Version", exact=True).select_option("2")
    expect(page.locator("#facts")).to_contain_text(re.compile(r"Version\s*2"))
    assert page.url.endswith("#versioned/2")
    assert "2" == run(page)["model"]["version"]
    page.go_back()
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Iris species")


def test_other_inputs_are_json(visit: Visit) -> None:
    """Each input without a form of its own is JSON, with the model's example in it."""
    page = visit("/#two-inputs")
    page.get_by_label("input_ids").fill("[[7, 8]]")
    page.get_by_label("attention_mask").fill("[[1, 0]]")

    assert {"masked": [[7, 0]]} == run(page)["outputs"]
    assert "[[7, 0]]" in page.locator(".outputs").inner_text()


def test_64_bit_integers_are_exact(visit: Visit) -> None:
    """An integer that JavaScript's numbers cannot hold is sent, shown and copied as it was typed."""
    page = visit("/#integers")
    page.get_by_label("x INT64").fill("[9007199254740993, -9223372036854775808]")
    run(page)

    assert "[9007199254740993, -9223372036854775808]" == page.locator(".outputs dd").inner_text()
    assert "[9007199254740993, -9223372036854775808]" in page.locator("#snippet").inner_text()


def test_the_body_as_json(visit: Visit) -> None:
    """Form and JSON are two views of one request; what only JSON can say is sent from there, and the form says so."""
    page = visit()
    page.get_by_label("petal_width").fill("0.4")
    page.get_by_role("tab", name="JSON").click()
    body = page.get_by_label("The request’s body, JSON")
    assert '{"inputs": {"X": [[5.1, 3.5, 1.4, 0.4]]}}' == body.input_value()

    body.fill('{"inputs": {"X": [[6.3, 3.3, 6.0, 2.5]]}}')
    page.get_by_role("tab", name="Form").click()
    assert "2.5" == page.get_by_label("petal_width").input_value()

    page.get_by_role("tab", name="JSON").click()
    body.fill('{"instances": [[6.3, 3.3, 6.0, 2.5]], "parameters": {"top_k": 1}, "outputs": ["output_probability"]}')
    assert "virginica" == run(page)["predictions"][0][0]["label"]
    page.get_by_role("tab", name="Form").click()
    expect(page.locator("#failure")).to_contain_text("more than the form can show")
    expect(body).to_be_visible()


def test_an_error_is_shown_at_its_field(visit: Visit) -> None:
    """The server's sentence, its place, code and request id are shown; the field at that place is marked, described and has the focus."""
    page = visit()
    page.get_by_role("button", name="A versicolor and a virginica").click()
    page.get_by_label("petal_length").nth(1).fill("1e60")
    problem = run(page)
    field = page.get_by_label("petal_length").nth(1)

    assert "out-of-range" == problem["code"]
    for said in (problem["title"], problem["detail"], problem["pointer"], problem["code"], problem["request_id"]):
        assert said in page.locator("#result").inner_text()
    assert "422" in page.locator("#status").inner_text()
    expect(field).to_be_focused()
    expect(field).to_have_accessible_description(problem["detail"])
    assert ["true"] == [mark.get_attribute("aria-invalid") for mark in page.locator("[aria-invalid]").all()]

    field.fill("6")
    assert 0 == page.locator("[aria-invalid]").count()
    assert "outputs" in run(page)


def test_an_error_is_selected_in_the_json(visit: Visit) -> None:
    """In JSON the value that the error is about is selected."""
    page = visit("/#numbers")
    page.get_by_role("tab", name="JSON").click()
    area = page.get_by_label("The request’s body, JSON")
    area.fill('{"inputs": {"x": [1, 2, "thr\\"ee", 4]}, "id": "a"}')
    run(page)

    assert '"thr\\"ee"' == area.evaluate("(area) => area.value.slice(area.selectionStart, area.selectionEnd)")


def test_a_form_that_is_not_complete_is_not_sent(visit: Visit) -> None:
    """An empty field and JSON that is none are named, and nothing is sent."""
    page = visit()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_label("sepal_width").fill("")
    page.get_by_role("button", name="Run").click()
    assert "sepal_width takes a number." == page.locator("#failure").inner_text()
    expect(page.get_by_label("sepal_width")).to_be_focused()
    page.get_by_label("Model", exact=True).select_option("two-inputs")
    page.get_by_label("attention_mask").fill("[[1, 2")
    page.get_by_role("button", name="Run").click()

    assert page.locator("#failure").inner_text().startswith("attention_mask is not valid JSON")
    assert [] == [url for url in asked if url.endswith("/predict")]


def test_a_model_that_is_not_ready_says_why(visit: Visit) -> None:
    """A model that cannot be loaded shows the reason in place of its form; the next one works."""
    page = visit("/#broken")
    expect(page.get_by_role("alert").first).to_contain_text("could not be loaded")
    expect(page.get_by_role("button", name="Run")).to_be_hidden()
    page.get_by_label("Model", exact=True).select_option("iris")
    assert "outputs" in run(page)
    expect(page.get_by_role("alert").first).to_be_empty()


def test_a_server_that_is_gone_is_said(visit: Visit) -> None:
    """Where no answer comes at all, the page says so in a sentence."""
    page = visit()
    page.context.set_offline(True)
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#result")).to_contain_text("The server cannot be reached")
    page.context.set_offline(False)
    assert "outputs" in run(page)


@pytest.fixture(scope="module")
def prefixed(folder: Path) -> Iterator[httpx.Client]:
    """The server behind a stage's prefix."""
    with server(folder, fast_lane=True, BASE_PATH="/prod") as client:
        yield client


@pytest.mark.parametrize("address", ["/prod", "/prod/"])
def test_below_a_prefix(visit: Visit, prefixed: httpx.Client, address: str) -> None:
    """Opened below a stage's prefix, with the slash at its end or without, everything is asked and named below it."""
    page = visit(f"{address}#digits", url=prefixed.base_url)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(httpx.URL(request.url).path))
    run(page)

    assert ["/prod/models/digits/predict"] == asked
    assert f"{prefixed.base_url}/prod/models/digits/predict" in page.locator("#snippet").inner_text()
    assert [f"{prefixed.base_url}/prod/docs", f"{prefixed.base_url}/prod/openapi.json"] == [
        link.evaluate("(link) => link.href") for link in page.get_by_role("navigation").get_by_role("link").all()
    ]
