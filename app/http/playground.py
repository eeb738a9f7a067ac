"""The page that ``GET /`` shows a browser: one document that needs no other host and no other request to show itself."""

import base64
import functools
import hashlib
from pathlib import Path

import app
from app.codecs import media_types
from app.http.message import Response

_SOURCES = Path(__file__).parent / "page"
# In the order in which one uses what stands before it; together they are one module, so that none of it is global.
_SCRIPTS = ("elements", "json", "server", "fields", "picture", "resize", "strokes", "pen", "pad", "form", "answer", "snippets", "page")


def is_wanted(accept: str) -> bool:
    """Whether the caller names HTML and likes JSON no better: a browser does; curl's and the model clients' ``*/*`` does not."""
    return "text/html" in accept and media_types.choose(accept, ("text/html", "application/json")) == "text/html"


def page() -> Response:
    """The page, under a policy by which nothing runs but its own script and nothing is asked but its own server."""
    body, policy = _document()
    return Response(
        200,
        body,
        "text/html; charset=utf-8",
        {
            "Content-Security-Policy": policy,
            # what changes with a deployment is asked for anew
            "Cache-Control": "no-cache",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        },
    )


@functools.cache
def _document() -> tuple[bytes, str]:
    """The page with its style and script in place, and its Content-Security-Policy, which names both by their hashes."""
    style = _read("style.css")
    script = "\n".join(_read(f"{name}.js") for name in _SCRIPTS)
    page = _read("index.html").replace("{version}", app.__version__)
    # The script last: it is then searched for no marker.
    page = page.replace("{style}", style).replace("{script}", script)
    policy = (
        "default-src 'none'",
        f"script-src '{_hash(script)}'",
        f"style-src '{_hash(style)}'",
        "connect-src 'self'",
        # the icon in the page's head
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # In browsers that know it, text cannot become markup at all: https://www.w3.org/TR/trusted-types/
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return page.encode(), "; ".join(policy)


def _read(name: str) -> str:
    return (_SOURCES / name).read_text(encoding="utf-8")


def _hash(source: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"
