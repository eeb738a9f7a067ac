"""The one way to AWS: what is tried again, for how long, and what is said of it."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from app.errors import StoreUnavailable
from app.jobs.backend import Change
from app.jobs.job import Job
from app.storage import aws_clients
from app.storage.aws_clients import CONNECT_S, call, within
from tests.jobs import aws_faults
from tests.jobs.aws_faults import answer, refusal, s3_refusal
from tests.jobs.aws_server import Fault
from tests.jobs.examples import NOW, queued
from tests.jobs.moto_stores import Aws

ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/secret-name"
# What is left of this for an answer is so little that one silent attempt takes it all.
SHORT_S = CONNECT_S + 0.5


TRANSIENT = {
    "throttled": refusal(400, "ThrottlingException"),
    "throughput": refusal(400, "ProvisionedThroughputExceededException"),
    "limit": refusal(400, "RequestLimitExceeded"),
    "conflict": refusal(400, "TransactionConflictException"),
    "500": refusal(500, "InternalServerError"),
    "502 of a balancer": answer(502, "<html>Bad Gateway</html>"),
    "503 without a body": answer(503, ""),
    "429": answer(429, "{}"),
    "dropped connection": aws_faults.dropped,
    "lost answer": aws_faults.lost,
    "half an answer": aws_faults.truncated,
}


@pytest.mark.parametrize("fault", list(TRANSIENT.values()), ids=list(TRANSIENT))
def test_what_is_transient_is_tried_again(aws: Aws, fault: Fault) -> None:
    """Throttling, failures of the service and of the connection cost an attempt, and not the call (F-42)."""
    job = aws.keep(queued())
    aws.server.fail("GetItem", fault, fault)

    assert job == aws.backend.read(Job, job.id)
    assert 3 == aws.server.asked("GetItem")


@pytest.mark.parametrize("fault", list(TRANSIENT.values()), ids=list(TRANSIENT))
def test_attempts_are_bounded(aws: Aws, fault: Fault) -> None:
    """After five attempts the store is unavailable, which names the service and the operation and nothing else."""
    job = aws.keep(queued())
    aws.server.fail("GetItem", *[fault] * 9)

    with pytest.raises(StoreUnavailable) as raised:
        aws.backend.read(Job, job.id)
    assert "DynamoDB did not answer GetItem; whether it was done is not known. Try again in a moment." == raised.value.detail
    assert 5 == aws.server.asked("GetItem")


@pytest.mark.parametrize(
    "code", ["AccessDeniedException", "ResourceNotFoundException", "ValidationException", "UnrecognizedClientException"]
)
def test_what_does_not_pass_is_not_tried_again(aws: Aws, code: str, caplog: pytest.LogCaptureFixture) -> None:
    """A right or a table that is missing is told of at once: by its code in the log, and to nobody by AWS's text, which names accounts."""
    aws.server.fail("GetItem", refusal(400, code, f"User: {ARN} is not authorized to perform: dynamodb:GetItem on resource: {ARN}"))

    with pytest.raises(StoreUnavailable) as raised:
        aws.backend.read(Job, "id")
    assert 1 == aws.server.asked("GetItem")
    assert isinstance(raised.value.__cause__, ClientError)
    assert f"dynamodb get_item failed: {code}" in caplog.text
    for secret in ("arn:", "secret-name", aws.names.table, "123456789012"):
        assert secret not in raised.value.detail
        assert secret not in caplog.text


