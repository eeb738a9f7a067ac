"""What can happen to a request to AWS, for :meth:`tests.jobs.aws_server.AwsServer.fail`."""

import io
import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.jobs.aws_server import Application, Environ, Fault, StartResponse

# A hung request ends with its connection, and with this at the latest.
_LONGEST_S = 30.0


def refusal(status: int, code: str, message: str = "", **members: Any) -> Fault:
    """An error in the words of DynamoDB and SQS."""
    return answer(status, json.dumps({"__type": f"com.amazonaws#{code}", "message": message, **members}))


def s3_refusal(status: int, code: str, message: str = "") -> Fault:
    """An error in the words of S3."""
    return answer(status, f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>")


def answer(status: int, text: str) -> Fault:
    """Any answer, without asking moto."""

    def fault(moto: Application, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response(f"{status} Fault", [("content-length", str(len(text.encode())))])
        return [text.encode()]

    return fault


def dropped(moto: Application, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The connection ends before anything was done, as one does that was idle for too long."""
    _hang_up(environ)
    return []


def lost(moto: Application, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """What was asked is done, and the connection ends before the answer."""
    _whole(moto, environ)
    _hang_up(environ)
    return []


def done_and_refused(status: int, code: str, act: Callable[[], object] = object) -> Fault:
    """What was asked is done, something else may happen then, and an error is answered."""

    def fault(moto: Application, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        _whole(moto, environ)
        act()
        return refusal(status, code)(moto, environ, start_response)

    return fault


def late(seconds: float) -> Fault:
    """moto is asked only after so long, and not at all where the caller has hung up by then."""

    def fault(moto: Application, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        connection = environ["werkzeug.socket"]
        connection.settimeout(seconds)
        try:
            connection.recv(1)
        except TimeoutError:
            connection.settimeout(None)
            return moto(environ, start_response)
        _hang_up(environ)
        return []

    return fault


silent = late(_LONGEST_S)


def truncated(moto: Application, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The connection ends in the middle of the body."""
    status, headers, body = _whole(moto, environ)
    start_response(status, headers)

    def half() -> Iterator[bytes]:
        yield body[: len(body) // 2]
        _hang_up(environ)

    return half()


def changed(moto: Application, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """One byte of the body is another on its way."""
    status, headers, body = _whole(moto, environ)
    start_response(status, headers)
    return [bytes([body[0] ^ 1]), body[1:]]


def with_header(name: str, value: str) -> Fault:
    """The answer has another value in a header."""

    def fault(moto: Application, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        status, headers, body = _whole(moto, environ)
        start_response(status, [*(item for item in headers if item[0].lower() != name), (name, value)])
        return [body]

    return fault


def byte_by_byte(moto: Application, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The body comes so slowly that no time-out of a socket ends it."""
    status, headers, body = _whole(moto, environ)
    start_response(status, headers)

    def drops() -> Iterator[bytes]:
        pause = threading.Event()
        for place in range(len(body)):
            pause.wait(0.05)
            yield body[place : place + 1]

    return drops()


def edited(request: Callable[[Any], Any], response: Callable[[Any], Any]) -> Fault:
    """moto is asked something else, and answers something else: both JSON objects go through a function."""

    def fault(moto: Application, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        asked = json.dumps(request(json.loads(environ["wsgi.input"].getvalue()))).encode()
        environ["wsgi.input"] = io.BytesIO(asked)
        environ["CONTENT_LENGTH"] = str(len(asked))
        *_, body = _whole(moto, environ)
        return answer(200, json.dumps(response(json.loads(body))))(moto, environ, start_response)

    return fault


def meanwhile(act: Callable[[], object]) -> Fault:
    """Something happens after moto has answered and before the caller hears of it."""

    def fault(moto: Application, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        status, headers, body = _whole(moto, environ)
        act()
        start_response(status, headers)
        return [body]

    return fault


def _whole(moto: Application, environ: Environ) -> tuple[str, list[tuple[str, str]], bytes]:
    started: list[Any] = []
    body = b"".join(moto(environ, lambda status, headers, *_: started.extend((status, headers))))
    status, headers = started
    return status, headers, body


def _hang_up(environ: Environ) -> None:
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
