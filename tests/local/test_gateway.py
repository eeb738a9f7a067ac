"""The gateway over real HTTP, before a function of the test's."""

import base64
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from local.emulator import EventTooLarge, InvokeFailed, TookTooLong
from local.gateway import Gateway
from local.limits import API_BODY_BYTES
from local.moto_server import serve
from local.routes import Route, Routes

ROUTES = Routes([Route("POST", "/models/{name}/predict"), Route("ANY", "/v2/{proxy+}")])
EVERY_BYTE = bytes(range(256))
OK = {"statusCode": 200, "headers": {}, "body": "", "isBase64Encoded": False}


class Function:
    """Keeps the events that it is given, and does as it is told."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.does: Callable[[dict[str, Any]], Any] = lambda event: OK

    def __call__(self, event: dict[str, Any]) -> Any:
        self.events.append(event)
        return self.does(event)


@pytest.fixture
def function() -> Function:
    """The function."""
    return Function()


@pytest.fixture
def said() -> list[str]:
    """What the gateway says."""
    return []


@pytest.fixture
def api(function: Function, said: list[str]) -> Iterator[httpx.Client]:
    """A client of the gateway."""
    server = serve(Gateway(ROUTES, function, said.append), "127.0.0.1", 0)
    with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}", timeout=30) as client:
        yield client
    server.shutdown()
    server.server_close()


def test_a_request_is_an_event(api: httpx.Client, function: Function) -> None:
    """Method, path as it was sent, query, headers in lower case, cookies beside them, and the route with its names."""
    headers = [("X-Two", "a"), ("x-two", "b"), ("Cookie", "a=1; b=2")]
    api.post("/models/a%20b/predict?x=1&y=%2F", headers=headers, json={"inputs": 1})
    (event,) = function.events

    assert ("2.0", "/models/a%20b/predict", "x=1&y=%2F") == (event["version"], event["rawPath"], event["rawQueryString"])
    assert "POST /models/{name}/predict" == event["routeKey"] == event["requestContext"]["routeKey"]
    assert {"name": "a%20b"} == event["pathParameters"]
    assert "POST" == event["requestContext"]["http"]["method"]
    assert ["a=1", "b=2"] == event["cookies"]
    assert "cookie" not in event["headers"]
    assert "a,b" == event["headers"]["x-two"]
    assert ('{"inputs":1}', False) == (event["body"], event["isBase64Encoded"])


@pytest.mark.parametrize("kind", ["application/octet-stream", "application/x-www-form-urlencoded", "text/csv; charset=x", ""])
def test_bytes_come_in_base64(api: httpx.Client, function: Function, kind: str) -> None:
    """What is no text, by its type or by its bytes, is in an event as base64, and comes back from it to the last byte."""
    function.does = lambda event: OK | {"body": event["body"], "isBase64Encoded": event["isBase64Encoded"]}
    answer = api.post("/v2/echo", content=EVERY_BYTE, headers={"content-type": kind} if kind else {})

    assert function.events[0]["isBase64Encoded"] is True
    assert EVERY_BYTE == base64.b64decode(function.events[0]["body"])
    assert EVERY_BYTE == answer.content


def test_a_body_in_chunks(api: httpx.Client, function: Function) -> None:
    """A body without a length is read to its end."""
    api.post("/v2/echo", content=iter([b"ab", b"c"]), headers={"content-type": "text/plain"})

    assert "abc" == function.events[0]["body"]


def test_an_answer_is_http(api: httpx.Client, function: Function) -> None:
    """Status, headers and cookies are passed on; what the connection is about is not."""
    function.does = lambda event: (
        OK
        | {
            "statusCode": 202,
            "headers": {"Location": "/jobs/1", "Content-Length": "99", "Connection": "upgrade"},
            "cookies": ["a=1", "b=2"],
            "body": "ä",
        }
    )
    answer = api.get("/v2/x")

    assert (202, "/jobs/1", "ä".encode()) == (answer.status_code, answer.headers["location"], answer.content)
    assert ["a=1", "b=2"] == answer.headers.get_list("set-cookie")
    assert "upgrade" != answer.headers.get("connection")


def test_what_has_no_status_is_the_body(api: httpx.Client, function: Function) -> None:
    """API Gateway makes an answer of whatever the function returns."""
    function.does = lambda event: {"warm": True}

    assert (200, {"warm": True}) == ((answer := api.get("/v2/x")).status_code, answer.json())


def raising(error: Exception) -> Callable[[Any], Any]:
    def does(event: Any) -> Any:
        raise error

    return does


@pytest.mark.parametrize(
    ("does", "status", "message"),
    [
        (raising(InvokeFailed("secret")), 500, "Internal Server Error"),
        (raising(TookTooLong()), 503, "Service Unavailable"),
        (raising(EventTooLarge()), 413, "Request Entity Too Large"),
        (lambda event: {"statusCode": "many"}, 500, "Internal Server Error"),
        (lambda event: {"statusCode": 200, "body": "no base64!", "isBase64Encoded": True}, 500, "Internal Server Error"),
    ],
)
def test_answers_of_its_own(api: httpx.Client, function: Function, does: Callable[[Any], Any], status: int, message: str) -> None:
    """A function that fails, takes too long, or answers what is none, is answered for in API Gateway's words, which tell nothing of it."""
    function.does = does
    answer = api.get("/v2/x")

    assert (status, {"message": message}) == (answer.status_code, answer.json())


def test_what_has_no_route_reaches_no_function(api: httpx.Client, function: Function) -> None:
    """A path or method that the template does not have is 404 without an event."""
    assert [404, 404] == [api.get("/").status_code, api.get("/models/x/predict").status_code]
    assert [] == function.events


def test_the_largest_body(api: httpx.Client, function: Function) -> None:
    """Ten megabytes are taken, and one byte more is not; the connection can be used again."""
    codes = [api.post("/v2/x", content=b" " * size).status_code for size in (API_BODY_BYTES, API_BODY_BYTES + 1, 1)]

    assert [200, 413, 200] == codes
    assert 2 == len(function.events)


def test_the_longest_headers(api: httpx.Client, function: Function) -> None:
    """Headers of more than ten kilobytes are refused."""
    assert 431 == api.get("/v2/x", headers={"x-long": "a" * 10_240}).status_code


def test_a_line_for_each_request(api: httpx.Client, said: list[str]) -> None:
    """Method, path and status are said; the query is not, which may hold what is nobody's business."""
    api.get("/v2/x?key=secret")
    (line,) = said

    assert line.startswith("GET /v2/x 200 ")
    assert "secret" not in line


def test_nothing_but_head_goes_without_a_body(api: httpx.Client, function: Function) -> None:
    """HEAD is answered with the length alone."""
    function.does = lambda event: OK | {"body": "abc"}
    address = (api.base_url.host, api.base_url.port)
    with socket.create_connection(address, 10) as raw:  # type: ignore[arg-type]
        raw.sendall(b"HEAD /v2/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        read = b""
        while part := raw.recv(4096):
            read += part

    assert b"content-length: 3" in read
    assert read.endswith(b"\r\n\r\n")
