"""Small requests that are answered without ASGI get the answer that they get with it."""

import gzip
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.test_http_protocol import answer, answers
from tests.shells import server

JSON = b"Content-Type: application/json\r\n"
ROW = b'{"inputs":[[5.5,3.5,1.5,0.25]]}'
# What differs between two answers to the same request
_CHANGING = re.compile(rb"(?m)^(?:date|x-request-id|server-timing): .*\r\n|\"(?:request_id|id)\":\"[^\"]*\"")


@pytest.fixture(scope="module")
def url(models: Path) -> Iterator[httpx.URL]:
    """A server that is asked for nothing larger than 20 kB."""
    with server(models, fast_lane=True, DEFAULT_MODEL="iris", MAX_BODY_BYTES="20000", REQUEST_TIMEOUT_S="6") as client:
        assert client.get("/openapi.json").is_success
        yield client.base_url


def connect(url: httpx.URL) -> socket.socket:
    return socket.create_connection((url.host, url.port or 0), 10)


def request(target: bytes, body: bytes | None = None, fields: bytes = b"", method: bytes = b"") -> bytes:
    method = method or (b"GET" if body is None else b"POST")
    length = b"" if body is None else b"Content-Length: %d\r\n" % len(body)
    return b"%s %s HTTP/1.1\r\nHost: x\r\n%s%s\r\n%s" % (method, target, fields, length, body or b"")


def exchanged(url: httpx.URL, *parts: bytes) -> bytes:
    """Every byte that comes back for these, sent apart, without what changes from answer to answer."""
    with connect(url) as wire:
        for part in parts:
            wire.sendall(part)
            time.sleep(0.05)
        wire.shutdown(socket.SHUT_WR)
        return _CHANGING.sub(b"", b"".join(iter(lambda: wire.recv(65536), b"")))


REQUESTS = {
    "row": request(b"/predict", ROW, JSON),
    "row of a named model": request(b"/models/iris/predict", ROW, JSON),
    "open inference": request(
        b"/v2/models/iris/infer", b'{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}],"id":"a"}'
    ),
    "binary": request(
        b"/v2/models/identity-float/infer",
        b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4}}]}\x00\x00\x80?',
        b"Inference-Header-Content-Length: 95\r\n",
    ),
    "tensorflow serving": request(b"/v1/models/iris:predict", b'{"instances":[[1,2,3,4]]}', JSON),
    "sagemaker": request(b"/invocations", ROW, JSON + b"X-Amzn-SageMaker-Custom-Attributes: trace=1\r\n"),
    "csv": request(b"/predict", b"1,2,3,4\n", b"Content-Type: text/csv\r\nAccept: text/csv\r\n"),
    "compressed": request(b"/predict", gzip.compress(ROW, mtime=0), JSON + b"Content-Encoding: gzip\r\n"),
    "to be compressed": request(b"/v2", None, b"Accept-Encoding: gzip\r\n"),
    "large answer": request(b"/models/identity-float/predict", b'{"inputs":[%s1]}' % (b"1e9," * 3900), JSON),
    "own id": request(b"/predict", ROW, JSON + b"X-Request-Id: mine\r\n"),
    "no type": request(b"/predict", ROW),
    "wrong type": request(b"/predict", ROW, b"Content-Type: application/xml\r\n"),
    "field twice": request(b"/", None, b"Accept: application/json\r\nAccept: text/html\r\n"),
    "query": request(b"/predict?outputs=output_label", ROW, JSON),
    "escapes": request(b"/models/%69ris/predict", ROW, JSON),
    "absolute": request(b"http://x/models/iris", None),
    "fragment": request(b"/models/iris#part", None),
    "asterisk": request(b"*", None, method=b"OPTIONS"),
    "live": request(b"/health/live"),
    "ready": request(b"/health/ready"),
    "models": request(b"/models"),
    "model": request(b"/models/iris"),
    "head": request(b"/models/iris", None, method=b"HEAD"),
    "head of nothing": request(b"/nothing", None, method=b"HEAD"),
    "body of get": request(b"/health/live", b"anything", method=b"GET"),
    "nothing there": request(b"/nothing"),
    "wrong method": request(b"/predict", None, method=b"DELETE"),
    "no json": request(b"/predict", b'{"inputs"', JSON),
    "no body": request(b"/predict", b"", JSON),
    "wrong shape": request(b"/predict", b'{"inputs":[[1,2]]}', JSON),
    "problem json": request(b"/predict", b"{}", JSON + b"Accept: application/problem+json\r\n"),
    "openai": request(b"/v1/embeddings", b"{}", JSON),
    "too large": request(b"/predict", b" " * 20001, JSON),
    "fastapi": request(b"/openapi.json"),
    "chunks": b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    + JSON
    + b"\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(ROW), ROW),
    "expect": request(b"/predict", ROW, JSON + b"Expect: 100-continue\r\n"),
    "close": request(b"/predict", ROW, JSON + b"Connection: close\r\n"),
    "http 1.0": request(b"/predict", ROW, JSON).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "upgrade": request(b"/predict", ROW, JSON + b"Connection: Upgrade\r\nUpgrade: h2c\r\n"),
    "invalid length": request(b"/predict", ROW, JSON).replace(b"Content-Length: 3", b"Content-Length: +3"),
    "two lengths": request(b"/predict", ROW, JSON + b"Content-Length: 31\r\n"),
    "broken url": request(b"http://[/", None),
}


