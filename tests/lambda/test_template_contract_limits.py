"""The limits: template.yaml, the settings, the code and what callers are told have the same numbers."""

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.codecs import unpacked
from app.http import deferred, gateway_errors, lambda_gateway
from app.http.openapi_gateway import TIMEOUT_MS
from app.inference import repository
from app.jobs.delivery import LEASE_S
from app.settings import LAMBDA_PAYLOAD_BYTES, SERVER_PAYLOAD_BYTES, Settings, from_environment
from app.wiring import event_handler, wire
from handler import ThroughMangum
from tests.event_parameters import EVERYTHING
from tests.shells import Context
from tests.template import ROOT, of_type, written
from tests.template_values import made

DAY_S = 86_400
ON = {**EVERYTHING, "Jobs": "on"}
SIX_MB = 6 * 1024 * 1024
ON_LAMBDA = from_environment({"AWS_LAMBDA_FUNCTION_NAME": "f"})
QUEUES = ("JobsQueue", "WebhooksQueue", "RequestsQueue", "InboxQueue")


@pytest.fixture(name="resources", scope="module")
def _resources() -> dict[str, Any]:
    """Everything that the template can make."""
    return made(**ON)


@pytest.fixture(name="invoke", scope="module")
def _invoke(models: Path) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The function with Lambda's own settings."""
    program = wire({"MODEL_DIR": str(models), "AWS_LAMBDA_FUNCTION_NAME": "f", "LOG_LEVEL": "ERROR"})
    answer = event_handler(program, ThroughMangum(program))
    return lambda event: dict(answer(event, Context()))


def rest(body: bytes, **changes: Any) -> dict[str, Any]:
    """A REST API's event of a prediction."""
    headers = {"Content-Type": "application/json", "Accept-Encoding": "gzip"}
    context = {"requestId": "g-1", "stage": "api", "path": "/api/predict"}
    event = {"resource": "/predict", "path": "/predict", "httpMethod": "POST", "headers": headers, "requestContext": context}
    return event | {"body": base64.b64encode(body).decode(), "isBase64Encoded": True} | changes


def timeout(resources: dict[str, Any], function: str) -> int:
    return int(resources[function]["Properties"]["Timeout"])


