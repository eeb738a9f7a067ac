"""A result as one JSON object, with the answer in it as JSON where it is JSON, and in base64 where it is not."""

import base64
from typing import Any

import orjson

from app.results import Result

_WHITE = bytes.maketrans(b"\r\n", b"  ")


def record_of(result: Result) -> dict[str, Any]:
    """What event buses and delivery streams hear of a result; :func:`orjson.dumps` writes it in one line."""
    found = json_of(result.body)
    if result.problem:
        outcome: dict[str, Any] = {"error": found if found is not None else result.problem.as_object("")}
    else:
        outcome = {"answer": found if found is not None else {"base64": base64.b64encode(result.body).decode()}}
    return {
        "id": result.id,
        "correlation_id": result.correlation_id,
        "source": result.source,
        "model": result.model,
        "version": result.version,
        "digest": result.digest,
        "content_type": result.content_type,
        "status": result.problem.status if result.problem else 200,
        **outcome,
    }


def json_of(body: bytes) -> orjson.Fragment | None:
    """A body as it stands, to be written into another document; None where it is not JSON (one with ``NaN`` is not)."""
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    # Only white space between values can hold the end of a line, which would end a record of a delivery stream.
    return orjson.Fragment(body.translate(_WHITE))
