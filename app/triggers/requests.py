"""What a record asks: a request of any dialect, told by the record's attributes, or by the members of its JSON where it has none."""

import binascii
import functools
import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import orjson

from app.codecs import CSV, DIALECTS, JSON, LINES, NPY, NPZ, json_text, media_types
from app.errors import Invalid, Unreadable
from app.prediction import PredictionRequest
from app.triggers.records import Record, Times

# Attributes of a record, in small letters. What else it has (traces, say) is passed over.
_MODEL, _VERSION, _DIALECT, _TYPE, _ACCEPT = "model", "version", "dialect", "content-type", "accept"
_REPLY_TO, _CORRELATION, _ENCODING = "reply-to", "correlation-id", "content-transfer-encoding"
_IN_THE_BODY = frozenset((_DIALECT, _TYPE, _ENCODING))
# Members of our JSON beside the request's own: the route, which over HTTP stands in the path.
_ROUTE = ("model", "version")
_REFERENCE = frozenset({"s3", "version_id", "content_type", "accept", "id", *_ROUTE})
_NAMES = re.compile(rb'"(?:model|version|s3|id)"')
_PLAIN = frozenset({"inputs", "instances", "id", *_ROUTE})
_MOST_PLAIN = 4096
_LONGEST_ID = 256


class Reference(NamedTuple):
    """An object that is the body: ``s3://bucket/key``, and its version where that was told."""

    uri: str
    version_id: str = ""


class Asked(NamedTuple):
    """A request; ``reply_to`` is where its result goes, empty for the usual place. With a reference it has no body yet."""

    request: PredictionRequest
    reply_to: str = ""
    correlation_id: str = ""
    reference: Reference | None = None


class Alike(NamedTuple):
    """What plain records may have in common, so that they are answered together."""

    model: str | None
    version: str | None
    accept: str | None
    reply_to: str
    form: Literal["columns", "rows"]


# Made once for all records that have it in common.
_alike = functools.lru_cache(maxsize=256)(Alike)


class Plain(NamedTuple):
    """A record of nothing but rows, parsed."""

    alike: Alike
    rows: list[Any]
    id: str | None
    correlation_id: str


def plain_of(record: Record) -> Plain | None:
    """The rows of a record that is small and plain; None for any other, which is not wrong by that.

    An object's keys and texts have two quotes each: where there are more, a key stands twice, or a text is among the numbers.
    """
    body, attributes = record.body, record.attributes
    if record.refused or len(body) > _MOST_PLAIN or not _IN_THE_BODY.isdisjoint(attributes):
        return None
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if type(document) is not dict or not document.keys() <= _PLAIN or ("inputs" in document) == ("instances" in document):
        return None
    form: Literal["columns", "rows"] = "columns" if "inputs" in document else "rows"
    rows = document["inputs"] if form == "columns" else document["instances"]
    quotes = body.count('"') if isinstance(body, str) else body.count(b'"')
    if type(rows) is not list or quotes != 2 + 4 * (len(document) - 1):
        return None
    # One that is no text cannot be told from the others, and is the strict way's to refuse.
    if not all(type(document.get(member, "")) is str for member in ("id", *_ROUTE)) or len(document.get("id", "")) > _LONGEST_ID:
        return None
    name = document.get("id")
    model, version = document.get("model") or attributes.get(_MODEL), document.get("version") or attributes.get(_VERSION)
    alike = _alike(model, version, attributes.get(_ACCEPT), attributes.get(_REPLY_TO, ""), form)
    return Plain(alike, rows, name, attributes.get(_CORRELATION) or name or "")


