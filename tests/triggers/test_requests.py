"""What a record asks, in each way in which it can say so."""

import base64
import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Invalid, Problem, Unreadable
from app.triggers.records import Record, Times
from app.triggers.requests import Alike, Reference, asked_of, plain_of

TIMES = Times(time.monotonic() + 60, time.monotonic() + 65)
ROWS = [[1.5, 2.5]]


def record(body: Any, **attributes: str) -> Record:
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    return Record("r", "sqs", text, {name.replace("_", "-"): value for name, value in attributes.items()})


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (record({"inputs": ROWS}), Alike(None, None, None, "", "columns")),
        (record({"instances": ROWS}), Alike(None, None, None, "", "rows")),
        (record({"model": "m", "version": "2", "inputs": ROWS}), Alike("m", "2", None, "", "columns")),
        (record({"inputs": ROWS}, model="m", version="2", accept="text/csv"), Alike("m", "2", "text/csv", "", "columns")),
        (record({"model": "m", "inputs": ROWS}, model="other", traceparent="00"), Alike("m", None, None, "", "columns")),
        (record({"inputs": ROWS}, reply_to="https://queue"), Alike(None, None, None, "https://queue", "columns")),
    ],
)
def test_plain_records(asked: Record, expected: Alike) -> None:
    """A record of nothing but rows is read once, and what it has in common with others is told by its route, form and places."""
    found = plain_of(asked)

    assert found is not None
    assert (expected, ROWS) == (found.alike, found.rows)


@pytest.mark.parametrize(
    "asked",
    [
        record(""),
        record("{"),
        record("null"),
        record([1]),
        record({}),
        record({"inputs": {"x": ROWS}}),
        record({"inputs": ROWS, "instances": ROWS}),
        record({"inputs": ROWS, "parameters": {}}),
        record({"inputs": [["1.5", 2.5]]}),
        record({"inputs": ROWS, "id": 7}),
        record({"inputs": ROWS, "model": None}),
        record({"inputs": ROWS, "model": ["m"]}),
        record({"inputs": ROWS, "version": {"1": 1}}),
        record({"inputs": ROWS, "id": ["flower"]}),
        record({"inputs": ROWS, "id": "f" * 257}),
        record('{"inputs":[[1]],"inputs":[[2]]}'),
        record('{"inputs":[[1]],"\\u0069nputs":[[2]]}'),
        record({"s3": "s3://bucket/key"}),
        record({"inputs": ROWS}, dialect="open_inference"),
        record({"inputs": ROWS}, content_type="text/csv"),
        record({"inputs": ROWS}, content_transfer_encoding="base64"),
        record({"inputs": [[1.5] * 2000]}),
        record(b"\xff"),
        record('{"inputs":[[1.5]]}')._replace(refused=Unreadable("no")),
    ],
)
def test_all_other_records(asked: Record) -> None:
    """Whatever is more than plain rows, or wrong, is left to the strict way."""
    assert plain_of(asked) is None


def test_our_json_tells_its_route() -> None:
    """``model`` and ``version`` in our JSON are the route, as in direct invokes, and do not reach the codec; they win over attributes."""
    found = asked_of(record({"model": "m", "version": "2", "inputs": {"x": ROWS}, "id": "mine"}, model="other", correlation_id="c"), TIMES)

    assert ("m", "2", "predict", "application/json", TIMES.run) == (
        found.request.model,
        found.request.version,
        found.request.dialect,
        found.request.content_type,
        found.request.deadline,
    )
    assert {"inputs": {"x": ROWS}, "id": "mine"} == json.loads(found.request.body)
    assert "c" == found.correlation_id


def test_any_dialect_by_attributes() -> None:
    """Attributes name dialect, content type and what is accepted; the body stays as it was sent."""
    sent = b'{"inputs": [],   "model": 1}'
    found = asked_of(record(sent, dialect="open_inference", model="m", accept="a/b"), TIMES).request

    assert (sent, "m", "open_inference", "a/b", "r") == (found.body, found.model, found.dialect, found.accept, found.id)


def test_openai_names_its_model_in_the_body() -> None:
    """OpenAI's body names the model, unless an attribute does."""
    body = {"model": "embedder", "input": ["a"]}

    assert "embedder" == asked_of(record(body, dialect="openai"), TIMES).request.model
    assert "other" == asked_of(record(body, dialect="openai", model="other"), TIMES).request.model


