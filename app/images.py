"""How a picture becomes an input tensor, as a model's manifest says. It imports nothing: the cold start reads manifests before NumPy."""

from typing import Literal, NamedTuple


class Image(NamedTuple):
    """How a PNG or JPEG becomes the input tensor: ``(pixel · scale - mean) / std``, after ``invert`` (255 - pixel).

    ``mean`` and ``std`` are one number, or one for each channel in the order of ``channels``.
    """

    input: str = ""
    size: tuple[int, int] = (0, 0)  # height, width
    channels: Literal["L", "RGB", "BGR"] = "RGB"
    layout: Literal["HW", "HWC", "CHW"] = "CHW"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    invert: bool = False
    # Pillow's filters, which take in all the pixels that make one (antialias); bilinear is what torchvision and Keras train with
    resize: Literal["nearest", "box", "bilinear", "bicubic", "lanczos"] = "bilinear"
