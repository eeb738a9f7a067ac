"""PNG and JPEG in, as ``[image]`` in a model's ``model.toml`` says: size, channels, scale, mean and deviation, layout.

Only these two decoders of Pillow's are ever called, and each only for files that begin as its format does.
"""

import io
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import numpy as np
import PIL.Image
from PIL import ImageFile, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from app.codecs.call import Call
from app.errors import BodyTooLarge, Invalid, Unreadable, UnsupportedContentType
from app.images import Image
from app.tensors import Array, Signature, Value

# A large photograph. Pillow has four bytes for a pixel of colours, and twice that while a picture is turned or laid on paper: 400 MB.
_MOST_PIXELS = 50_000_000
# Each scan of a JPEG goes over all pixels, in as few as 75 bytes. Encoders write about ten.
_MOST_SCANS = 100
# What stands alone, or in a scan, is left out (ITU-T T.81, B.1.1): stuffed zeros, restarts, fill bytes.
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
_END, _SCAN, _FIRST_SEGMENT = 0xD9, 0xDA, 0xC0
# What is converted at once needs memory beside the picture.
_STRIP_PIXELS = 1_000_000
_FILTERS = {
    "nearest": PIL.Image.Resampling.NEAREST,
    "box": PIL.Image.Resampling.BOX,
    "bilinear": PIL.Image.Resampling.BILINEAR,
    "bicubic": PIL.Image.Resampling.BICUBIC,
    "lanczos": PIL.Image.Resampling.LANCZOS,
}


class _Format(NamedTuple):
    """A reader of one format; see :class:`app.codecs.call.Reader`."""

    name: str
    magic: bytes
    # What a file opened by it is; it reads the header alone.
    opened: type[ImageFile.ImageFile]

    def decode(self, body: bytes, parameters: Mapping[str, str], signature: Signature) -> Call:  # noqa: ARG002 - it has none
        """Read a picture as a batch of one.

        :raises UnsupportedContentType: for a model whose ``model.toml`` does not say how.
        :raises BodyTooLarge: for more pixels than are taken, before any is decoded.
        """
        image = signature.image
        if image is None:
            raise UnsupportedContentType(
                "This model takes no pictures: its model.toml has no [image] table, which says how a picture becomes an input (docs/models.md)."
            )
        if not image.input and len(signature.inputs) != 1:
            raise Invalid(
                f"Which input is the picture 'input' in [image] of model.toml must say; the model has {signature.describe_inputs()}."
            )
        name = image.input or signature.inputs[0].name
        signature.check_input_names({name}, "")
        tensor = _tensor(self._pixels(body, image), image, name, signature)
        inputs: dict[str, Value] = dict.fromkeys(signature.input_by_name) | {name: tensor}
        signature.check_shapes(inputs, dict.fromkeys(inputs, ""))
        return Call(inputs, signature.chosen_outputs(None, ""))

    def _pixels(self, body: bytes, image: Image) -> Array:
        """The resized picture, ``[height, width, channels]`` of 0 to 255."""
        if not body.startswith(self.magic):
            raise Unreadable(f"The body is no {self.name}: it does not begin as one.")
        if self.opened is JpegImageFile:
            _check_scans(body)
        try:
            with self.opened(io.BytesIO(body)) as picture:
                width, height = picture.size
                if width * height > _MOST_PIXELS:
                    raise BodyTooLarge(f"The picture has {width} x {height} pixels, but at most {_MOST_PIXELS} are taken.")
                # The camera's own orientation, then the channels, then the size: as training pipelines do it.
                ImageOps.exif_transpose(picture, in_place=True)
                flat = _flat(picture, "L" if image.channels == "L" else "RGB")
                found = np.asarray(flat.resize(image.size[::-1], _FILTERS[image.resize]))
        except BodyTooLarge:
            raise
        except Exception as error:
            # What a decoder raises of a damaged file is not documented: OSError, SyntaxError, struct.error, zlib.error, …
            raise Unreadable(f"The {self.name} is damaged, or ends too early.") from error
        return cast(Array, found.reshape(*image.size, -1))


png = _Format("PNG", b"\x89PNG\r\n\x1a\n", PngImageFile)
jpeg = _Format("JPEG", b"\xff\xd8\xff", JpegImageFile)


def _check_scans(body: bytes) -> None:
    """Count the scans, from marker to marker as decoders do: thumbnails inside, and what follows the end, are none of the picture's.

    :raises BodyTooLarge: for more than are taken.
    """
    at, scans = 2, 0
    while (found := _MARKER.search(body, at)) and (marker := found[1][0]) != _END:
        at = found.end()
        scans += marker == _SCAN
        if scans > _MOST_SCANS:
            raise BodyTooLarge(f"The JPEG has over {_MOST_SCANS} scans, each over all its pixels; save it with fewer, or as baseline.")
        # The length of a segment counts itself. Decoders that look for a restart step over the bytes of a reserved marker alone.
        at += max(int.from_bytes(body[at : at + 2]), 2) if marker >= _FIRST_SEGMENT else 0


def _flat(picture: PIL.Image.Image, mode: str) -> PIL.Image.Image:
    """The picture in ``mode``, on white paper; strip by strip, as a palette with transparency becomes four bytes a pixel in between."""
    if picture.mode == mode and not picture.has_transparency_data:
        return picture
    flat = PIL.Image.new(mode, picture.size)
    rows = max(_STRIP_PIXELS // picture.width, 1)
    for top in range(0, picture.height, rows):
        strip = picture.crop((0, top, picture.width, min(top + rows, picture.height)))
        flat.paste(_without_transparency(strip).convert(mode), (0, top))
    return flat


def _without_transparency(picture: PIL.Image.Image) -> PIL.Image.Image:
    """The picture as if it lay on white paper; 16 bits of grey as 8."""
    if picture.mode.startswith("I"):
        return PIL.Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        return PIL.Image.alpha_composite(PIL.Image.new("RGBA", picture.size, "white"), picture)
    return picture


def _tensor(pixels: Any, image: Image, name: str, signature: Signature) -> Array:
    """Pixels ``[height, width, channels]`` as the input: scaled, in its layout and datatype, with the batch dimension it has."""
    spec = signature.input_by_name[name]
    values = pixels[..., ::-1] if image.channels == "BGR" else pixels
    values = (255 - values if image.invert else values).astype(np.float32)
    values = (values * np.float32(image.scale) - np.array(image.mean, np.float32)) / np.array(image.std, np.float32)
    if spec.datatype.kind == "integer":
        limits = np.iinfo(cast(Any, spec.datatype.numpy))
        values = np.rint(values)
        if values.min() < limits.min or values.max() > limits.max:
            raise Invalid(f"[image] in model.toml scales this picture beyond {spec.datatype.name}, the datatype of input '{name}'.")
    elif spec.datatype.kind != "float":
        raise Invalid(f"[image] in model.toml names input '{name}', which is {spec.describe()} and takes no picture.")
    values = {"HW": lambda: values[..., 0], "HWC": lambda: values, "CHW": lambda: values.transpose(2, 0, 1)}[image.layout]()
    alone = spec.shape is not None and len(spec.shape) == values.ndim
    return cast(Array, np.ascontiguousarray(values if alone else values[None], spec.datatype.numpy))
