"""PNG and JPEG in: the tensor that model.toml describes, and nothing decoded that is too large or no picture."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pictures

from app.codecs import image
from app.errors import BodyTooLarge, Problem, UnsupportedContentType
from app.images import Image
from app.tensors import BY_NAME, Signature, TensorSpec
from tests.codecs.tensors import NO_PARAMETERS, echo, mutated, outcome, spec

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
# Red and green above, blue and white below.
COLOURS = np.array([[RED, GREEN], [BLUE, WHITE]], np.uint8)


def file(picture: Pictures.Image, kind: str = "PNG", **options: Any) -> bytes:
    """A picture as a file."""
    body = io.BytesIO()
    picture.save(body, kind, **options)
    return body.getvalue()


def model(datatype: str = "FP32", dims: tuple[Any, ...] = ("n", 3, 2, 2), **settings: Any) -> Signature:
    """A model of one picture."""
    return echo(spec("x", datatype, *dims), image=Image(**({"size": (2, 2)} | settings)))


def read(body: bytes, signature: Signature) -> Any:
    """The tensor in a PNG."""
    return image.png.decode(body, NO_PARAMETERS, signature).inputs["x"]


@pytest.mark.parametrize(
    ("layout", "dims", "expected"),
    [
        ("CHW", ("n", 3, 2, 2), COLOURS.transpose(2, 0, 1)[None]),
        ("HWC", ("n", 2, 2, 3), COLOURS[None]),
        ("CHW", (3, 2, 2), COLOURS.transpose(2, 0, 1)),
        ("HWC", (2, 2, 3), COLOURS),
    ],
)
def test_layout(layout: str, dims: tuple[Any, ...], expected: np.ndarray) -> None:
    """Channels come first or last, with a batch of one where the input has a dimension for it."""
    for channels, ordered in (("RGB", expected), ("BGR", expected[..., ::-1] if layout == "HWC" else np.flip(expected, -3))):
        found = read(file(Pictures.fromarray(COLOURS)), model("UINT8", dims, layout=layout, channels=channels))
        np.testing.assert_array_equal(ordered, found, strict=True)


def test_grey() -> None:
    """One channel is the luma of the colours, alone, first or last."""
    luma = np.array([[76, 150], [29, 255]], np.float32)
    for layout, dims, shape in (
        ("HW", ("n", 2, 2), (1, 2, 2)),
        ("HWC", ("n", 2, 2, 1), (1, 2, 2, 1)),
        ("CHW", ("n", 1, 2, 2), (1, 1, 2, 2)),
    ):
        found = read(file(Pictures.fromarray(COLOURS)), model("FP32", dims, channels="L", layout=layout))
        np.testing.assert_array_equal(luma.reshape(shape), found, strict=True)


def test_scale_mean_and_deviation() -> None:
    """A pixel becomes (pixel · scale - mean) / std, with a mean and a deviation for each channel, in float32."""
    settings = {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    expected = ((COLOURS / 255 - settings["mean"]) / settings["std"]).astype(np.float32)

    np.testing.assert_allclose(
        expected.transpose(2, 0, 1)[None], read(file(Pictures.fromarray(COLOURS)), model(**settings)), rtol=1e-6, atol=1e-6
    )
    reordered = settings | {"channels": "BGR", "layout": "HWC"}
    bgr = ((COLOURS[..., ::-1] / 255 - settings["mean"]) / settings["std"]).astype(np.float32)
    np.testing.assert_allclose(
        bgr[None], read(file(Pictures.fromarray(COLOURS)), model(dims=("n", 2, 2, 3), **reordered)), rtol=1e-6, atol=1e-6
    )


def test_invert() -> None:
    """Dark ink on white paper becomes bright on black."""
    found = read(file(Pictures.fromarray(COLOURS)), model("UINT8", ("n", 2, 2, 3), layout="HWC", invert=True))
    np.testing.assert_array_equal(255 - COLOURS[None], found)


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64", "BF16", "UINT8", "INT64"])
def test_datatypes(datatype: str) -> None:
    """Pixels come in every datatype of numbers that holds them."""
    found = read(file(Pictures.fromarray(COLOURS)), model(datatype, ("n", 2, 2, 3), layout="HWC"))

    assert BY_NAME[datatype].numpy == found.dtype
    np.testing.assert_array_equal(COLOURS[None], found)


@pytest.mark.parametrize(("datatype", "settings"), [("INT8", {}), ("UINT8", {"mean": (1.0,)}), ("BOOL", {}), ("BYTES", {})])
def test_datatypes_that_hold_no_pixels(datatype: str, settings: dict[str, Any]) -> None:
    """A model.toml that scales beyond the input's datatype, or names an input of no numbers, is said to be at fault."""
    with pytest.raises(Problem, match=r"model\.toml"):
        read(file(Pictures.fromarray(COLOURS)), model(datatype, ("n", 2, 2, 3), layout="HWC", **settings))


