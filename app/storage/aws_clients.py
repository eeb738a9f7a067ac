"""The one way to AWS: clients built on first use, every request through one function, and one loop that tries again.

botocore does not try again by itself here: it knows nothing of the time that an invocation has left. The loop tries again what
AWS calls transient, at most five times, with full jitter
(https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/), and inside the time that :func:`within` sets.
"""

import logging
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from app.errors import StoreUnavailable
from app.storage.aws_errors import ANSWERS, THROTTLED, codes_of, is_transient, told

CONNECT_S: Final = 1.0
# A table or queue answers within milliseconds; S3 may take seconds for its first byte.
READ_S: Final = {
    "dynamodb": 3.0,
    "sqs": 3.0,
    "s3": 10.0,
    "secretsmanager": 3.0,
    "events": 3.0,
    "firehose": 3.0,
    "stepfunctions": 5.0,
    # A version that was never asked before loads its models first, and has 29 s for its answer.
    "lambda": 45.0,
    "codedeploy": 5.0,
}
ATTEMPTS: Final = 5
# For a call without a deadline of its own, such as in the command line.
_WITHOUT_DEADLINE_S = 10.0
# What is left for the answer must be worth asking.
_SHORTEST_READ_S = 0.2
_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0
_NAMES = {
    "dynamodb": "DynamoDB",
    "sqs": "SQS",
    "s3": "S3",
    "secretsmanager": "Secrets Manager",
    "events": "EventBridge",
    "firehose": "Firehose",
    "stepfunctions": "Step Functions",
    "lambda": "Lambda",
    "codedeploy": "CodeDeploy",
}

_deadline: ContextVar[float | None] = ContextVar("aws_deadline", default=None)
_clients: dict[str, Any] = {}
_building = threading.Lock()
_log = logging.getLogger(__name__)


@contextmanager
def within(deadline: float | None = None) -> Iterator[None]:
    """Have everything inside end by a time of :func:`time.monotonic`, or where an outer one is earlier, by that.

    Without a time: ten seconds from now, or by the outer one, however late that is.
    """
    outer = _deadline.get()
    if deadline is None:
        deadline = outer if outer is not None else time.monotonic() + _WITHOUT_DEADLINE_S
    kept = _deadline.set(deadline if outer is None else min(deadline, outer))
    try:
        yield
    finally:
        _deadline.reset(kept)


def until(deadline: float | None) -> None:
    """Have everything that this thread does from now on end by a time, as :func:`within` does for a block; None: no such time."""
    _deadline.set(deadline)


def time_left() -> float:
    """Seconds until the deadline that :func:`within` set; negative where it is over."""
    deadline = _deadline.get()
    return _WITHOUT_DEADLINE_S if deadline is None else deadline - time.monotonic()


def attempts() -> Iterator[int]:
    """Numbers of attempts, from 0, with a pause before each but the first; it ends where another could not end in time."""
    for number in range(ATTEMPTS):
        pause = random.uniform(0, min(_PAUSE_S * 2**number, _LONGEST_PAUSE_S)) if number else 0.0  # noqa: S311 - no secret
        if time_left() < pause + CONNECT_S + _SHORTEST_READ_S:
            return
        if pause:
            time.sleep(pause)
        yield number


def client(service: str) -> Any:
    """The process's client of a service; threads share it."""
    found = _clients.get(service)
    if found is None:
        # A session is not for several threads at a time, its clients are.
        with _building:
            found = _clients.get(service) or _clients.setdefault(service, _built(service))
    return found


def send(service: str, operation: str, arguments: dict[str, Any]) -> Any:
    """One attempt at one operation. Every request of this process to AWS passes here, so that a test can stand in its way."""
    return getattr(client(service), operation)(**arguments)


