"""A picture is drawn, or uploaded, and recognised."""

import io
from pathlib import Path

import httpx
import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Visit, best, draw
from tests.browser.strokes import DIGITS


def test_every_digit_is_recognised(visit: Visit) -> None:
    """Each digit, drawn with the mouse, large in the middle or small in a corner, is recognised when the hand rests."""
    page = visit("/#digits")
    wrong = {}
    for name, strokes in DIGITS.items():
        for place in ({}, {"left": 0.05, "top": 0.5, "size": 0.4}):
            page.get_by_role("button", name="Clear").click()
            draw(page, strokes, **place)
            if best(page) != name[0]:
                wrong[name, *place] = best(page)

    assert {} == wrong


def test_a_drawing_fills_the_model_s_frame(visit: Visit) -> None:
    """What the model is sent of a small drawing lies where its example lies, from top to bottom, as dark as that."""
    page = visit("/#digits")
    with page.expect_request("**/predict") as request:
        draw(page, DIGITS["0"], left=0.7, top=0.7, size=0.2)
    (image,) = request.value.post_data_json["inputs"]["image"]
    ink = np.array(image)

    assert (8, 8) == ink.shape
    assert 0 == ink.min()
    assert 12 < ink.max() <= 16
    assert ink[0].max() > 8
    assert ink[7].max() > 8
    assert 0 == ink[:, [0, 7]].max()
    assert ink.mean() == pytest.approx(294 / 64, rel=0.1)


def test_undo_and_clear(visit: Visit) -> None:
    """Undo takes back a stroke, and the answer is that of what is left; an empty pad is said to be empty."""
    page = visit("/#digits")
    bar = DIGITS["7, crossed"][1]
    draw(page, [DIGITS["1"][0]])
    assert "1" == best(page)
    draw(page, [bar])
    with page.expect_response("**/predict"):
        page.get_by_role("button", name="Undo").click()
    page.wait_for_selector("#answer:not([aria-busy])")
    assert "1" == best(page)

    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Run").click()
    assert "Draw something" in page.locator("#failure").inner_text()
    assert "true" == page.locator("canvas.pad").get_attribute("aria-invalid")
    assert "when the input is complete" in page.locator("#snippet").inner_text()


def test_a_finger_draws(visit: Visit) -> None:
    """On a touch screen a finger draws, and the page does not scroll away under it."""
    page = visit("/#digits", viewport={"width": 375, "height": 800}, has_touch=True, is_mobile=True)
    pad = page.locator("canvas.pad")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box
    before = page.evaluate("scrollY")
    touch = page.context.new_cdp_session(page)
    points = [{"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] * share} for share in np.linspace(0.1, 0.9, 12)]
    with page.expect_response("**/predict"):
        touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [points[0]]})
        for point in points[1:]:
            touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_selector("#answer:not([aria-busy])")

    assert "1" == best(page)
    assert "1, " in page.locator("#gist").inner_text()
    assert before == page.evaluate("scrollY")


def test_the_keyboard_draws(visit: Visit) -> None:
    """Arrow keys move the pen and Space puts it down and lifts it; what happens is said to a screen reader."""
    page = visit("/#digits")
    page.get_by_label("Draw image").focus()

    def press(key: str, times: int = 1) -> None:
        for _ in range(times):
            page.keyboard.press(key)

    press("Delete")
    assert "The pad is empty" == page.get_by_role("status").inner_text()
    press("ArrowUp", 6)
    press("ArrowLeft", 4)
    assert "4 across, 2 down" == page.get_by_role("status").inner_text()
    press("Space")
    press("ArrowRight", 8)
    for _ in range(3):
        press("ArrowDown", 4)
        press("ArrowLeft", 1)
    with page.expect_response("**/predict"):
        press("Space")
    page.wait_for_selector("#answer:not([aria-busy])")

    assert "7" == best(page)
    assert page.get_by_role("status").inner_text().startswith("7, ")
    press("Backspace")
    assert "The pad is empty" == page.get_by_role("status").inner_text()


def photo() -> bytes:
    """A picture of 130 x 90 pixels with edges, gradients, and a part that is transparent."""
    x, y = np.meshgrid(np.linspace(0, 255, 130), np.linspace(0, 255, 90))
    picture = PIL.Image.fromarray(np.dstack([x, y, 255 - x, np.full_like(x, 255)]).astype(np.uint8))
    ink = PIL.ImageDraw.Draw(picture)
    ink.ellipse((20, 15, 70, 70), fill=(255, 120, 0, 255))
    ink.rectangle((90, 30, 120, 80), fill=(10, 200, 30, 0))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def sent_for(page: Page, file: Path, name: str) -> np.ndarray:
    """What the page sends after a file was uploaded."""
    with page.expect_request("**/predict") as request:
        page.locator("input[type=file]").set_input_files(file)
    return np.array(request.value.post_data_json["inputs"][name])


@pytest.mark.parametrize("resize", ["nearest", "box", "bilinear", "bicubic", "lanczos"])
def test_an_uploaded_picture_is_what_the_server_makes_of_it(visit: Visit, served: httpx.Client, tmp_path: Path, resize: str) -> None:
    """A picture that is uploaded to the page becomes what the server makes of the same PNG, with each of its filters."""
    (tmp_path / "photo.png").write_bytes(photo())
    page = visit(f"/#photo-{resize}")
    sent = sent_for(page, tmp_path / "photo.png", "x")
    answer = served.post(f"/models/photo-{resize}/predict", content=photo(), headers={"Content-Type": "image/png"})

    assert (1, 3, 24, 32) == sent.shape
    # two steps of a pixel's 255, over the smallest deviation
    np.testing.assert_allclose(sent, np.array(answer.json()["outputs"]["y"]), rtol=0, atol=2 / 255 / 0.224 + 1e-3)


def test_an_uploaded_digit_is_recognised(visit: Visit, tmp_path: Path) -> None:
    """A PNG of the example, dark on light and enlarged, is recognised, and comes back as the example itself."""
    page = visit("/#digits")
    example = np.array(page.evaluate("fetch('models/digits').then((answer) => answer.json())")["example"]["inputs"]["image"][0])
    grey = PIL.Image.fromarray((255 - example / 16 * 255).round().astype(np.uint8))
    grey.resize((80, 80), PIL.Image.Resampling.NEAREST).save(tmp_path / "nought.png")
    sent = sent_for(page, tmp_path / "nought.png", "image")
    page.wait_for_selector(".best")

    assert "0" == best(page)
    assert np.abs(sent[0] - example).max() < 3


def test_what_is_no_picture_is_refused(visit: Visit, tmp_path: Path) -> None:
    """A file that no browser can read as a picture is refused in a sentence."""
    (tmp_path / "note.png").write_text("this is no picture")
    page = visit("/#digits")
    page.locator("input[type=file]").set_input_files(tmp_path / "note.png")

    assert "no picture" in page.get_by_role("alert").filter(visible=True).inner_text()