def test_payload_is_lambdas(invoke: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """A body and an answer are 6 MB at most on Lambda, in the settings, the envelope, the gateway's errors and the function's own."""
    told = json.loads(invoke(rest(b"[" * (SIX_MB + 1)))["body"])
    from_gateway = gateway_errors.answers(LAMBDA_PAYLOAD_BYTES)["REQUEST_TOO_LARGE"]

    assert SIX_MB == LAMBDA_PAYLOAD_BYTES == ON_LAMBDA.max_body_bytes == ON_LAMBDA.max_result_bytes
    # "6 MB" of Lambda are 100 bytes more with what is around them.
    assert SIX_MB + 100 == lambda_gateway._RESPONSE_BYTES
    assert (413, "body-too-large") == (told["status"], told["code"])
    assert f"at most {SIX_MB} are taken" in told["error"]
    assert f"the function takes {SIX_MB}." in from_gateway.detail
    assert SERVER_PAYLOAD_BYTES == Settings().max_body_bytes == unpacked.MOST_BYTES
    written_down = re.findall(r"\(on Lambda the default is (\d+)\)", (ROOT / "docs" / "settings.md").read_text())
    assert [str(SIX_MB)] * 2 == written_down
    assert (
        written()["Resources"]["RestApi"]["Properties"]["DefinitionBody"]["x-amazon-apigateway-gateway-responses"]["REQUEST_TOO_LARGE"][
            "responseTemplates"
        ]["application/json"].count(str(SIX_MB))
        == 2
    )


def test_function_answers_before_anybody_gives_up(resources: dict[str, Any]) -> None:
    """The function's own 504 comes before its time is up, and that before either API stops waiting; the pages say the same seconds."""
    seconds = timeout(resources, "OnnxLambda")
    integrations = {
        kind: {one["x-amazon-apigateway-integration"]["timeoutInMillis"] for methods in body["paths"].values() for one in methods.values()}
        for kind, body in {
            "http": written()["Resources"]["Api"]["Properties"]["DefinitionBody"],
            "rest": written()["Resources"]["RestApi"]["Properties"]["DefinitionBody"],
        }.items()
    }

    assert 0 < seconds * 1000 - Settings().deadline_margin_ms < seconds * 1000 <= min(TIMEOUT_MS.values())
    assert {kind: {milliseconds} for kind, milliseconds in TIMEOUT_MS.items()} == integrations
    # http-api-quotas.html and api-gateway-execution-service-limits-table.html of the API Gateway Developer Guide
    assert TIMEOUT_MS["http"] <= 30_000
    assert TIMEOUT_MS["rest"] <= 29_000
    # An answer that is kept under a key may be repeated by another call when the first one cannot come back.
    assert seconds < deferred._LEASE_S
    for page, words in {
        "clients.md": r"function's time is up \((\d+) s\)",
        "async.md": r"than the call itself may take \((\d+) s on Lambda\)",
    }.items():
        assert [str(seconds)] == re.findall(words, (ROOT / "docs" / page).read_text()), page


@pytest.mark.parametrize("queue", QUEUES)
def test_messages_wait_for_their_function(resources: dict[str, Any], queue: str) -> None:
    """A message is hidden for six times the time of its function, and the window in which a delivery is gathered, and no longer."""
    (mapping,) = [
        one
        for one in of_type(resources, "AWS::Lambda::EventSourceMapping").values()
        if one["EventSourceArn"] == {"Fn::GetAtt": [queue, "Arn"]}
    ]
    source = resources[queue]["Properties"]
    function = mapping["FunctionName"]["Ref"].removesuffix("Aliaslive")
    needed = 6 * timeout(resources, function) + mapping.get("MaximumBatchingWindowInSeconds", 0)

    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    assert needed <= source["VisibilityTimeout"] <= needed + 60
    assert source["VisibilityTimeout"] <= 12 * 3600
    assert mapping["ScalingConfig"]["MaximumConcurrency"] >= 2
    assert float(mapping["BatchSize"]) <= 10 or mapping["MaximumBatchingWindowInSeconds"] >= 1


def test_every_queue_with_a_function_is_looked_at(resources: dict[str, Any]) -> None:
    """The list of this page is that of the template."""
    sources = [
        one["EventSourceArn"]
        for one in of_type(resources, "AWS::Lambda::EventSourceMapping").values()
        if "Fn::GetAtt" in one["EventSourceArn"]
    ]

    assert set(QUEUES) == {source["Fn::GetAtt"][0] for source in sources}


def test_jobs_have_the_attempts_that_are_set(resources: dict[str, Any]) -> None:
    """A queue gives up after two receives more than a job has attempts, and keeps what it has for longer than a job lives."""
    settings = Settings()
    bucket = [rule for rule in resources["JobsBucket"]["Properties"]["LifecycleConfiguration"]["Rules"] if "ExpirationInDays" in rule]

    for queue in QUEUES:
        source = resources[queue]["Properties"]
        dead = resources[source["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]]["Properties"]
        assert settings.job_max_attempts + 2 == source["RedrivePolicy"]["maxReceiveCount"], queue
        assert settings.job_max_age_s < source["MessageRetentionPeriod"] < dead["MessageRetentionPeriod"] == 14 * DAY_S, queue
    assert settings.job_max_age_s + settings.job_retention_s < bucket[0]["ExpirationInDays"] * DAY_S
    assert timeout(resources, "WebhookSender") <= LEASE_S


def test_memory_is_a_whole_processor(resources: dict[str, Any]) -> None:
    """Functions that run models have the memory that Lambda gives a whole processor with, by which threads are counted."""
    running = {"OnnxLambda", "JobsWorker", "RecordsWorker", "InboxWorker", "BatchWorker"}
    memory = {resources[name]["Properties"]["MemorySize"] for name in running}

    assert {repository._MB_PER_VCPU} == memory


def test_places_of_files_are_those_of_the_settings(resources: dict[str, Any]) -> None:
    """The inbox tells of the prefix that its function reads, and both have the prefixes that the settings have by themselves."""
    variables = resources["InboxWorker"]["Properties"]["Environment"]["Variables"]
    (told,) = resources["InboxBucket"]["Properties"]["NotificationConfiguration"]["QueueConfigurations"]

    assert Settings().inbox_prefix == variables["INBOX_PREFIX"] == told["Filter"]["S3Key"]["Rules"][0]["Value"]
    assert Settings().output_prefix == variables["OUTPUT_PREFIX"]


def test_rest_api_compresses_or_the_function_does(invoke: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Where a REST API looks at bodies it compresses answers itself, and would take the function's bytes for text; elsewhere the function does."""
    body = json.dumps({"instances": [[5.1, 3.5, 1.4, 0.2]] * 200}).encode()
    variables = {**written()["Resources"]["RestApi"]["Properties"]["Variables"]["Fn::If"][1]}
    packed = invoke(rest(body))
    plain = invoke(rest(body, stageVariables=variables))

    assert ("gzip", True) == (packed["headers"]["Content-Encoding"], packed["isBase64Encoded"])
    assert not plain["isBase64Encoded"]
    assert "Content-Encoding" not in plain["headers"]
    assert 200 == len(json.loads(plain["body"])["predictions"])
