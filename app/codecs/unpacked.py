"""How much a file may hold when it is unpacked: asked before it is, so that a small body cannot fill the memory."""

from app.errors import BodyTooLarge

# As much as the largest body is by default (MAX_BODY_BYTES).
MOST_BYTES = 64 * 1024 * 1024
# From INT8 to FP64, and from the bit of a boolean to its byte
_MOST_WIDENING = 8


def check_unpacked(size: int, body: bytes) -> None:
    """Compare the bytes that will come out of a body with the limit; a body that packs nothing is never over it.

    :raises BodyTooLarge: with both numbers.
    """
    limit = max(MOST_BYTES, len(body))
    if size > limit:
        raise BodyTooLarge(f"The file holds {size} bytes when it is unpacked, but at most {limit} are taken; send fewer rows at once.")


def check_converted(size: int, body: bytes) -> None:
    """Compare the bytes that a body's numbers take in the model's datatypes with the limit; a body that packs nothing is never over it.

    :raises BodyTooLarge: with both numbers.
    """
    limit = max(MOST_BYTES, _MOST_WIDENING * len(body))
    if size > limit:
        raise BodyTooLarge(f"The file's values take {size} bytes as the model's inputs, but at most {limit} do; send fewer rows at once.")
