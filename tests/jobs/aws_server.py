"""AWS on this machine: moto behind real HTTP, with what moto leaves out and the tests are about.

moto compares no condition and changes nothing atomically between threads, checks no signature of an address and no checksum, and
its time is the machine's. Here DynamoDB's requests follow one another, addresses and checksums are checked as S3 does, and the
queues' time can be moved on. ``faults`` stand in the way of requests.
"""

import atexit
import base64
import datetime as dt
import functools
import hashlib
import hmac
import io
import time
from collections.abc import Callable, Iterable
from urllib.parse import unquote

import moto.sqs.models

from local.moto_server import Application, Environ, Orderly, StartResponse, moto_application, serve

SECRET = "secret"
# A fault answers a request instead of moto, or passes it on.
Fault = Callable[[Application, Environ, StartResponse], Iterable[bytes]]


class AwsServer:
    """moto on a free port. ``faults`` are taken from the front, one a request that ``hits`` them."""

    def __init__(self) -> None:
        self.faults: list[tuple[str, Fault]] = []
        self.requests: list[str] = []
        self.ahead_s = 0.0
        self._moto: Application = moto_application()
        self._orderly = Orderly(self._ask_moto)
        # moto's own clock for queues; the process has one server.
        moto.sqs.models.unix_time_millis = lambda: self.now() * 1000
        self._server = serve(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        atexit.register(self._server.shutdown)

    def now(self) -> float:
        """The time of the queues and of addresses."""
        return time.time() + self.ahead_s

    def fail(self, operation: str, *faults: Fault) -> None:
        """Let these happen to the next requests of an operation, one each."""
        self.faults += [(operation, fault) for fault in faults]

    def asked(self, operation: str) -> int:
        """How often an operation was asked for."""
        return self.requests.count(operation)

    def _answer(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        environ["wsgi.input_terminated"] = True
        operation = operation_of(environ)
        self.requests.append(operation)
        for number, (hit, fault) in enumerate(self.faults):
            if hit == operation:
                del self.faults[number]
                return fault(self._pass_on, environ, start_response)
        return self._pass_on(environ, start_response)

    def _pass_on(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if refusal := refused_by_s3(environ, self.now()):
            text = f"<Error><Code>{refusal}</Code></Error>".encode()
            start_response("403 Forbidden" if refusal != "BadDigest" else "400 Bad Request", [("content-length", str(len(text)))])
            return [text]
        return self._orderly(environ, start_response)

    def _ask_moto(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        # What stands before moto is changed by tests.
        return self._moto(environ, start_response)


@functools.cache
def aws_server() -> AwsServer:
    """The server of this process."""
    return AwsServer()


def operation_of(environ: Environ) -> str:
    """What a request asks for: the operation's name, or of S3 the method (``GET ?list-type`` is a listing)."""
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        return str(target.rpartition(".")[2])
    listing = "?list-type" if "list-type=" in environ.get("QUERY_STRING", "") else ""
    return f"{environ['REQUEST_METHOD']}{listing}"


def refused_by_s3(environ: Environ, now: float) -> str:
    """The code with which S3 refuses a request whose checksum or address is not right; empty where they are.

    "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)" and "Checking object integrity".
    """
    pairs = [pair.split("=", 1) for pair in environ.get("QUERY_STRING", "").split("&") if "=" in pair]
    query = {name: unquote(value) for name, value in pairs}
    if "X-Amz-Signature" not in query:
        return _wrong_digest(environ)
    made = dt.datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%S%z").timestamp()
    if now >= made + int(query["X-Amz-Expires"]):
        return "AccessDenied"
    signed = query["X-Amz-SignedHeaders"].split(";")
    headers = {name.removeprefix("HTTP_").replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    headers["content-length"] = environ.get("CONTENT_LENGTH", "")
    if any(name.startswith("x-amz-") and name not in signed for name in headers):
        return "AccessDenied"
    asked = "&".join(sorted("=".join(pair) for pair in pairs if pair[0] != "X-Amz-Signature"))
    canonical = [f"{name}:{headers.get(name, '').strip()}\n" for name in signed]
    path = environ["RAW_URI"].partition("?")[0]
    text = "\n".join([environ["REQUEST_METHOD"], path, asked, "".join(canonical), ";".join(signed), "UNSIGNED-PAYLOAD"])
    right = hmac.compare_digest(_signature(query, text), query["X-Amz-Signature"])
    return _wrong_digest(environ) if right else "SignatureDoesNotMatch"


def _wrong_digest(environ: Environ) -> str:
    announced = environ.get("HTTP_X_AMZ_CHECKSUM_SHA256")
    digest = hashlib.sha256(environ["wsgi.input"].getvalue()).digest()
    return "BadDigest" if announced and base64.b64encode(digest).decode() != announced else ""


def _signature(query: dict[str, str], canonical: str) -> str:
    _, *scope = query["X-Amz-Credential"].split("/")
    key = f"AWS4{SECRET}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", query["X-Amz-Date"], "/".join(scope), digest])
    return hmac.digest(key, text.encode(), "sha256").hex()
