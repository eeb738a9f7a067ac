"""Media types: what a ``Content-Type`` says, and which answer an ``Accept`` takes (RFC 9110, sections 8.3.1 and 12.5.1)."""

from collections.abc import Iterable

# How the types of bodies begin that are text: Lambda's envelope carries them as they are, and they are worth compressing.
TEXT = (
    "text/",
    "application/json",
    "application/problem+json",
    "application/javascript",
    "application/xml",
    "application/x-jsonlines",
    "application/x-ndjson",
    "image/svg+xml",
)


def parse(content_type: str) -> tuple[str, dict[str, str]]:
    """The media type in lower case, and its parameters: names in lower case, values without their quotes."""
    media_type, *pieces = content_type.split(";")
    pairs = (piece.partition("=") for piece in pieces)
    return media_type.strip().lower(), {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs if name.strip()}


def accepts(accept: str | None, media_type: str) -> bool:
    """Whether ``media_type`` may be answered: the most specific range that matches it decides; no header accepts all."""
    return _quality(accept, media_type) > 0


def choose(accept: str | None, offers: Iterable[str]) -> str | None:
    """The offer that is liked best, the earlier one of equals; None where none is accepted.

    An offer may have a parameter (``text/csv;header=absent``): a range that gives it another value does not match.
    """
    best, found = 0.0, None
    for offer in offers:
        quality = _quality(accept, offer)
        if quality > best:
            best, found = quality, offer
    return found


def _quality(accept: str | None, media_type: str) -> float:
    if accept is None or not accept.strip() or accept == media_type:
        return 1.0
    return max((_match(part, media_type) for part in accept.split(",")), default=(0, 0.0))[1]


def _match(part: str, media_type: str) -> tuple[int, float]:
    """How specific a range is that matches (0: it does not), and its quality."""
    name, *parameters = (piece.strip().lower().replace('"', "") for piece in part.split(";"))
    quality = next((_number(piece[2:]) for piece in parameters if piece.startswith("q=")), 1.0)
    offered, _, own = media_type.partition(";")
    said = [piece for piece in parameters if own and piece.partition("=")[0] == own.partition("=")[0]]
    if said and own not in said:
        return 0, 0.0
    if name == offered:
        return 3 + len(said), quality
    if name.endswith("/*") and name != "*/*":
        return (2, quality) if offered.startswith(name[:-1]) else (0, 0.0)
    return (1, quality) if name in {"*/*", "*"} else (0, 0.0)


def _number(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0
