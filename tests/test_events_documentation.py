"""docs/events.md: its commands and events are answered, its templates translated, its commands on this machine run."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.wiring import event_handler, wire
from handler import ThroughMangum
from local.lambda_queue import Queue
from tests.acting import acting_as
from tests.deployment import Resources, deployed
from tests.events_page import Block, command_of, comparable, event_of, of_language
from tests.jobs.moto_stores import REGION
from tests.jobs.moto_stores import environment as on_aws
from tests.shells import ROOT, Context
from tests.template import of_type, parsed, translated

FLOWERS = b"5.1,3.5,1.4,0.2\n6.3,3.3,6.0,2.5\n"
INPUTS = "inputs"
Ask = Callable[[str, Any], Any]


@pytest.fixture(name="made", scope="module")
def _made() -> Iterator[Resources]:
    """The stack of the page, with a bucket of inputs."""
    with deployed(Events="on", Inbox="on", Batch="on", InputBucket=INPUTS) as made:
        s3 = made.client("s3")
        if INPUTS not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
            s3.create_bucket(Bucket=INPUTS, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket=INPUTS, Key="flowers.csv", Body=FLOWERS)
        for key in ("batches/flowers.csv", "batches/2026-11-22.csv"):
            s3.put_object(Bucket=made.names["InboxBucket"], Key=key, Body=FLOWERS)
        yield made


@pytest.fixture(name="ask")
def _ask(made: Resources, models: Path) -> Ask:
    """Asks a function of the stack, with its environment and its role."""

    def ask(function: str, event: Any) -> Any:
        with acting_as(function, made):
            environment = {**made.environment(function), "MODEL_DIR": str(models), "AWS_LAMBDA_FUNCTION_NAME": function}
            program = wire(environment)
            return event_handler(program, ThroughMangum(program))(event, Context(60_000))

    return ask


def variables(made: Resources) -> dict[str, str]:
    names = {"RequestsQueueUrl": "RequestsQueue", "ResultsQueueUrl": "ResultsQueue", "InboxBucketName": "InboxBucket"}
    return {output: made.names[name] for output, name in names.items()}


def commands() -> list[Block]:
    return [block for block in of_language("sh") if block.text.startswith("aws ")]


def title(block: Block) -> str:
    return f"{block.section}-{block.text[:30].split(chr(10))[0]}"


def is_done(answer: Any) -> bool:
    """Whether Lambda hears that all is done."""
    return answer in ({"batchItemFailures": []}, {"answered": 1}) or "outputs" in answer


@pytest.mark.parametrize("block", [block for block in commands() if " receive-message" not in block.text], ids=title)
def test_commands(ask: Ask, made: Resources, block: Block) -> None:
    """What a command of the page sends is a request that the function answers."""
    command = command_of(block.text, variables(made))
    if command.service != "s3":
        assert is_done(ask("OnnxLambda" if command.service == "lambda" else "RecordsWorker", event_of(command)))
        return
    made.client("s3").put_object(Body=FLOWERS, **command.arguments)
    answer = Queue(made.client("sqs"), made.names["InboxQueue"]).deliver(lambda event: ask("InboxWorker", event))
    listed = made.client("s3").list_objects_v2(Bucket=command.arguments["Bucket"], Prefix="predictions/iris/")
    wanted = next(block.shown for block in commands() if "s3 cp" in block.text)

    assert {"batchItemFailures": []} == answer
    assert {comparable(entry["Key"]) for entry in listed["Contents"]} == {
        comparable(line) for line in wanted.split() if "errors" not in line
    }


def test_in_five_minutes(ask: Ask, made: Resources) -> None:
    """The first message of the page is answered with the message that the page shows, through the stack's own queues."""
    send, receive = [block for block in commands() if block.section == "In five minutes"]
    sqs = made.client("sqs")
    sqs.send_message(**command_of(send.text, variables(made)).arguments)
    Queue(sqs, made.names["RequestsQueue"]).deliver(lambda event: ask("RecordsWorker", event))
    (message,) = sqs.receive_message(**command_of(receive.text, variables(made)).arguments)["Messages"]
    attributes = {name: one["StringValue"] for name, one in message["MessageAttributes"].items()}
    lines = [f"{name:16}{value}" for name, value in [("body", message["Body"]), *sorted(attributes.items())]]

    assert comparable(receive.shown) == comparable("\n".join(lines))