def asked_of(record: Record, times: Times) -> Asked:
    """The request of a record.

    :raises Unreadable: where it is none.
    :raises Invalid: for an attribute or a member that is not what it should be.
    """
    if record.refused is not None:
        raise record.refused
    attributes = record.attributes
    dialect, content_type = attributes.get(_DIALECT, "predict"), attributes.get(_TYPE, JSON)
    if dialect not in DIALECTS:
        raise Invalid(f"The attribute dialect is '{dialect[:40]}', but takes one of {', '.join(DIALECTS)}.")
    body = _body(record.body, attributes.get(_ENCODING, ""))
    request = PredictionRequest(
        body,
        attributes.get(_MODEL),
        attributes.get(_VERSION),
        dialect,
        content_type,
        attributes.get(_ACCEPT),
        id=record.id,
        deadline=times.run,
    )
    asked = Asked(request, attributes.get(_REPLY_TO, ""), attributes.get(_CORRELATION, ""))
    ours = dialect == "predict" and media_types.parse(content_type)[0] == JSON
    if ours and _NAMES.search(body):
        return _with_route(asked, json_text.checked(body))
    return asked._replace(request=_with_model_of_body(request)) if dialect == "openai" else asked


def _body(body: str | bytes, encoding: str) -> bytes:
    if encoding.lower() not in {"", "base64"}:
        raise Invalid(f"The attribute {_ENCODING} is '{encoding[:40]}', but takes base64 only.")
    try:
        found = body.encode() if isinstance(body, str) else body
        return b64decode(found, validate=True) if encoding else found
    except binascii.Error as error:
        raise Unreadable(f"The body is not base64, which its attribute {_ENCODING} says it is.") from error
    except UnicodeEncodeError as error:
        raise Unreadable("The body holds half of a surrogate pair, which no text in UTF-8 can have.") from error


def _with_route(asked: Asked, document: Any) -> Asked:
    """The route out of our JSON, which does not reach the codec; an attribute says the same, where it is not in the body."""
    if type(document) is not dict:
        return asked
    if "s3" in document:
        return _referring(asked, document)
    asked = asked._replace(correlation_id=asked.correlation_id or _named(document))
    if document.keys().isdisjoint(_ROUTE):
        return asked
    model, version = (_text(document, name) for name in _ROUTE)
    rest = orjson.dumps({name: value for name, value in document.items() if name not in _ROUTE})
    request = asked.request._replace(body=rest, model=model or asked.request.model, version=version or asked.request.version)
    return asked._replace(request=request)


def _referring(asked: Asked, document: Mapping[str, Any]) -> Asked:
    for name in document:
        if name not in _REFERENCE:
            raise Invalid(f"A reference to S3 has the unknown member '{name[:64]}'; known are {', '.join(sorted(_REFERENCE))}.", pointer="")
    uri, version_id = _text(document, "s3") or "", _text(document, "version_id") or ""
    if not re.fullmatch(r"s3://[^/]+/.+", uri, re.DOTALL):
        raise Invalid('"s3" must be the address of an object: s3://bucket/key.', pointer="/s3")
    request = asked.request._replace(
        body=b"",
        model=_text(document, "model") or asked.request.model,
        version=_text(document, "version") or asked.request.version,
        content_type=_text(document, "content_type") or media_types_of(uri),
        accept=_text(document, "accept") or asked.request.accept,
    )
    return Asked(request, asked.reply_to, asked.correlation_id or _named(document), Reference(uri, version_id))


def media_types_of(uri: str) -> str:
    """The media type by a key's suffix; JSON for a suffix that says nothing."""
    suffix = uri.rpartition(".")[2].lower()
    known = {"csv": CSV, "jsonl": LINES, "ndjson": LINES, "npy": NPY, "npz": NPZ, "png": "image/png", "jpg": "image/jpeg"}
    known |= {"jpeg": "image/jpeg", "arrows": "application/vnd.apache.arrow.stream", "parquet": "application/vnd.apache.parquet"}
    return known.get(suffix, JSON)


def _text(document: Mapping[str, Any], name: str) -> str | None:
    value = document.get(name)
    if value is not None and type(value) is not str:
        raise Invalid(f'"{name}" must be a string.', pointer=f"/{name}")
    return value


def _named(document: Mapping[str, Any]) -> str:
    name = document.get("id")
    return name if type(name) is str and len(name) <= _LONGEST_ID else ""


def _with_model_of_body(request: PredictionRequest) -> PredictionRequest:
    """OpenAI's clients name the model in the body."""
    from app.codecs.embeddings import model_of

    return request if request.model else request._replace(model=model_of(request.body) or None)