def call(service: str, operation: str, /, **arguments: Any) -> Any:
    """The answer of an operation (named as botocore's methods are), tried again while that can help and there is time.

    :raises botocore.exceptions.ClientError: for what the caller asked to know: a condition that did not hold, a key that is not
        there. Its ``ResponseMetadata`` has ``AnswerLost``: whether an attempt before may have done what was asked.
    :raises StoreUnavailable: for everything else. It names the service and the operation only.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    cause: Exception | None = None
    lost = False
    with within():
        for _ in attempts():
            try:
                return send(service, operation, arguments)
            except ClientError as error:
                cause = error
                codes = codes_of(error)
                if codes & ANSWERS:
                    error.response.setdefault("ResponseMetadata", {})["AnswerLost"] = lost
                    raise
                if not is_transient(error, codes):
                    break
                lost = lost or not codes & THROTTLED
            except (BotoCoreError, ResponseParserError) as error:
                cause = error
                if not is_lost(error):
                    break
                lost = True
    _log.warning("%s %s failed: %s", service, operation, told(cause))
    raise unavailable(service, operation) from cause


def secret(arn: str) -> str:
    """A text in Secrets Manager."""
    return str(call("secretsmanager", "get_secret_value", SecretId=arn)["SecretString"])


def unavailable(service: str, operation: str) -> StoreUnavailable:
    """The error for an operation that did not come to an end."""
    name = "".join(part.title() for part in operation.split("_"))
    return StoreUnavailable(f"{_NAMES[service]} did not answer {name}; whether it was done is not known. Try again in a moment.")


def is_lost(error: Exception) -> bool:
    """Whether an answer was not heard to its end: the next attempt has another connection."""
    from botocore import exceptions
    from botocore.parsers import ResponseParserError

    damaged = exceptions.ChecksumError | exceptions.FlexibleChecksumError | exceptions.IncompleteReadError | ResponseParserError
    return isinstance(error, exceptions.HTTPClientError | exceptions.ConnectionError | damaged)


def _built(service: str) -> Any:
    from botocore.config import Config

    made = _session().create_client(
        service,
        config=Config(
            connect_timeout=CONNECT_S,
            read_timeout=READ_S[service],
            retries={"total_max_attempts": 1},
            tcp_keepalive=True,
            user_agent_extra="onnx-lambda",
            # Not the default: without it an address is signed by version 2, which signs no headers.
            signature_version="s3v4" if service == "s3" else None,
            s3={"addressing_style": _addressing_style()},
            # Of its own accord botocore would add a CRC32 to bytes that have no checksum; ours have their SHA-256.
            request_checksum_calculation="when_required",
        ),
    )
    made.meta.events.register("before-send", _shorten)
    made.meta.events.register("before-parse", _refuse_half_an_answer)
    return made


def _addressing_style() -> str:
    """How the bucket stands in an address: with "auto" a signed address has the host of us-east-1, whatever the region is, and S3
    redirects from there to a host that was not signed ("Virtual hosting of buckets": request redirection).
    """
    # Another server, as in tests, may have no host for each bucket.
    return "auto" if {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"} & set(os.environ) else "virtual"


def _shorten(request: Any, **_: Any) -> None:
    """Let an attempt end before the deadline: what botocore.httpsession reads as this request's own time-out."""
    service_s = request.context["client_config"].read_timeout
    request.context["read_timeout"] = max(_SHORTEST_READ_S, min(service_s, time_left() - CONNECT_S))


def _refuse_half_an_answer(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    """Botocore takes JSON that was cut off for an empty answer: a record would look as if it were not there."""
    from botocore.exceptions import IncompleteReadError

    body, announced = response_dict["body"], response_dict["headers"].get("content-length")
    whole = not isinstance(body, bytes) or not announced or operation_model.http.get("method") == "HEAD"
    if not whole and len(body) != int(announced):
        raise IncompleteReadError(actual_bytes=len(body), expected_bytes=int(announced))


def _session() -> Any:
    # Not boto3, which puts resources and transfers on top that nobody here uses.
    import botocore.session

    if "session" not in _clients:
        _clients["session"] = botocore.session.Session()
    return _clients["session"]
