"""Which content type a caller accepts (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence


def preferred(accept: str | None, offered: Sequence[str]) -> str | None:
    """The offered media type that the caller likes best; the first one for no header, None if none will do."""
    if accept is None or not accept.strip():
        return offered[0]
    if accept == offered[0]:
        return accept
    ranges = [_range(part) for part in accept.split(",") if part.strip()]
    best, best_quality = None, 0.0
    for media_type in offered:
        # the most specific range that matches gives the quality
        matches = [(specific, quality) for specific, quality in ((_matches(r, media_type), q) for r, q in ranges) if specific]
        quality = max(matches)[1] if matches else 0.0
        if quality > best_quality:
            best, best_quality = media_type, quality
    return best


def _range(part: str) -> tuple[str, float]:
    name, *parameters = part.split(";")
    quality = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "q":
            try:
                quality = min(1.0, max(0.0, float(value)))
            except ValueError:
                quality = 0.0
    return name.strip().lower(), quality


def _matches(wanted: str, media_type: str) -> int:
    if wanted == media_type:
        return 3
    if wanted.endswith("/*") and wanted != "*/*":
        return 2 if media_type.startswith(wanted[:-1]) else 0
    return 1 if wanted in {"*/*", "*"} else 0
