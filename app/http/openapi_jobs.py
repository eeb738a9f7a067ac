"""What ``/openapi.json`` says of predictions that are answered later: header fields, jobs, uploads and downloads."""

from typing import Any

from app.http.message import REFERENCE
from app.http.openapi_schemas import ref
from app.http.routes import Route

_TEXT: dict[str, Any] = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
_WHOLE = {"type": "integer", "minimum": 0}
_ID = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_ANYTHING: dict[str, Any] = {"*/*": {"schema": {}}}
# as app.http.jobs takes it
_MARK = r"^([0-9]{10}\.[0-9]{6}-[0-9a-f]{32})?$"
_OF_REQUESTS = {
    "Prefer": "respond-async: answer 202 and a job; with wait=5 wait as many seconds for its result first (RFC 7240)",
    "Idempotency-Key": "A key of your own: the same request under it is answered once, and its answer repeated for 24 h",
    "Webhook-Url": "With respond-async: where the end of the job is told, signed by Standard Webhooks",
    "Webhook-Id": "With Webhook-Url: a label that comes back in the webhook",
}
_OF_RESPONSES = {
    "Location": "Where the job is",
    "Content-Location": "Where the job is that gave this answer",
    "Preference-Applied": "What of Prefer was done",
    "Idempotency-Replayed": "true, where a request under this key was answered before",
    "Retry-After": "Seconds after which it is worth to look again",
}