@pytest.mark.parametrize("block", of_language("json"), ids=title)
def test_events(ask: Ask, made: Resources, block: Block) -> None:
    """Every event and every request of the page is answered, and where an answer stands below it, with that."""
    document = json.loads(block.text.replace("BUCKET", made.names["InboxBucket"]).replace("{date}", "2026-11-22"))
    answer = ask(*asked(document))
    if block.shown:
        assert json.loads(block.shown) == answer
    elif "Items" in document:
        assert (1, 0) == (answer["rows"], answer["failed"])
    elif "batch" in document:
        assert answer["started"]
    elif "warmup" in document:
        assert {"warm": True} == answer
    elif "Service" in document:
        assert not any(answer.values())
    else:
        assert is_done(answer)


def asked(document: dict[str, Any]) -> tuple[str, Any]:
    """Which function of the stack an event is for, and the event itself for what is not one yet."""
    if "StartAt" in document:
        (task,) = [state for state in document["States"].values() if state["Type"] == "Task"]
        return "OnnxLambda", task["Parameters"]["Payload"]
    if document.keys() & {"inputs", "instances", "s3"}:
        text = json.dumps(document)
        return "RecordsWorker", event_of(command_of(f"aws sqs send-message --queue-url u --message-body {shlex.quote(text)}", {}))
    function = {"Items": "BatchWorker", "batch": "BatchWorker", "Service": "InboxWorker", "warmup": "OnnxLambda"}
    return next((function[name] for name in document if name in function), "RecordsWorker"), document


@pytest.mark.parametrize("block", of_language("yaml"), ids=title)
def test_templates(tmp_path: Path, block: Block) -> None:
    """Every piece of a template is what SAM takes for events of a function, and those that can tell of partial failures do."""
    events = parsed(block.text)
    function = {
        "Type": "AWS::Serverless::Function",
        "Properties": {"PackageType": "Image", "Role": "arn:aws:iam::123456789012:role/worker", "Events": events},
    }
    file = tmp_path / "template.yaml"
    file.write_text(json.dumps({"Resources": {"Worker": function, "Files": {"Type": "AWS::S3::Bucket"}}}))
    resources = translated(file)
    mappings = of_type(resources, "AWS::Lambda::EventSourceMapping")

    assert all(any(name.startswith(f"Worker{event}") for name in resources) for event in events if events[event]["Type"] != "S3")
    assert all(["ReportBatchItemFailures"] == mapping["FunctionResponseTypes"] for mapping in mappings.values())
    assert len(mappings) == sum(event["Type"] in {"SQS", "Kinesis", "DynamoDB", "MSK"} for event in events.values())


def test_schedules_send_the_events_of_the_page() -> None:
    """The Input of each schedule is an event that stands below it, but for what the scheduler fills in."""
    events = [json.loads(block.text) for block in of_language("json") if block.section == "Schedules"]
    told = [
        event["Properties"]["Input"]
        for block in of_language("yaml")
        if block.section == "Schedules"
        for event in parsed(block.text).values()
    ]

    assert events == [json.loads(text.replace("<aws.scheduler.scheduled-time>", "2026-11-22T03:00:00Z")) for text in told]


def test_files_on_this_machine(tmp_path: Path, models: Path) -> None:
    """The commands of the section run in turn and print what stands below them."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "onnx-lambda"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m app "$@"\n')
    command.chmod(0o755)
    environment = {"PATH": f"{command.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "MODEL_DIR": str(models)}
    examples = [block for block in of_language("sh") if block.section == "Files on this machine"]
    for block in examples:
        ended = subprocess.run(
            ["sh", "-ec", block.text], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

        assert (0, "") == (ended.returncode, ended.stderr)
        assert comparable(block.shown) == comparable(ended.stdout)
    assert len(examples) >= 2


def test_files_of_any_size(made: Resources, models: Path) -> None:
    """The command of the section, told not to wait, starts a run of the stack's machine, and the second time finds it."""
    (block,) = [block for block in of_language("sh") if block.section == "Files of any size"]
    lines = block.text.replace("BUCKET/", f"{made.names['InboxBucket']}/").splitlines()
    machine = dict(assignment.split("=") for assignment in re.findall(r"^export (\S+)$", block.text, re.MULTILINE))
    settings = dict.fromkeys(machine, made.names["BatchMachine"])
    command = [sys.executable, "-m", "app", *shlex.split(lines[-1])[1:], "--no-wait", "--quiet"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "MODEL_DIR": str(models), **on_aws(made.url), **settings}
    told = []
    for _ in range(2):
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert (0, "") == (ended.returncode, ended.stderr)
        told.append(json.loads(ended.stdout))

    assert {"BATCH_STATE_MACHINE_ARN"} == machine.keys()
    assert told[0] == told[1]
    assert told[0]["output"].startswith(f"s3://{made.names['InboxBucket']}/predictions/flowers.csv/")