def test_a_missing_credential_is_the_stores_failure(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """What botocore refuses before it asks anybody is the same error, after one attempt."""
    monkeypatch.setattr(aws_clients, "_clients", {})
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    with pytest.raises(StoreUnavailable):
        aws.backend.read(Job, "id")
    with pytest.raises(StoreUnavailable):
        aws.storage.link("a", seconds=1, content_type="text/plain")
    assert [] == aws.server.requests


def test_s3_slows_down(aws: Aws) -> None:
    """S3's own way to throttle is tried again as well (F-44)."""
    aws.server.fail("PUT", s3_refusal(503, "SlowDown"), s3_refusal(500, "InternalError"), aws_faults.dropped)

    aws.storage.put("a", b"bytes")
    assert 4 == aws.server.asked("PUT")


def test_a_server_that_is_late_is_left(aws: Aws) -> None:
    """An attempt ends with the time that is left, and none is begun that could not end in it."""
    job = aws.keep(queued())
    aws.server.fail("GetItem", aws_faults.late(SHORT_S + 0.5))

    with pytest.raises(StoreUnavailable), within(time.monotonic() + SHORT_S):
        aws.backend.read(Job, job.id)
    assert 1 == aws.server.asked("GetItem")


def test_a_read_times_out_before_the_deadline_does(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service has its own longest wait, after which there is time for another attempt."""
    monkeypatch.setitem(aws_clients.READ_S, "dynamodb", 0.3)
    monkeypatch.setattr(aws_clients, "_clients", {})
    job = aws.keep(queued())
    aws.server.fail("GetItem", aws_faults.silent, aws_faults.silent)

    assert job == aws.backend.read(Job, job.id)
    assert 3 == aws.server.asked("GetItem")


def test_no_time_no_request(aws: Aws) -> None:
    """Where the time is over nobody is asked."""
    with pytest.raises(StoreUnavailable), within(time.monotonic() + CONNECT_S):
        aws.backend.read(Job, "id")
    with pytest.raises(StoreUnavailable), within(time.monotonic() - 1):
        aws.storage.get("a")
    assert [] == aws.server.requests


def test_a_deadline_inside_another_is_never_later() -> None:
    """An inner deadline shortens an outer one, and ends with its block."""
    soon = time.monotonic() + 2
    with within(soon):
        with within(soon + 60):
            assert aws_clients.time_left() <= 2
        with within(soon - 60):
            assert aws_clients.time_left() < 0
        with within():
            assert aws_clients.time_left() <= 2
        assert aws_clients.time_left() > 0


def test_a_thread_may_have_a_deadline_for_all_it_does(aws: Aws) -> None:
    """A deadline may be set for the rest of a thread's work, and another, or none, after it."""

    def work() -> None:
        aws_clients.until(time.monotonic() - 1)
        with pytest.raises(StoreUnavailable), within():
            aws.backend.read(Job, "id")
        aws_clients.until(None)
        assert aws.backend.read(Job, "id") is None

    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


def test_a_secret_is_read(aws: Aws, caplog: pytest.LogCaptureFixture) -> None:
    """A text in Secrets Manager comes as it is; one that may not be read is told of without its name."""
    arn = call("secretsmanager", "create_secret", Name=aws.names.table, SecretString="whsec_é")["ARN"]
    assert "whsec_é" == aws_clients.secret(arn)

    aws.server.fail("GetSecretValue", refusal(400, "AccessDeniedException", f"no secretsmanager:GetSecretValue on {arn}"))
    with pytest.raises(StoreUnavailable) as raised:
        aws_clients.secret(arn)
    assert aws.names.table not in raised.value.detail + caplog.text


def test_threads_have_their_own_deadlines(aws: Aws) -> None:
    """A deadline is its thread's: another thread's calls have all their time."""
    with within(time.monotonic() - 1), ThreadPoolExecutor(1) as pool:
        assert None is pool.submit(aws.backend.read, Job, "id").result()


def test_connections_that_died_in_a_pause_cost_nothing(aws: Aws) -> None:
    """After a freeze every kept connection may be dead: a call goes on with a new one (lambda-facts: thaw)."""
    job = aws.keep(queued())
    with ThreadPoolExecutor(4) as pool:
        barrier = threading.Barrier(4)
        aws.server.fail("GetItem", *[aws_faults.meanwhile(barrier.wait)] * 4)
        list(pool.map(lambda _: aws.backend.read(Job, job.id), range(4)))
    aws.server.fail("GetItem", *[aws_faults.dropped] * 4)

    assert job == aws.backend.read(Job, job.id)


def test_half_an_answer_is_not_an_empty_one(aws: Aws) -> None:
    """A record whose JSON was cut off is not taken for one that is not there."""
    job = aws.keep(queued())
    aws.server.fail("GetItem", *[aws_faults.truncated] * 9)

    with pytest.raises(StoreUnavailable):
        aws.backend.read(Job, job.id)


def test_every_request_passes_one_place(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stands at ``send`` sees each request of the process once, with its operation and arguments."""
    seen: list[tuple[str, str]] = []
    passed = aws_clients.send

    def watch(service: str, operation: str, arguments: dict[str, Any]) -> Any:
        seen.append((service, operation))
        return passed(service, operation, arguments)

    monkeypatch.setattr(aws_clients, "send", watch)
    job = aws.keep(queued())
    aws.backend.write([Change(job, None), Change(None, queued())])
    aws.backend.owned(job.owner, 1)
    aws.backend.due(NOW, 1)
    aws.backend.send("jobs", ["a"])
    aws.backend.dead("jobs", 1)
    aws.storage.put("a", b"")
    aws.storage.get("a")
    aws.storage.find("a")
    aws.storage.copy("a", "b")
    aws.storage.delete("a")
    list(aws.storage.older_than("", 0))

    assert len(seen) == len(aws.server.requests) + 1, "and the write that keep() left out of the list"
    assert {"dynamodb", "sqs", "s3"} == {service for service, _ in seen}


def test_a_condition_comes_out_as_itself(aws: Aws) -> None:
    """What a caller asked to know is the botocore error, and says whether an answer was lost before."""
    asked = {"TableName": aws.names.table, "Item": {"pk": {"S": "a"}}, "ConditionExpression": "attribute_not_exists(pk)"}
    call("dynamodb", "put_item", **asked)
    for fault, lost in (((), False), ((refusal(400, "ThrottlingException"),), False), ((aws_faults.lost,), True)):
        aws.server.fail("PutItem", *fault)
        with pytest.raises(ClientError) as raised:
            call("dynamodb", "put_item", **asked)
        assert lost is raised.value.response["ResponseMetadata"]["AnswerLost"]


def test_a_client_is_built_once(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that ask at the same time get one client."""
    monkeypatch.setattr(aws_clients, "_clients", {})
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(aws_clients.client, ["s3", "sqs", "dynamodb"] * 8))

    assert 3 == len(found)


def test_nothing_is_imported_before_it_is_used() -> None:
    """The modules cost a cold start nothing: botocore comes with the first client, and boto3 never."""
    script = (
        "import sys\n"
        "from app.jobs import aws_backend\n"
        "from app.storage import aws_clients, s3\n"
        "assert not {'botocore', 'urllib3', 'http.client'} & set(sys.modules)\n"
        "aws_clients.client('s3')\n"
        "assert not {'boto3', 's3transfer'} & set(sys.modules)\n"
    )
    environment = {"AWS_DEFAULT_REGION": "eu-west-1"}
    subprocess.run([sys.executable, "-c", script], env=environment, timeout=60, check=True)
