"""What AWS puts before the program, as far as clients notice it: a SageMaker endpoint, and an API that takes signed requests alone."""

import contextlib
import http.server
import re
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

CREDENTIALS = Credentials("AKIDEXAMPLE", "the-secret", "the-session-token")
REGION = "eu-west-1"
# What boto3 and the AWS command line read the same from; no file of this machine's is read beside it.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": CREDENTIALS.access_key,
    "AWS_SECRET_ACCESS_KEY": CREDENTIALS.secret_key,
    "AWS_SESSION_TOKEN": CREDENTIALS.token,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}


class Front(http.server.BaseHTTPRequestHandler):
    """A server before the program's own."""

    protocol_version = "HTTP/1.1"
    behind: httpx.Client

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.answer({name.lower(): value for name, value in self.headers.items()}, body)

    def answer(self, headers: dict[str, str], body: bytes) -> None:
        raise NotImplementedError

    def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Say nothing."""


class SageMaker(Front):
    """``/endpoints/{name}/invocations`` to the container's ``/invocations``; a container's error becomes a ModelError.

    Every header but these is stripped from a request:
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
    """

    passed_on = ("content-type", "accept")
    prefix = "x-amzn-sagemaker-"

    def answer(self, headers: dict[str, str], body: bytes) -> None:
        assert self.path == "/endpoints/onnx/invocations"
        sent = {name: value for name, value in headers.items() if name in self.passed_on or name.startswith(self.prefix)}
        # httpx would add one of its own
        answer = self.behind.post("/invocations", content=body, headers={"accept": "*/*", **sent})
        found = {name: value for name, value in answer.headers.items() if name == "content-type" or name.startswith(self.prefix)}
        if answer.is_success:
            self.send(200, answer.content, found)
            return
        error = {"OriginalStatusCode": answer.status_code, "OriginalMessage": answer.text, "Message": "Received an error from primary"}
        self.send(424, orjson.dumps(error), {"content-type": "application/json", "x-amzn-errortype": "ModelError"})


class SignedApi(Front):
    """An API of API Gateway with IAM authorization: a request whose signature is not the one that botocore makes of it is 403.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """

    def answer(self, headers: dict[str, str], body: bytes) -> None:
        if not self._is_signed(headers, body):
            self.send(403, b'{"message":"Forbidden"}', {"content-type": "application/json"})
            return
        sent = {name: value for name, value in headers.items() if name not in {"host", "authorization", "connection", "content-length"}}
        answer = self.behind.post(self.path, content=body, headers={"accept-encoding": "identity", **sent})
        self.send(answer.status_code, answer.content, {name: answer.headers[name] for name in answer.headers if name != "content-length"})

    def _is_signed(self, headers: dict[str, str], body: bytes) -> bool:
        found = re.fullmatch(
            rf"AWS4-HMAC-SHA256 Credential={CREDENTIALS.access_key}/\d{{8}}/{REGION}/execute-api/aws4_request, ?"
            r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})",
            headers.get("authorization", ""),
        )
        if found is None:
            return False
        names = found[1].split(";")
        assert {"host", "x-amz-date", "x-amz-security-token"} <= set(names)
        signed = {name: headers[name] for name in names}
        request = AWSRequest("POST", f"https://{headers['host']}{self.path}", headers=signed, data=body)
        request.context["timestamp"] = headers["x-amz-date"]
        signer = SigV4Auth(CREDENTIALS, "execute-api", REGION)
        return bool(signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request) == found[2])


@contextlib.contextmanager
def before(behind: httpx.Client, front: type[Front]) -> Iterator[str]:
    """The address of a front before a server."""
    handler = type(front.__name__, (front,), {"behind": behind})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()
        thread.join()
