"""Connections of ``serve`` that are not as HTTP clients usually are, byte by byte."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import httpx
import pytest

from tests.problems import check_problem
from tests.shells import server

ROW = b'{"instances":[5.5,3.5,1.5,0.25]}'
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"


@pytest.fixture(scope="module")
def url(models: Path) -> Iterator[httpx.URL]:
    """A server whose requests' heads may take two seconds."""
    with server(models, fast_lane=True, REQUEST_TIMEOUT_S="2") as client:
        yield client.base_url


@pytest.fixture
def wire(url: httpx.URL) -> Iterator[socket.socket]:
    """A connection."""
    with socket.create_connection((url.host, url.port or 0), 10) as connection:
        yield connection


def post(body: bytes = ROW, fields: bytes = b"") -> bytes:
    head = b"POST /models/identity-float/predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return head + fields + b"Content-Length: %d\r\n\r\n" % len(body) + body


def answer(wire: socket.socket) -> httpx.Response:
    """The next answer; the connection gives nothing beyond it unless requests were pipelined."""
    response = HTTPResponse(wire)
    response.begin()
    return httpx.Response(response.status, headers=response.getheaders(), content=response.read())


def answers(wire: socket.socket) -> list[httpx.Response]:
    """Every answer until the server ends the connection."""
    rest = b"".join(iter(lambda: wire.recv(65536), b""))
    found = []
    while rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:])
        length = int({name.lower(): value for name, value in headers.items()}["content-length"])
        found.append(httpx.Response(int(lines[0].split()[1]), headers=headers, content=rest[:length]))
        rest = rest[length:]
    return found


def check_answered(response: httpx.Response) -> None:
    assert 200 == response.status_code, response.text
    assert [5.5, 3.5, 1.5, 0.25] == response.json()["predictions"]


@pytest.mark.parametrize(
    "fields", [H2C, H2C.upper().replace(b"AAMAAABKAAQCAAAAAAIAAAAA", b"x"), b"connection: upgrade\r\nupgrade: websocket\r\n"]
)
@pytest.mark.parametrize("cut", [None, 5, 100, 150, 190, -20])
def test_an_offered_upgrade_is_ignored(wire: socket.socket, fields: bytes, cut: int | None) -> None:
    """The body of a request that offers another protocol is read, however its packets are cut, and the connection goes on."""
    request = post(fields=fields)
    for _ in range(2):
        for part in (request[:cut], request[cut:]) if cut else (request,):
            wire.sendall(part)
            time.sleep(0.02)
        check_answered(answer(wire))
    wire.sendall(post())
    check_answered(answer(wire))


def test_offered_upgrades_are_ignored_in_pipelined_requests(wire: socket.socket) -> None:
    """Each of several requests in one packet is answered in turn; the word in a body is left alone."""
    chunked = b"POST /models/identity-float/predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n" + H2C
    chunked += b"Content-Type: application/json\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(ROW), ROW)
    text = b'{"instances":"\\nUpgrade: h2c"}'
    wire.sendall(post(fields=H2C) + chunked + post(text) + b"GET /health/live HTTP/1.1\r\nHost: x\r\n" + H2C + b"\r\n" + post(fields=H2C))
    wire.shutdown(socket.SHUT_WR)
    first, second, third, fourth, fifth = answers(wire)

    for response in (first, second, fifth):
        check_answered(response)
    assert (422, 200) == (third.status_code, fourth.status_code)


def test_curl_may_offer_http_2(url: httpx.URL, tmp_path: Path) -> None:
    """``curl --http2`` posts over cleartext HTTP, a body of many packets too."""
    file = tmp_path / "body.json"
    for rows in (1, 20_000):
        file.write_text(json.dumps({"instances": [1.5] * rows}))
        command = ["curl", "-s", "--http2", "-w", "%{http_code}", "-o", str(tmp_path / "answer"), "-H", "Content-Type: application/json"]
        command += ["-d", f"@{file}", str(url.join("/models/identity-float/predict"))]

        assert "200" == subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


@pytest.mark.parametrize(
    "request_",
    [
        b"P\x00ST / HTTP/1.1\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 40_000 + b"\r\n",
    ],
    ids=["method token", "unknown method", "content length", "chunk", "prior knowledge", "connect", "path", "header", "headers"],
)
def test_what_is_not_read_is_refused_in_the_one_shape(wire: socket.socket, request_: bytes) -> None:
    """What the parser or a limit refuses is answered as every error is, and the connection ends."""
    wire.sendall(request_)
    (refused,) = answers(wire)

    check_problem(refused, 400, "unreadable-request")
    assert "close" == refused.headers["connection"]


def test_header_fields_without_end_are_refused(wire: socket.socket) -> None:
    """A head that goes on and on is not kept."""
    with pytest.raises(OSError, match=r"reset|pipe"):
        wire.sendall(b"GET / HTTP/1.1\r\nCookie: " + b"a" * (1 << 26))


def test_many_header_fields_are_read(wire: socket.socket) -> None:
    """A head of 60 KB beside a large body in the same packets is within the limit."""
    request = post(b'{"instances":[' + b"1.5," * 50_000 + b"1.5]}", b"Cookie: " + b"a" * 60_000 + b"\r\n")
    for _ in range(2):
        wire.sendall(request)
        assert 200 == answer(wire).status_code


def test_garbage_after_a_request_does_not_cost_its_answer(wire: socket.socket) -> None:
    """A request is answered before the connection ends for what came after it."""
    wire.sendall(post() + b"\x00\x01\x02")
    (answered,) = answers(wire)

    check_answered(answered)


def test_a_half_closed_connection_is_answered(wire: socket.socket) -> None:
    """A client that has no more to send gets its answer, and then the end of the connection."""
    wire.sendall(post())
    wire.shutdown(socket.SHUT_WR)
    started = time.monotonic()
    (answered,) = answers(wire)

    check_answered(answered)
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize("cut", [20, 100, -5])
def test_a_half_closed_connection_with_half_a_request_ends(wire: socket.socket, cut: int) -> None:
    """Half a request is refused as soon as it is known that the rest will not come."""
    wire.sendall(post()[:cut])
    wire.shutdown(socket.SHUT_WR)
    started = time.monotonic()
    (refused,) = answers(wire)

    check_problem(refused, 400, "unreadable-request")
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize("before", [b"", b"\r\n"])
def test_a_silent_connection_is_closed(wire: socket.socket, before: bytes) -> None:
    """A connection that begins no request ends without an answer after the request timeout."""
    started = time.monotonic()
    wire.sendall(before)

    assert [] == answers(wire)
    assert 1.5 < time.monotonic() - started < 5


@pytest.mark.parametrize("before", [b"", post()], ids=["first", "kept alive"])
def test_header_fields_that_never_end_time_out(wire: socket.socket, before: bytes) -> None:
    """A head that is not there after the request timeout is answered 408, on a new connection and on a used one."""
    if before:
        wire.sendall(before)
        check_answered(answer(wire))
    wire.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nA: ")
    (refused,) = answers(wire)

    check_problem(refused, 408, "body-too-slow")
