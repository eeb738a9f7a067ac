"""Results in a bucket: the keys, what is kept beside the bytes, and how it is checked."""

import base64
import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import ResultTooLarge, StoreUnavailable
from app.results.s3_prefix import key_of, safe
from tests.jobs.aws_faults import s3_refusal
from tests.results.worlds import QUEUE_ARN, World, failed, result, some


def test_what_an_object_says(prefix: World) -> None:
    """An object is the answer to the byte, of its content type, with its checksum and what it is of."""
    prefix.sink.put([result("r1", b"[1]")])
    (found,) = prefix.read()

    assert ("answers/r1.json", b"[1]", "application/json") == (found["key"], found["body"], found["ContentType"])
    assert base64.b64encode(hashlib.sha256(b"[1]").digest()).decode() == found["ChecksumSHA256"]
    assert {
        "record-id": "r1",
        "source": QUEUE_ARN,
        "model": "iris",
        "version": "2",
        "digest": "sha256:ab",
        "status": "200",
        "correlation-id": "order%20r1",
    } == found["Metadata"]


SUFFIXES = {
    "application/json; charset=utf-8": "json",
    "application/jsonl": "jsonl",
    "text/csv;header=absent": "csv",
    "application/x-npy": "npy",
    "application/x-npz": "npz",
    "application/vnd.apache.arrow.stream": "arrows",
    "application/vnd.apache.parquet": "parquet",
    "application/vnd.sagemaker-triton.binary+json;json-header-size=2": "bin",
    "": "bin",
}


@pytest.mark.parametrize("content_type", list(SUFFIXES))
def test_a_key_ends_as_its_content_does(content_type: str) -> None:
    """The suffix is that of the content type; of an error it is error.json."""
    assert f"r1.{SUFFIXES[content_type]}" == key_of(result("r1", content_type=content_type))
    assert "r1.error.json" == key_of(failed("r1", content_type=content_type))


def test_the_same_result_has_the_same_key(prefix: World) -> None:
    """A result that is put again is one object, and has what came last."""
    prefix.sink.put(some(3))
    prefix.sink.put([result("r1", b"[2]")])

    assert [b"[2]"] == [found["body"] for found in prefix.read() if found["key"] == "answers/r1.json"]
    assert 3 == len(prefix.read())


IDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@given(IDS, IDS)
def test_ids_make_keys(one: str, other: str) -> None:
    """Whatever an id holds, its key has safe characters, stays under the prefix, is short, and is no other id's."""
    assert re.fullmatch(r"[A-Za-z0-9._-]{0,200}", safe(one))
    assert (one == other) == (safe(one) == safe(other))


@pytest.mark.parametrize(
    ("one", "other"), [("a/b", "a_2Fb"), ("x" * 200, "x" * 201), ("x" * 201, "x" * 202), ("a_b", "a_5Fb"), ("x" * 201, safe("x" * 201))]
)
def test_ids_that_look_alike(one: str, other: str) -> None:
    """An id that is written as another's key would be has a key of its own."""
    assert safe(one) != safe(other)


def test_damage_on_the_way_is_noticed(prefix: World) -> None:
    """Bytes that S3 calls damaged are not kept, and that is told."""
    prefix.server.fail("PUT", *[s3_refusal(400, "BadDigest")] * 9)
    (problem,) = prefix.sink.put([result()])

    assert isinstance(problem, StoreUnavailable)


def test_names_that_are_too_long(prefix: World) -> None:
    """What S3 would not keep beside an object is told with its size and the limit, and hurts nobody."""
    problems = prefix.sink.put([result("r0"), result("r1", correlation_id="ä" * 400)])

    assert problems[0] is None
    assert isinstance(problems[1], ResultTooLarge)
    assert "at most 2048" in problems[1].detail
    assert ["r0"] == prefix.ids()


def test_many_objects(prefix: World) -> None:
    """Objects are put several at a time, each once."""
    assert [None] * 60 == prefix.sink.put(some(60))
    assert 60 == len(set(prefix.ids()))
