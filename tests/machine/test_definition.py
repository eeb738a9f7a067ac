"""The state machine's definition: what each checker of Step Functions' language that works offline says of it."""

import json
from importlib.resources import files

import cfnlint.data.schemas.other.step_functions as schemas
import jsonschema
import pytest
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

from app.batches import machine_errors
from app.batches.machine_run import INPUT_FORMATS, Asked, Batch, run_of
from tests.machine import definition
from tests.machine.map_runner import PAYLOAD_BYTES
from tests.machine.moto_machine import reduced

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
    assert nexts | {"UnknownFormat", "Defaults"} == set(states)


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
    # An Express execution ends after five minutes ("Quotas related to state executions").
    assert child["TimeoutSeconds"] < (300 if config["ExecutionType"] == "EXPRESS" else 1000)


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
        assert {"Lambda.TooManyRequestsException", "Lambda.ServiceException", "Sandbox.Timedout"} <= named


def test_formats_and_defaults() -> None:
    """Every format has a reader, and the defaults of an execution started by hand are those of a run."""
    states = definition.machine()["States"]
    assert set(INPUT_FORMATS) == {rule["StringEquals"] for rule in states["Reader"]["Choices"]}

    defaults = json.loads(states["Defaults"]["Parameters"]["run.$"].partition("'")[2].partition("'")[0])
    told = run_of(Asked("s3://bucket/in.csv", "s3://bucket/out/")).input
    places = {"bucket", "key", "output_bucket", "output_prefix"}
    assert set(told) - places == set(defaults)
    assert {name: told[name] for name in defaults if name != "output_format"} == {n: v for n, v in defaults.items() if n != "output_format"}