def test_resizing_takes_in_every_pixel() -> None:
    """A picture is made smaller by the chosen filter over all its pixels, and not by picking some."""
    chequered = Pictures.fromarray((np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8))
    shades = {
        name: set(
            read(file(chequered), model("UINT8", ("n", 4, 4), size=(4, 4), channels="L", layout="HW", resize=name)).reshape(-1).tolist()
        )
        for name in ("box", "bilinear", "bicubic", "lanczos", "nearest")
    }

    assert all(shades[name] <= {127, 128} for name in ("box", "bilinear", "bicubic", "lanczos"))
    assert shades["nearest"] <= {0, 255}
    blocks = Pictures.fromarray(COLOURS).resize((200, 100), Pictures.Resampling.NEAREST)
    np.testing.assert_array_equal(COLOURS[None], read(file(blocks), model("UINT8", ("n", 2, 2, 3), layout="HWC", resize="box")))


def test_size_is_height_and_width() -> None:
    """size = [height, width]: a wide picture stays wide."""
    assert (1, 3, 2, 5) == read(file(Pictures.fromarray(COLOURS)), model(dims=("n", 3, 2, 5), size=(2, 5))).shape


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_cameras_orientation_is_applied(orientation: int) -> None:
    """A picture that the camera stored turned or mirrored comes in upright."""
    upright = Pictures.fromarray(COLOURS).resize((32, 32), Pictures.Resampling.NEAREST)
    undo = {
        2: Pictures.Transpose.FLIP_LEFT_RIGHT,
        3: Pictures.Transpose.ROTATE_180,
        4: Pictures.Transpose.FLIP_TOP_BOTTOM,
        5: Pictures.Transpose.TRANSPOSE,
        6: Pictures.Transpose.ROTATE_90,
        7: Pictures.Transpose.TRANSVERSE,
        8: Pictures.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Pictures.Exif()
    exif[0x0112] = orientation
    signature = model("UINT8", ("n", 2, 2, 3), layout="HWC", resize="box")

    np.testing.assert_array_equal(COLOURS[None], read(file(stored, exif=exif), signature))
    body = file(stored, "JPEG", exif=exif, quality=100, subsampling=0)
    found: Any = image.jpeg.decode(body, NO_PARAMETERS, signature).inputs["x"]
    np.testing.assert_allclose(COLOURS[None].astype(int), found.astype(int), atol=4)


def test_transparency_lies_on_white() -> None:
    """What is transparent is paper: of colours, of grey, and of a palette's entry."""
    signature = model("UINT8", ("n", 1, 2), size=(1, 2), channels="L", layout="HW")
    for picture, options in (
        (Pictures.fromarray(np.array([[[0, 0, 0, 0], [0, 0, 0, 255]]], np.uint8), "RGBA"), {}),
        (Pictures.fromarray(np.array([[[0, 0], [0, 255]]], np.uint8), "LA"), {}),
        (Pictures.fromarray(np.array([[[9, 9, 9], [0, 0, 0]]], np.uint8)), {"transparency": (9, 9, 9)}),
        (Pictures.fromarray(np.array([[9, 0]], np.uint8)), {"transparency": 9}),
    ):
        assert [[[255, 0]]] == read(file(picture, **options), signature).tolist(), picture.mode
    half = Pictures.fromarray(np.array([[[0, 0, 0, 128], [255, 255, 255, 128]]], np.uint8), "RGBA")
    assert [[[127, 255]]] == read(file(half), signature).tolist()


def test_modes() -> None:
    """Palettes, black and white, 16 bits and CMYK are the same picture."""
    grey = model("UINT8", ("n", 1, 2), size=(1, 2), channels="L", layout="HW")
    assert [[[0, 255]]] == read(file(Pictures.fromarray(np.array([[False, True]]))), grey).tolist()
    assert [[[1, 255]]] == read(file(Pictures.fromarray(np.array([[256, 65535]], np.uint16))), grey).tolist()
    colours = model("UINT8", ("n", 2, 2, 3), layout="HWC")
    palette = Pictures.fromarray(COLOURS).convert("P", palette=Pictures.Palette.ADAPTIVE)
    np.testing.assert_array_equal(COLOURS[None], read(file(palette), colours))
    large = Pictures.fromarray(COLOURS).resize((32, 32), Pictures.Resampling.NEAREST).convert("CMYK")
    body = file(large, "JPEG", quality=100, subsampling=0)
    found: Any = image.jpeg.decode(body, NO_PARAMETERS, model("UINT8", ("n", 2, 2, 3), layout="HWC", resize="box")).inputs["x"]
    np.testing.assert_allclose(COLOURS[None].astype(int), found.astype(int), atol=6)


def test_the_first_frame_of_an_animation() -> None:
    """Of an animated PNG the picture is the first frame."""
    frames = [Pictures.fromarray(COLOURS), Pictures.fromarray(255 - COLOURS)]
    body = file(frames[0], save_all=True, append_images=frames[1:])
    assert b"acTL" in body

    np.testing.assert_array_equal(COLOURS[None], read(body, model("UINT8", ("n", 2, 2, 3), layout="HWC")))


def test_the_bytes_must_be_what_the_content_type_says() -> None:
    """A JPEG as image/png, a GIF, and text are refused; what follows a picture is not read."""
    picture = Pictures.fromarray(COLOURS)
    assert "unreadable-request" == outcome(image.png.decode, file(picture, "JPEG"), model())
    assert "unreadable-request" == outcome(image.jpeg.decode, file(picture), model())
    assert "unreadable-request" == outcome(image.png.decode, file(picture, "GIF"), model())
    assert "unreadable-request" == outcome(image.png.decode, b"", model())
    assert isinstance(outcome(image.png.decode, file(picture) + b"PK\x03\x04<script>", model()), dict)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_truncated_pictures_are_refused(kind: str) -> None:
    """A picture that ends too early is not filled up with grey."""
    body = file(Pictures.effect_noise((64, 64), 80), kind)
    decoder = image.png if kind == "PNG" else image.jpeg

    assert isinstance(outcome(decoder.decode, body, model()), dict)
    assert "unreadable-request" == outcome(decoder.decode, body[: len(body) // 2], model())


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    """A picture of more pixels than are taken is refused before any of them is decoded."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0))
    body = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")

    with pytest.raises(BodyTooLarge, match="100000 x 100000 pixels, but at most 50000000"):
        read(body, model())


def test_scans_of_a_jpeg_are_counted() -> None:
    """A JPEG that goes over its pixels again and again is refused before it is decoded; what is beside its own scans does not count."""
    signature = model("UINT8", ("n", 2, 2, 3), layout="HWC")
    body = file(Pictures.fromarray(COLOURS).resize((64, 64)), "JPEG", progressive=True)
    scan, end = body[body.rindex(b"\xff\xda") : -2], body[-2:]
    taken = 100 - body.count(b"\xff\xda")

    assert isinstance(outcome(image.jpeg.decode, body[:-2] + scan * taken + end, signature), dict)
    for more in (scan * (taken + 1), b"\xff\x02\xff\xff" + scan * (taken + 1)):
        with pytest.raises(BodyTooLarge, match="over 100 scans"):
            image.jpeg.decode(body[:-2] + more + end, NO_PARAMETERS, signature)
    thumbnail = b"\xff\xe5" + struct.pack(">H", 402) + b"\xff\xda" * 200
    assert isinstance(outcome(image.jpeg.decode, body[:2] + thumbnail + body[2:] + b"\xff\xda" * 200, signature), dict)


def test_transparency_is_laid_on_white_strip_by_strip() -> None:
    """Only a strip of a large picture has four bytes a pixel, and the picture is the same as if it were laid on paper at once."""
    picture = Pictures.effect_noise((1500, 1500), 80).convert("P")
    picture.info["transparency"] = 128
    paper = Pictures.new("RGBA", picture.size, "white")
    expected = Pictures.alpha_composite(paper, picture.convert("RGBA"))
    sizes: list[int] = []
    convert = Pictures.Image.convert

    def noted(self: Pictures.Image, *args: Any, **options: Any) -> Pictures.Image:
        sizes.append(self.width * self.height)
        return convert(self, *args, **options)

    signature = model("UINT8", ("n", 1500, 1500), size=(1500, 1500), channels="L", layout="HW")
    body = file(picture)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pictures.Image, "convert", noted)
        found = read(body, signature)

    np.testing.assert_array_equal(np.asarray(expected.convert("L"))[None], found)
    assert max(sizes) <= 1_000_000


def test_a_model_without_an_image_table() -> None:
    """A model whose model.toml does not say how a picture becomes an input says what to add."""
    with pytest.raises(UnsupportedContentType, match=r"\[image\]"):
        read(file(Pictures.fromarray(COLOURS)), echo(spec("x", "FP32", "n", 3, 2, 2)))


def test_which_input_is_the_picture() -> None:
    """Of several inputs model.toml names the picture; the others must be optional."""
    body = file(Pictures.fromarray(COLOURS))
    picture, other = spec("x", "FP32", "n", 3, 2, 2), spec("y")
    optional = TensorSpec("y", BY_NAME["FP32"], ("n",), optional=True)

    assert "invalid-request" == outcome(image.png.decode, body, echo(picture, optional, image=Image(size=(2, 2))))
    assert "missing-input" == outcome(image.png.decode, body, echo(picture, other, image=Image("x", (2, 2))))
    assert {"x", "y"} == set(outcome(image.png.decode, body, echo(picture, optional, image=Image("x", (2, 2)))))
    assert "wrong-shape" == outcome(image.png.decode, body, echo(picture, image=Image("x", (4, 4))))


SEEDS = [file(Pictures.effect_noise((12, 9), 80).convert(mode)) for mode in ("L", "RGB", "RGBA", "P", "1")]
PHOTOS = [file(Pictures.effect_noise((12, 9), 80).convert(mode), "JPEG") for mode in ("L", "RGB", "CMYK")]


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=600, deadline=None)
@given(body=mutated(SEEDS) | mutated(PHOTOS) | st.binary(max_size=40).map(lambda tail: b"\x89PNG\r\n\x1a\n" + tail))
def test_any_bytes_are_a_picture_or_a_problem_of_ours(body: bytes) -> None:
    """Arbitrary bytes and damaged pictures never raise anything but our errors."""
    assert outcome(image.png.decode, body, model())
    assert outcome(image.jpeg.decode, body, model())