def test_binary_bodies_come_in_base64() -> None:
    """A source that carries text only can carry any bytes in base64."""
    sent = bytes(range(256))
    asked = record(base64.b64encode(sent), content_type="application/x-npy", content_transfer_encoding="base64")

    assert sent == asked_of(asked, TIMES).request.body


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://b/a.csv", "text/csv"),
        ("s3://b/x/a.NPY", "application/x-npy"),
        ("s3://b/a.jsonl", "application/jsonl"),
        ("s3://b/a.parquet", "application/vnd.apache.parquet"),
        ("s3://b/a.jpeg", "image/jpeg"),
        ("s3://b/a", "application/json"),
        ("s3://b/a b/ä.json", "application/json"),
    ],
)
def test_references(uri: str, expected: str) -> None:
    """A reference is an address and at most a version; the key's suffix tells the format where the record does not."""
    found = asked_of(record({"s3": uri, "version_id": "v", "model": "m", "id": "mine"}), TIMES)

    assert (Reference(uri, "v"), expected, "m", "mine") == (
        found.reference,
        found.request.content_type,
        found.request.model,
        found.correlation_id,
    )
    assert "text/csv" == asked_of(record({"s3": uri, "content_type": "text/csv"}), TIMES).request.content_type


@pytest.mark.parametrize(
    ("asked", "kind", "words"),
    [
        (record({"inputs": ROWS}, dialect="grpc"), Invalid, "dialect is 'grpc', but takes one of predict, "),
        (record("***", content_transfer_encoding="base64"), Unreadable, "not base64"),
        (record("e30=", content_transfer_encoding="gzip"), Invalid, "takes base64 only"),
        (record("\ud800"), Unreadable, "surrogate"),
        (record({"model": 5, "inputs": ROWS}), Invalid, '"model" must be a string'),
        (record({"version": [], "inputs": ROWS}), Invalid, '"version" must be a string'),
        (record({"s3": 5}), Invalid, '"s3" must be a string'),
        (record({"s3": "http://x/y"}), Invalid, "s3://bucket/key"),
        (record({"s3": "s3://bucket"}), Invalid, "s3://bucket/key"),
        (record({"s3": "s3://b/k", "bucket": "c"}), Invalid, "unknown member 'bucket'"),
        (record('{"model":"a","model":"b","inputs":[]}'), Invalid, "model"),
        (record('{"s3":'), Unreadable, "JSON"),
    ],
)
def test_what_is_wrong_is_named(asked: Record, kind: type[Problem], words: str) -> None:
    """A record that asks wrongly is told what was wrong and what is expected."""
    with pytest.raises(kind) as failure:
        asked_of(asked, TIMES)

    assert words in failure.value.detail


numbers = st.one_of(st.integers(-(10**6), 10**6), st.floats(-1e4, 1e4))
documents = st.dictionaries(
    st.sampled_from(["inputs", "instances", "model", "version", "id", "s3", "x"]),
    st.one_of(st.text(max_size=5), numbers, st.none(), st.lists(st.lists(st.one_of(numbers, st.text(max_size=2)), max_size=3), max_size=3)),
    max_size=4,
)


@given(documents, st.dictionaries(st.sampled_from(["model", "version", "accept"]), st.text(max_size=5), max_size=2))
def test_the_quick_way_agrees_with_the_strict_one(document: dict[str, Any], attributes: dict[str, str]) -> None:
    """Wherever the quick way finds rows, the strict way reads the same route and the same body."""
    asked = Record("r", "sqs", json.dumps(document), attributes)
    found = plain_of(asked)
    if found is None:
        return
    strict = asked_of(asked, TIMES)
    body = json.loads(strict.request.body)

    assert (found.alike.model or None, found.alike.version or None) == (strict.request.model or None, strict.request.version or None)
    assert {"columns": "inputs", "rows": "instances"}[found.alike.form] in body
    assert found.rows == next(body[name] for name in ("inputs", "instances") if name in body)
    assert found.correlation_id == strict.correlation_id


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_any_bytes(body: str | bytes) -> None:
    """Whatever a record holds, reading it ends in a request or in a problem."""
    asked = Record("r", "sqs", body)
    found = plain_of(asked)
    with suppress(Problem):
        assert found is None or asked_of(asked, TIMES).request.body