@pytest.mark.parametrize("sent", REQUESTS.values(), ids=REQUESTS)
def test_the_answer_is_the_same_whichever_way_it_goes(url: httpx.URL, sent: bytes) -> None:
    """A request that is cut in two goes through ASGI; whole, and whole for a second time, it is answered byte for byte as that."""
    cut = sent.find(b"\r\n") + 3
    expected = exchanged(url, sent[:cut], sent[cut:])

    assert b"HTTP/1.1 " == expected[:9]
    assert expected == exchanged(url, sent)
    if b"connection: close" not in expected:
        # The third is answered from a head that is known, which two pipelined requests are not.
        assert expected * 5 == exchanged(url, sent, sent, sent, sent + sent)


@pytest.mark.parametrize(("body", "status"), [(b'{"inputs":"x"}', 422), (b'{"instances":[2000000000]}', 504)])
def test_what_is_not_answered_at_once_is_answered(url: httpx.URL, body: bytes, status: int) -> None:
    """A request that belongs into a thread gets there, for longer than an idle connection stays open; those behind it wait."""
    live = request(b"/health/live")
    with connect(url) as wire:
        wire.sendall(live + request(b"/models/slow/predict", body, JSON) + live)
        wire.shutdown(socket.SHUT_WR)

        assert [200, status, 200] == [each.status_code for each in answers(wire)]


def test_hundreds_of_pipelined_requests_are_answered_in_turn(url: httpx.URL) -> None:
    """Requests of different lengths and paths that arrive together are answered in their order."""
    sent = [request(b"/predict", ROW, JSON + b"X-Request-Id: %d\r\n" % i) if i % 3 else request(b"/models") for i in range(300)]
    with connect(url) as wire:
        wire.sendall(b"".join(sent))
        wire.shutdown(socket.SHUT_WR)

        found = answers(wire)
    assert [200] * 300 == [each.status_code for each in found]
    assert [str(i) for i in range(300) if i % 3] == [each.headers["x-request-id"] for i, each in enumerate(found) if i % 3]


def test_a_known_head_in_a_body_is_no_head(url: httpx.URL) -> None:
    """A piece of a body that looks like a request seen before belongs to the body."""
    live = request(b"/health/live")
    with connect(url) as wire:
        for _ in range(2):
            wire.sendall(live)
            assert 200 == answer(wire).status_code
        # FastAPI answers this before the body is there.
        for sent in (
            request(b"/docs", b"", method=b"POST").replace(b"Length: 0", b"Length: %d" % len(live)),
            request(b"/predict", live, JSON),
        ):
            head, _, body = sent.partition(b"\r\n\r\n")
            wire.sendall(head + b"\r\n\r\n")
            time.sleep(0.1)
            wire.sendall(body or live)
            assert answer(wire).status_code in {400, 405}
        wire.sendall(live)
        assert 200 == answer(wire).status_code


def test_a_client_that_reads_late_gets_every_answer(url: httpx.URL) -> None:
    """Answers that nobody fetches yet keep their order, whether they were written at once or waited for room."""
    with connect(url) as wire:
        for i in range(1500):
            wire.sendall(request(b"/models", None, b"X-Request-Id: %d\r\n" % i))
        wire.shutdown(socket.SHUT_WR)

        assert [str(i) for i in range(1500)] == [each.headers["x-request-id"] for each in answers(wire)]


def test_an_idle_connection_ends_five_seconds_after_its_last_answer(url: httpx.URL) -> None:
    """The time begins anew with each answer."""
    with connect(url) as wire:
        for pause in (1.5, 0):
            wire.sendall(request(b"/health/live"))
            assert 200 == answer(wire).status_code
            time.sleep(pause)
        started = time.monotonic()

        assert b"" == wire.recv(1)
        assert 4 < time.monotonic() - started < 8
