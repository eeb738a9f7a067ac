"""The state machine's definition: what each checker of Step Functions' language that works offline says of it."""

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import cfnlint.data.schemas.other.step_functions as schemas
import jsonschema
import pytest
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

from app.batches import machine_errors
from app.batches.machine_run import INPUT_FORMATS, Asked, Batch, run_of
from tests.machine import definition
from tests.machine.map_runner import PAYLOAD_BYTES
from tests.machine.moto_machine import reduced

# What Lambda answers without having invoked anything, or at its own fault.
AT_ONCE = {"Lambda.TooManyRequestsException", "Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException"}
MAPS = {name: state for name, state in definition.machine()["States"].items() if state["Type"] == "Map"}


def test_the_schema_of_cfn_lint() -> None:
    """cfn-lint's schema of state machines (E3601) finds nothing."""
    schema = json.loads((files(schemas) / "statemachine.json").read_text())

    assert [] == [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(definition.machine())]


def test_the_grammar_of_moto() -> None:
    """moto's grammar of the language reads it, but for what :func:`tests.machine.moto_machine.reduced` names."""
    AmazonStateLanguageParser.parse(json.dumps(reduced()))


def test_names_of_states() -> None:
    """Names are unique over the whole machine, and every Next leads to one (states-language.net, "States")."""
    states = definition.machine()["States"]
    inner = [name for state in MAPS.values() for name in state["ItemProcessor"]["States"]]
    assert len({*states, *inner}) == len(states) + len(inner)

    nexts = {state["Next"] for state in states.values() if "Next" in state} | {rule["Next"] for rule in states["Reader"]["Choices"]}
    assert nexts | {"UnknownFormat", definition.machine()["StartAt"]} == set(states)


@pytest.mark.parametrize("name", MAPS)
def test_every_map(name: str) -> None:
    """Each Map batches below the limit, tells items by their number, can be redriven, and keeps results in S3."""
    state = MAPS[name]

    assert {"index.$": "$$.Map.Item.Index", "value.$": "$$.Map.Item.Value"} == state["ItemSelector"]
    assert state["ItemBatcher"]["MaxInputBytesPerBatch"] <= PAYLOAD_BYTES - 32 * 1024
    assert {f"{field}.$" for field in Batch._fields} == set(state["ItemBatcher"]["BatchInput"])
    assert "Catch" not in state
    assert state["Label"] == name
    assert len(name) <= 40
    assert state["ResultWriter"]["Resource"].endswith(":s3:putObject")
    config, (child,) = state["ItemProcessor"]["ProcessorConfig"], state["ItemProcessor"]["States"].values()
    assert "DISTRIBUTED" == config["Mode"]
    assert ("STANDARD", 1) == (config["ExecutionType"], state["ItemBatcher"].get("MaxItemsPerBatch")) or name != "Objects"
    if config["ExecutionType"] == "EXPRESS":
        # An Express execution ends after five minutes ("Quotas related to state executions").
        assert longest_s(child) < 300
    else:
        assert child["TimeoutSeconds"] > 900, "the function's own time"


def longest_s(task: dict[str, Any]) -> float:
    """Seconds until a task gives up at the latest: what Lambda itself refuses comes at once, all else may take the whole time each try."""
    attempts, waits = 1, 0.0
    for rule in task["Retry"]:
        waits += sum(min(rule["MaxDelaySeconds"], rule["IntervalSeconds"] * rule["BackoffRate"] ** n) for n in range(rule["MaxAttempts"]))
        is_slow = not set(rule["ErrorEquals"]) <= AT_ONCE
        waits += 0 if is_slow else rule["MaxAttempts"]
        attempts += rule["MaxAttempts"] if is_slow else 0
    return float(attempts * task["TimeoutSeconds"] + waits)


def test_literals_of_functions() -> None:
    """No literal of an intrinsic function holds what would have to be escaped, but for Format's places, and functions stand where they may.

    https://docs.aws.amazon.com/step-functions/latest/dg/intrinsic-functions.html, "Reserved characters" and "Fields that support".
    """
    found = list(functions(definition.machine(), ()))
    assert found
    for where, text in found:
        assert where[-2] in {"Parameters", "ResultSelector"} or where[-3:-1] == ("Parameters", "defaults"), where
        assert "ResultWriter" not in where
        for literal in re.findall(r"'((?:[^'\\]|\\.)*)'", text):
            assert not set("'{}\\") & set(literal.replace("{}", "") if "States.Format(" in text else literal), text


def functions(found: Any, where: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each intrinsic function with the names that lead to it."""
    for name, value in found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ():
        if isinstance(value, str) and "States." in value and str(name).endswith(".$"):
            yield (*where, str(name)), value
        else:
            yield from functions(value, (*where, str(name)))


def test_errors_that_are_tried_again() -> None:
    """The machine tries again what the function raises for passing failures, and nothing else that it raises."""
    tasks = [
        *(child for state in MAPS.values() for child in state["ItemProcessor"]["States"].values()),
        definition.machine()["States"]["Summary"],
    ]
    raised = {
        name for name, value in vars(machine_errors).items() if isinstance(value, type) and value.__module__ == machine_errors.__name__
    }
    for task in tasks:
        named = {error for rule in task["Retry"] for error in rule["ErrorEquals"]}
        assert {"BatchInterrupted"} == named & raised
        assert {"Lambda.TooManyRequestsException", "Lambda.ServiceException", "Sandbox.Timedout", "States.Timeout"} <= named


def test_formats_and_defaults() -> None:
    """Every format has a reader, and the defaults of an execution started by hand are those of a run."""
    states = definition.machine()["States"]
    assert set(INPUT_FORMATS) == {rule["StringEquals"] for rule in states["Reader"]["Choices"]}

    defaults = states["Defaults"]["Parameters"]["defaults"]
    assert "States.Format('{}map', $.output_prefix)" == defaults.pop("map_prefix.$")
    told = run_of(Asked("s3://bucket/in.csv", "s3://bucket/out/")).input
    places = {"bucket", "key", "output_bucket", "output_prefix"}
    assert set(told) - places == set(defaults)
    assert {name: told[name] for name in defaults if name != "output_format"} == {n: v for n, v in defaults.items() if n != "output_format"}
