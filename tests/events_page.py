"""docs/events.md as its reader has it: the blocks of each section, and the events that its commands come to."""

import base64
import functools
import json
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import botocore.session
from botocore.validate import ParamValidator

from tests.lambda_samples import event
from tests.shells import ROOT

DOCUMENT = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
# What differs from one run to the next, or with the model's bytes.
PASSING = {
    r"sha256:[0-9a-f]{8}(?:…|[0-9a-f]{56})": "sha256:…",
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}": "id",
    r"(?<=/)[0-9a-f]{16}(?=/)": "hash",
}
# A value of the command line that is JSON, by the kind of its shape in botocore.
_JSON_KINDS = {"structure", "list", "map"}


class Block(NamedTuple):
    """A block of code, and the text that stands below it; empty where none does."""

    section: str
    language: str
    text: str
    shown: str = ""


class Command(NamedTuple):
    """A command of AWS's command line, its arguments checked as botocore checks them."""

    service: str
    operation: str
    arguments: dict[str, Any]


@functools.cache
def blocks() -> tuple[Block, ...]:
    """The blocks of the page in order."""
    found: list[Block] = []
    for section in re.split(r"^## ", DOCUMENT, flags=re.MULTILINE)[1:]:
        name, _, text = section.partition("\n")
        before = 0
        for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            # What a block comes to stands right below it, with a sentence between at the most.
            follows = found and found[-1].section == name and not found[-1].shown and "\n\n" not in text[before : match.start()].strip()
            if match[1] == "text" and follows and found[-1].language in {"sh", "json"}:
                found[-1] = found[-1]._replace(shown=match[2])
            else:
                found.append(Block(name, match[1], match[2]))
            before = match.end()
    return tuple(found)


def of_language(language: str) -> list[Block]:
    return [block for block in blocks() if block.language == language]


def comparable(text: str) -> str:
    """Without what differs from one run to the next."""
    for pattern, name in PASSING.items():
        text = re.sub(pattern, name, text)
    return text.strip()


def command_of(text: str, variables: Mapping[str, str]) -> Command:
    """A block of one command."""
    for name, value in variables.items():
        text = text.replace(f"${name}", value)
    assert "$" not in text
    aws, service, operation, *rest = shlex.split(text.replace("\\\n", " "))
    assert "aws" == aws
    if (service, operation) == ("s3", "cp"):
        bucket, _, key = rest[1].removeprefix("s3://").partition("/")
        return Command("s3", "put_object", {"Bucket": bucket, "Key": key})
    plain = [word for word in rest if not word.startswith("--")]
    named = {rest[place]: rest[place + 1] for place in range(len(rest) - 1) if rest[place].startswith("--")}
    assert len(plain) - len(named) == (1 if service == "lambda" else 0)
    return _checked(service, operation, named)


def _checked(service: str, operation: str, named: dict[str, str]) -> Command:
    raw = named.pop("--cli-binary-format", "") == "raw-in-base64-out"
    model = _session().get_service_model(service)
    shape = model.operation_model("".join(part.title() for part in operation.split("-"))).input_shape
    members = {name.lower(): name for name in shape.members}
    arguments: dict[str, Any] = {}
    for name, text in named.items():
        member = members[name.removeprefix("--").replace("-", "")]
        kind = shape.members[member].type_name
        # A blob without that flag would be read as base64.
        assert raw or "blob" != kind
        if kind in _JSON_KINDS:
            arguments[member] = json.loads(text) if text[0] in "[{" else [text]
        else:
            arguments[member] = text.encode() if kind == "blob" else text
    report = ParamValidator().validate(arguments, shape)
    assert not report.has_errors(), report.generate_report()
    return Command(service, operation.replace("-", "_"), arguments)


@functools.cache
def _session() -> Any:
    return botocore.session.Session()


def event_of(command: Command) -> Any:
    """What the function is given after a command."""
    return _EVENTS[command.service](command.arguments)


def _of_queue(told: dict[str, Any]) -> Any:
    found = event("sqs-job")
    (record,) = found["Records"]
    attributes = {
        name: {"stringValue": one["StringValue"], "dataType": "String"} for name, one in told.get("MessageAttributes", {}).items()
    }
    record |= {"body": told["MessageBody"], "messageAttributes": attributes}
    if "MessageGroupId" in told:
        record["attributes"] |= {"MessageGroupId": told["MessageGroupId"], "SequenceNumber": "18849496460467696128"}
    return found


def _of_topic(told: dict[str, Any]) -> Any:
    found = event("sns")
    attributes = {name: {"Type": one["DataType"], "Value": one["StringValue"]} for name, one in told["MessageAttributes"].items()}
    found["Records"][0]["Sns"] |= {"Message": told["Message"], "MessageAttributes": attributes}
    return found


def _of_stream(told: dict[str, Any]) -> Any:
    found = event("kinesis")
    found["Records"] = found["Records"][:1]
    found["Records"][0]["kinesis"] |= {"data": base64.b64encode(told["Data"]).decode(), "partitionKey": told["PartitionKey"]}
    return found


def _of_table(told: dict[str, Any]) -> Any:
    found = event("dynamodb-stream")
    found["Records"] = found["Records"][:1]
    found["Records"][0]["dynamodb"]["NewImage"] = told["Item"]
    return found


def _of_bus(told: dict[str, Any]) -> Any:
    (entry,) = told["Entries"]
    return event("eventbridge-prediction-requested") | {
        "source": entry["Source"],
        "detail-type": entry["DetailType"],
        "detail": json.loads(entry["Detail"]),
    }


_EVENTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "sqs": _of_queue,
    "sns": _of_topic,
    "kinesis": _of_stream,
    "dynamodb": _of_table,
    "events": _of_bus,
    "lambda": lambda told: json.loads(told["Payload"]),
}