def _object(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


_LINKS = _object(("self", "result"), self=_TEXT, result=_TEXT, deliveries=_TEXT)
_JOB = _object(
    ("id", "status", "model", "version", "created", "expires", "finished", "attempts", "progress", "links"),
    id=_ID,
    status={"enum": ["queued", "running", "succeeded", "failed", "cancelled", "expired"]},
    model=_TEXT,
    version=_TEXT,
    created=_TIME,
    expires=_TIME | {"description": "When a job that nobody has answered ends, or one that has ended is forgotten"},
    finished={"type": ["string", "null"], "format": "date-time"},
    attempts=_WHOLE,
    progress=_object(("rows", "done"), rows=_WHOLE, done=_WHOLE),
    links=_LINKS,
    error=ref("Problem") | {"description": "Why the job has failed"},
    webhook=_object(("url", "label"), url=_TEXT, label=_TEXT),
)
_ATTEMPT = _object(("at", "outcome", "duration_ms"), at=_TIME, outcome=_TEXT, duration_ms=_WHOLE)
_DELIVERY = _object(
    ("webhook_id", "url", "label", "status", "attempts", "next"),
    webhook_id=_TEXT,
    url=_TEXT,
    label=_TEXT,
    status={"enum": ["pending", "delivered", "stopped", "failed"]},
    attempts={"type": "array", "items": _ATTEMPT},
    next={"type": ["string", "null"], "format": "date-time"},
)
_CONTENT_TYPE = {"type": "string", "minLength": 1, "maxLength": 256, "description": "Of the request that the bytes are the body of"}
_REFERENCE = _object(("upload", "sha256"), upload=_ID, sha256=_TEXT, content_type=_CONTENT_TYPE)
_ADDRESS = _object(("method", "url", "headers", "expires"), method=_TEXT, url=_TEXT, headers={"type": "object"}, expires=_TIME)
SCHEMAS: dict[str, Any] = {
    "Job": _JOB,
    "JobList": _object(("jobs", "next"), jobs={"type": "array", "items": ref("Job")}, next={"type": ["string", "null"]}),
    "DeliveryList": _object(("deliveries",), deliveries={"type": "array", "items": _DELIVERY}),
    "UploadRequest": _object(
        ("bytes", "sha256"),
        bytes={"type": "integer", "minimum": 1},
        sha256={"type": "string", "description": "SHA-256 of the bytes, in hexadecimal or base64"},
        content_type=_CONTENT_TYPE,
    )
    | {"additionalProperties": False},
    "Upload": _object(
        ("upload", "reference", "reference_content_type", "expires"),
        upload=_ADDRESS,
        reference=ref("UploadReference"),
        reference_content_type={"const": REFERENCE},
        expires=_TIME,
    ),
    "UploadReference": _REFERENCE,
}


def is_described(route: Route) -> bool:
    """Whether :func:`describe` knows the route."""
    return route.endpoint.startswith(("jobs:", "uploads:"))


def describe(route: Route, error: dict[str, Any]) -> dict[str, Any]:
    """The operation of a route of jobs, uploads or downloads.

    :param error: the response of every failure.
    """
    found: dict[str, Any] = {"tags": ["answers that come later"], "parameters": [], "responses": _RESPONSES[route.endpoint]}
    found["responses"] = found["responses"] | {"default": error}
    if "{id}" in route.path:
        found["parameters"] = [{"name": "id", "in": "path", "required": True, "schema": _TEXT, "description": "An id that was answered"}]
    found["parameters"] += [_in_query(name, schema) for name, schema in _QUERIES.get(route.endpoint, {}).items()]
    if route.endpoint in _BODIES:
        found["requestBody"] = {"required": True, "content": _BODIES[route.endpoint]}
    return found


def add_deferring(operation: dict[str, Any]) -> dict[str, Any]:
    """The operation of a prediction route with the fields that have it answered later, or once, and what is answered then."""
    names = {"Content-Location", "Preference-Applied", "Idempotency-Replayed"}
    operation.setdefault("parameters", []).extend(_in_header(name, text) for name, text in _OF_REQUESTS.items())
    responses = operation["responses"]
    responses["200"] = {**responses["200"], "headers": header_fields(*sorted(names))}
    responses["202"] = _job("The job, whose answer comes later", "Location", "Preference-Applied", "Idempotency-Replayed", "Retry-After")
    responses["303"] = _ELSEWHERE
    operation["requestBody"]["content"][REFERENCE] = {"schema": ref("UploadReference")}
    return operation


def _in_header(name: str, description: str) -> dict[str, Any]:
    found = {"name": name, "in": "header", "required": False, "schema": _TEXT, "description": description}
    return found | ({"example": "respond-async"} if name == "Prefer" else {})


def _in_query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def header_fields(*names: str) -> dict[str, Any]:
    """Header fields of a response, by their names."""
    return {name: {"description": _OF_RESPONSES[name], "schema": _TEXT} for name in names}


def _json(schema: str, description: str, *headers: str) -> dict[str, Any]:
    return {"description": description, "headers": header_fields(*headers), "content": {"application/json": {"schema": ref(schema)}}}


def _job(description: str, *headers: str) -> dict[str, Any]:
    return _json("Job", description, *headers) | {"links": _LINKED}


# Where the id of an answer can be used.
_LINKED = {
    name: {"operationRef": f"#/paths/~1jobs~1{{id}}{path}/{method}", "parameters": {"id": "$response.body#/id"}}
    for name, path, method in (
        ("job", "", "get"),
        ("result", "~1result", "get"),
        ("deliveries", "~1deliveries", "get"),
        ("cancel", "", "delete"),
    )
}
_ELSEWHERE = {
    "description": "The result is larger than a response may be: where it can be downloaded",
    "headers": header_fields("Location"),
}
_RESPONSES: dict[str, dict[str, Any]] = {
    "jobs:index": {"200": _json("JobList", "The jobs, and what to send as after for those before them")},
    "jobs:show": {"200": _job("The job", "Retry-After")},
    "jobs:cancel": {"200": _job("The job, cancelled, be it now or before")},
    "jobs:result": {"200": {"description": "The answer of the synchronous call", "content": _ANYTHING}, "303": _ELSEWHERE},
    "jobs:deliveries": {"200": _json("DeliveryList", "The job's webhook and the attempts to send it; empty as long as none is due")},
    "uploads:create": {"201": _json("Upload", "Where to send the bytes, and the reference to predict with")},
    "uploads:receive": {"200": {"description": "The bytes are kept; no body", "content": {"text/plain": {"schema": {"const": ""}}}}},
    "uploads:send": {"200": {"description": "The result", "content": _ANYTHING}},
}
_QUERIES: dict[str, dict[str, dict[str, Any]]] = {
    "jobs:index": {
        "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
        "after": {"type": "string", "pattern": _MARK},
    },
}
_BODIES: dict[str, dict[str, Any]] = {
    "uploads:create": {"application/json": {"schema": ref("UploadRequest")}},
    "uploads:receive": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}
