"""A result as a CloudEvent, version 1.0, in the JSON event format.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md and formats/json-format.md beside it.
"""

import base64
import datetime as dt
import hashlib
from typing import Any
from urllib.parse import quote

from app.results import Result
from app.results.json_record import json_of

_TYPE = "com.onnx-lambda.prediction."
_JSON = "application/json"
# As a string in "data", where it is UTF-8; everything else is binary.
_TEXT = ("text/", "application/jsonl", "application/x-jsonlines", "application/x-ndjson")
_HERE = "/onnx-lambda"


def event_of(result: Result) -> dict[str, Any]:
    """The event: the answer or the error object is its data, and what it is of stands in extension attributes."""
    status = result.problem.status if result.problem else 200
    kind = _TYPE + ("failed" if result.problem else "completed")
    source = _source(result.source)
    attributes = {
        "specversion": "1.0",
        # The same for the same outcome of the same record: an event that is sent again is known by source and id.
        "id": hashlib.sha256(f"{source}\0{result.id}\0{kind}\0{status}".encode()).hexdigest(),
        "source": source,
        "type": kind,
        "subject": result.id,
        "time": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
        "datacontenttype": result.content_type,
        "correlationid": result.correlation_id,
        "model": result.model,
        "modelversion": result.version,
        "modeldigest": result.digest,
        "status": status,
    }
    return {**{name: value for name, value in attributes.items() if value != ""}, **_data(result)}


def _source(name: str) -> str:
    """A URI-reference (RFC 3986): an ARN is one, and a bare word such as ``sqs`` is a path of ours."""
    written = quote(name, safe="/:?@!$&'()*+,;=-._~")
    return written if ":" in written or written.startswith("/") else "/".join(part for part in (_HERE, written) if part)


def _data(result: Result) -> dict[str, Any]:
    """``data`` or ``data_base64`` (JSON event format, section 3.1.1)."""
    media_type = result.content_type.partition(";")[0].strip().lower()
    if media_type.endswith(("/json", "+json")) or not media_type:
        found = json_of(result.body)
        if found is not None:
            return {"data": found}
        if result.problem:
            return {"data": result.problem.as_object(""), "datacontenttype": _JSON}
    elif media_type.startswith(_TEXT):
        try:
            return {"data": result.body.decode()}
        except UnicodeDecodeError:
            pass
    return {"data_base64": base64.b64encode(result.body).decode()}
