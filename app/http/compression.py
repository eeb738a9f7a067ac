"""``Content-Encoding`` of requests and answers: gzip and deflate (RFC 9110, section 8.4.1)."""

import zlib

from app.codecs import media_types
from app.errors import BodyTooLarge, Unreadable, UnsupportedContentType
from app.http.message import Request, Response

# zlib's window bits: 31 expects a gzip header and trailer, 15 those of zlib, which HTTP calls deflate.
_WINDOW = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_TAKEN = "gzip, deflate"
_PIECE_BYTES = 1024 * 1024
_SLICE_BYTES = 64 * 1024
# Every member costs a new inflater, however empty it is.
_MOST_MEMBERS = 1000
# One network packet carries less than this anyway.
_FROM_BYTES = 1024
# Measured on a million float32 as JSON (9 MB): level 1 takes 0.4 of level 6's time for 1.05 of its size.
_LEVEL = 1


def inflate(request: Request, max_bytes: int) -> None:
    """Replace the request's body by what its ``Content-Encoding`` says it holds.

    :raises UnsupportedContentType: for a coding that is not known, with those that are (section 12.5.3).
    :raises BodyTooLarge: as soon as more than ``max_bytes`` came out.
    :raises Unreadable: for damaged, cut or trailing data.
    """
    text = request.headers["content-encoding"]
    codings = [coding for name in text.split(",") if (coding := name.strip().lower()) not in {"", "identity"}]
    if not codings:
        return
    # One coding over another serves nobody but those who try how much comes out.
    if len(codings) > 1 or codings[0] not in _WINDOW:
        raise UnsupportedContentType(
            f"The body is encoded as '{text[:40]}'; send it as it is, or by one of {_TAKEN}.", headers={"Accept-Encoding": _TAKEN}
        )
    request.body = _inflated(request.body, codings[0], max_bytes)
    # A request may be tried twice: what is inflated is so no more.
    request.headers = {name: value for name, value in request.headers.items() if name != "content-encoding"}


def _inflated(body: bytes, coding: str, max_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size, at = 0, 0
    view = memoryview(body)
    for _ in range(_MOST_MEMBERS):
        stream = zlib.decompressobj(_WINDOW[coding])
        while not stream.eof:
            # Fed in slices, because what zlib leaves unread it copies.
            fed = stream.unconsumed_tail or view[at : at + _SLICE_BYTES]
            if not stream.unconsumed_tail:
                at += len(fed)
            try:
                piece = stream.decompress(fed, min(_PIECE_BYTES, max_bytes - size + 1))
            except zlib.error as error:
                raise Unreadable(f"The body is not valid {coding}.") from error
            size += len(piece)
            if size > max_bytes:
                raise BodyTooLarge(
                    f"The body has more than {max_bytes} bytes when it is decompressed, which is the limit (MAX_BODY_BYTES)."
                )
            pieces.append(piece)
            if not fed and not piece and not stream.eof:
                raise Unreadable(f"The body ends in the middle of its {coding} data.")
        at -= len(stream.unused_data)
        if at == len(body):
            return b"".join(pieces)
        # RFC 1952, section 2.2: a gzip file may have several members.
        if coding == "deflate":
            raise Unreadable(f"{len(body) - at} bytes follow the body's {coding} data.")
    raise Unreadable(f"The body has more than {_MOST_MEMBERS} gzip members; send it as one.")


def deflate(request: Request, response: Response) -> None:
    """Compress an answer, where the caller accepts that and it saves something.

    Tensors in binary hardly shrink, so what is no text is compressed only for callers who name exactly one coding, which
    tritonclient does when it is asked for compression and general HTTP libraries do not.
    """
    accept = request.headers["accept-encoding"]
    coding = media_types.choose(accept, ("gzip", "deflate"))
    if coding is None or len(response.body) < _FROM_BYTES or "Content-Encoding" in response.headers:
        return
    if not response.content_type.startswith(media_types.TEXT) and accept.strip().lower() != coding:
        return
    response.headers["Vary"] = "Accept-Encoding"
    # identity that is liked better (section 12.5.3)
    if media_types.choose(accept, (coding, "identity")) == "identity":
        return
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW[coding])
    response.body = stream.compress(response.body) + stream.flush()
    response.headers["Content-Encoding"] = coding
