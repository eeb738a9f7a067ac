"""Content-Encoding of requests and Accept-Encoding of answers."""

import gzip
import json
import time
import tracemalloc
import zlib
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import BodyTooLarge, Unreadable, UnsupportedContentType
from app.http.compression import deflate, inflate
from app.http.message import Request, Response
from app.wiring import wire
from tests.problems import check_problem

ROWS = {"inputs": {"X": [[5.1, 3.5, 1.4, 0.2]] * 100}}
CODINGS = {"gzip": gzip.compress, "x-gzip": gzip.compress, "deflate": zlib.compress}


@pytest.mark.parametrize("coding", CODINGS)
def test_compressed_request(http: httpx.Client, coding: str) -> None:
    """A compressed body is answered as the plain one is."""
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    answer = http.post("/predict", content=CODINGS[coding](json.dumps(ROWS).encode()), headers=headers)

    assert http.post("/predict", json=ROWS).json() == answer.json()


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compressed_answer(http: httpx.Client, coding: str) -> None:
    """A caller who accepts a coding gets the answer in it, smaller and the same."""
    plain = http.post("/predict", json=ROWS, headers={"Accept-Encoding": "identity"})
    with http.stream("POST", "/predict", json=ROWS, headers={"Accept-Encoding": f"{coding};q=0.9, br"}) as answer:
        raw = b"".join(answer.iter_raw())

    assert coding == answer.headers["content-encoding"]
    assert "Accept-Encoding" == answer.headers["vary"]
    assert len(raw) < len(plain.content) / 2
    assert plain.content == zlib.decompress(raw, 31 if coding == "gzip" else 15)


@pytest.mark.parametrize("accept", ["identity", "br", "gzip;q=0", "gzip;q=0.2, identity;q=0.8", ""])
def test_answers_that_stay_plain(fast: httpx.Client, accept: str) -> None:
    """A caller who does not accept gzip, or likes none better, gets the answer as it is."""
    answer = fast.post("/predict", json=ROWS, headers={"Accept-Encoding": accept})

    assert "content-encoding" not in answer.headers


def test_small_answers_stay_plain(fast: httpx.Client) -> None:
    """An answer that fits into one packet is not compressed."""
    answer = fast.post("/predict", json={"inputs": [[1, 2, 3, 4]]}, headers={"Accept-Encoding": "gzip"})

    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    "kind", ["application/octet-stream", "application/x-npy", "application/vnd.sagemaker-triton.binary+json;json-header-size=9"]
)
@pytest.mark.parametrize(("accept", "compressed"), [("gzip", True), ("deflate", True), ("gzip, deflate", False), ("*", False)])
def test_binary_answers(accept: str, compressed: bool, kind: str) -> None:
    """Raw tensors are compressed only for callers who name one coding: HTTP libraries offer several without being asked."""
    response = Response(200, bytes(10_000), kind)
    deflate(Request("POST", "/", {"accept-encoding": accept}), response)

    assert compressed == ("Content-Encoding" in response.headers)


@pytest.mark.parametrize(
    ("coding", "body", "status", "code", "says"),
    [
        ("br", b"x", 415, "unsupported-content-type", "gzip, deflate"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"{}")), 415, "unsupported-content-type", "gzip, deflate"),
        ("gzip", b"no gzip", 400, "unreadable-request", "not valid gzip"),
        ("gzip", b"", 400, "unreadable-request", "in the middle"),
        ("gzip", gzip.compress(b'{"inputs": [[1, 2, 3, 4]]}')[:-3], 400, "unreadable-request", "in the middle"),
        ("gzip", gzip.compress(b'{"inputs": [[1, 2, 3, 4]]}') + b"trailing", 400, "unreadable-request", "not valid gzip"),
        ("deflate", zlib.compress(b"{}") + b"trailing", 400, "unreadable-request", "8 bytes follow"),
        ("deflate", gzip.compress(b"{}"), 400, "unreadable-request", "not valid deflate"),
        ("gzip", gzip.compress(bytes(70 * 1024 * 1024), 1), 413, "body-too-large", "decompressed"),
    ],
)
def test_refused(http: httpx.Client, coding: str, body: bytes, status: int, code: str, says: str) -> None:
    """What is not what its coding says is refused with the reason, and the next request is answered."""
    answer = http.post("/predict", content=body, headers={"Content-Type": "application/json", "Content-Encoding": coding})
    problem = check_problem(answer, status, code)

    assert says in problem["detail"]
    assert (status != 415) or "gzip, deflate" == answer.headers["accept-encoding"]
    assert 200 == http.post("/predict", json=ROWS).status_code


def test_members(fast: httpx.Client) -> None:
    """A gzip body of several members is their contents in a row."""
    body = json.dumps(ROWS).encode()
    parts = gzip.compress(body[:50]) + gzip.compress(b"") + gzip.compress(body[50:])
    answer = fast.post("/predict", content=parts, headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})

    assert 200 == answer.status_code, answer.text


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_bomb_takes_no_more_than_the_limit(coding: str) -> None:
    """Decompression stops at the limit: a thousandfold bomb does not take a thousandfold memory."""
    limit = 1024 * 1024
    request = Request("POST", "/", {"content-encoding": coding}, body=CODINGS[coding](bytes(256 * limit)))
    tracemalloc.start()
    with pytest.raises(BodyTooLarge):
        inflate(request, limit)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 6 * limit


@given(st.binary(max_size=2000), st.sampled_from(sorted(CODINGS)))
def test_round_trip_at_the_limit(body: bytes, coding: str) -> None:
    """A body of exactly the limit passes, and one byte more does not."""
    packed = CODINGS[coding](body)
    request = Request("POST", "/", {"content-encoding": coding}, body=packed)
    inflate(request, len(body))
    assert body == request.body

    if body:
        with pytest.raises(BodyTooLarge):
            inflate(Request("POST", "/", {"content-encoding": coding}, body=packed), len(body) - 1)


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate", "br", "gzip, deflate", ""]))
def test_any_bytes(body: bytes, coding: str) -> None:
    """Bytes that are no compressed data end in a problem of ours, nothing else, and are left as they came."""
    request = Request("POST", "/", {"content-encoding": coding}, body=body)
    try:
        inflate(request, 10_000)
    except (Unreadable, BodyTooLarge, UnsupportedContentType):
        assert (body, coding) == (request.body, request.headers["content-encoding"])
    else:
        assert len(request.body) <= 10_000
        assert coding or body == request.body


def test_many_empty_members_take_no_longer_than_their_bytes() -> None:
    """A body of empty gzip members, which cost nothing to send, is refused after a bounded number of them."""
    request = Request("POST", "/", {"content-encoding": "gzip"}, body=gzip.compress(b"") * 100_000)
    with pytest.raises(Unreadable, match="members"):
        inflate(request, 10_000)


def test_a_request_that_is_tried_twice_is_inflated_once(models: Path) -> None:
    """A compressed request whose first, impatient try is given up is answered by the second, and counted once."""
    program = wire({"MODEL_DIR": str(models), "PRELOAD_MODELS": "slow"})
    body = json.dumps({"inputs": {"times": 20_000}}).encode()
    request = Request(
        "POST", "/models/slow/predict", {"content-type": "application/json", "content-encoding": "gzip"}, body=gzip.compress(body)
    )
    request.deadline = time.monotonic() + 0.005

    assert program.application.handle(request, patient=False) is None
    request.deadline = None
    assert 200 == program.application.handle(request).status
    statistics = program.repository.get("slow").statistics
    assert (1, 0) == (statistics.successes, statistics.failures)
