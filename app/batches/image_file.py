"""A picture: a file that is one request."""

from collections.abc import Iterator
from typing import BinaryIO

from app.batches import Chunk, lines
from app.errors import BodyTooLarge
from app.tensors import Signature

_MOST_BYTES = 64 * 1024 * 1024


class ImageFile:
    """One chunk of one row; see :class:`app.batches.Format`."""

    answer = "application/json"
    in_rows = False

    def __init__(self, signature: Signature, content_type: str) -> None:  # noqa: ARG002 - the codec knows the model's [image]
        self._content_type = content_type

    def chunks(self, stream: BinaryIO, target_bytes: int) -> Iterator[Chunk]:  # noqa: ARG002 - a picture is not cut
        """The whole file."""
        body = lines.read(stream, _MOST_BYTES + 1)
        if len(body) > _MOST_BYTES:
            raise BodyTooLarge(f"The picture has over {_MOST_BYTES} bytes.")
        yield Chunk(body, 1, 0, 1, self._content_type)

    def part(self, chunk: Chunk, start: int, end: int) -> Chunk:  # noqa: ARG002 - the one row
        """The whole file."""
        return chunk

    def told(self, detail: str, chunk: Chunk) -> str:  # noqa: ARG002 - there is no place
        """As it is."""
        return detail
