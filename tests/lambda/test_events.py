"""Every sample of events/ is answered by the function as a user who tries it expects."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.errors import UnknownEvent
from app.storage.aws_clients import client
from app.wiring import event_handler, wire
from handler import ThroughMangum
from tests import lambda_samples, lambda_samples_machine, lambda_samples_s3
from tests.jobs.moto_stores import moto_names
from tests.shells import Context, copy_models

MACHINE = '{"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}'


@pytest.fixture(scope="module", params=["on", "off"])
def invoke(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The function with the project's own models, by the fast lane and through Mangum and FastAPI."""
    folder = copy_models(tmp_path_factory.mktemp("events") / "models")
    program = wire({"MODEL_DIR": str(folder), "HTTP_FAST_LANE": request.param, "JOBS": "off"})
    return event_handler(program, ThroughMangum(program))


@pytest.fixture(scope="module")
def invoke_with_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The function with all that samples need."""
    folder = copy_models(tmp_path_factory.mktemp("events") / "models")
    with moto_names() as (_, names):
        lambda_samples_s3.lay_out()
        for key, body in lambda_samples_machine.FILES.items():
            client("s3").put_object(Bucket=lambda_samples_machine.BUCKET, Key=key, Body=body)
        machine = client("stepfunctions").create_state_machine(
            name=names.table, definition=MACHINE, roleArn="arn:aws:iam::123456789012:role/machine"
        )
        settings = {"JOBS_TABLE": names.table, "JOBS_BUCKET": names.bucket, "JOBS_QUEUE_URL": names.jobs.messages}
        settings |= {"JOBS_DEAD_QUEUE_URL": names.jobs.dead, "WEBHOOKS_QUEUE_URL": names.webhooks.messages}
        settings |= {**lambda_samples_s3.SETTINGS, "BATCH_STATE_MACHINE_ARN": machine["stateMachineArn"]}
        program = wire({"MODEL_DIR": str(folder), "AWS_LAMBDA_FUNCTION_NAME": "f", "JOBS": "aws", **settings})
        yield event_handler(program, ThroughMangum(program))


def test_every_sample_has_an_expected_answer() -> None:
    """A sample without an expectation, or an expectation without a sample, is a mistake."""
    assert sorted(lambda_samples.names()) == sorted(path.stem for path in lambda_samples.FOLDER.iterdir())


@pytest.mark.parametrize("name", lambda_samples.names("nothing"))
def test_sample(invoke: Any, name: str) -> None:
    """The sample gets its answer."""
    lambda_samples.check(name, invoke(lambda_samples.event(name), Context()))


@pytest.mark.parametrize("name", lambda_samples.names())
def test_sample_with_all(invoke_with_all: Any, name: str) -> None:
    """With jobs, an inbox and a state machine their samples get their answers, and all others the same as without."""
    lambda_samples.check(name, invoke_with_all(lambda_samples.event(name), Context()))


@pytest.mark.parametrize("name", lambda_samples.names("jobs", "inbox", "state machine"))
def test_without_what_it_needs_a_sample_is_not_done(invoke: Any, name: str) -> None:
    """A function without jobs, an inbox or a state machine fails on their events, so that what is wired to it loses nothing."""
    event = lambda_samples.event(name)
    if name.startswith("sqs-"):
        ids = [record["messageId"] for record in event["Records"]]

        assert [{"itemIdentifier": message} for message in ids] == invoke(event, Context())["batchItemFailures"]
    else:
        with pytest.raises(UnknownEvent):
            invoke(event, Context())


def test_unknown_event_raises(invoke: Any) -> None:
    """An event that no trigger knows fails the invocation instead of passing for answered, and no value of it is repeated."""
    with pytest.raises(UnknownEvent, match="Records") as caught:
        invoke(lambda_samples.UNKNOWN, Context())

    assert "inputs" not in str(caught.value).replace("'inputs'", "")


def test_samples_hold_nothing_of_anybody() -> None:
    """Accounts, hosts and addresses of the samples are those that AWS and the RFCs keep for examples."""
    for path in Path(lambda_samples.FOLDER).iterdir():
        text = path.read_text()
        assert text.endswith("}\n")
        for account in ("accountId", "account"):
            assert f'"{account}": "' not in text or f'"{account}": "123456789012"' in text
        assert "192.0.2.44" in text or "sourceIp" not in text
