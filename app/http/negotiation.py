"""Whether a caller accepts a content type (RFC 9110, section 12.5.1)."""


def accepts(accept: str | None, media_type: str) -> bool:
    """Whether ``media_type`` may be answered: the most specific range that matches it decides; no header accepts all."""
    if accept is None or not accept.strip() or accept == media_type:
        return True
    matches = [(rank, quality) for rank, quality in (_match(part, media_type) for part in accept.split(",")) if rank]
    return bool(matches) and max(matches)[1] > 0


def _match(part: str, media_type: str) -> tuple[int, float]:
    """How specific a range is that matches (0: it does not), and its quality."""
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = next((_number(piece[2:]) for piece in parameters if piece.startswith("q=")), 1.0)
    if name == media_type:
        return 3, quality
    if name.endswith("/*") and name != "*/*":
        return (2 if media_type.startswith(name[:-1]) else 0), quality
    return (1 if name in {"*/*", "*"} else 0), quality


def _number(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0
