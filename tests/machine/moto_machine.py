"""moto's Step Functions engine with the project's function behind it."""

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from moto.awslambda.models import LambdaFunction
from moto.core.config import default_user_config

from tests.jobs.aws_server import AwsServer
from tests.machine import definition

_WAIT_S = 60.0
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def reduced(bucket: str = "bucket") -> dict[str, Any]:
    """The definition without what moto's grammar has no words for: ItemBatcher, WriterConfig, Express children, JSONL and Parquet.

    Each item is a batch of one then, which ItemSelector makes in ItemBatcher's place. And moto looks for the paths of ResultWriter in
    the Map's results, where Step Functions takes them from its input: here they are the very values.
    """
    machine = definition.machine()
    states = machine["States"]
    for name, state in list(states.items()):
        if state["Type"] != "Map":
            continue
        if state["ItemReader"].get("ReaderConfig", {}).get("InputType") in {"JSONL", "PARQUET"}:
            del states[name]
            states["Reader"]["Choices"] = [rule for rule in states["Reader"]["Choices"] if rule["Next"] != name]
            continue
        state["ItemSelector"] = {"Items": [state["ItemSelector"]], "BatchInput": state.pop("ItemBatcher")["BatchInput"]}
        state["ItemProcessor"]["ProcessorConfig"]["ExecutionType"] = "STANDARD"
        state["ResultWriter"] = {"Resource": state["ResultWriter"]["Resource"], "Parameters": {"Bucket": bucket, "Prefix": "out/map"}}
    # Integrations with AWS's SDK write all names in Pascal case ("Learning to use AWS service SDK integrations"); moto has the API's own.
    states["Count"] |= {"Parameters": {"mapRunArn.$": "$.map.MapRunArn"}, "ResultSelector": {"total.$": "$.itemCounts.total"}}
    return machine


@contextmanager
def moto_machine(server: AwsServer, name: str, invoke: Callable[[Any], Any]) -> Iterator[str]:
    """A state machine whose Tasks invoke; its ARN. Failures are told as awslambdaric tells them."""

    def invoked(_: LambdaFunction, event: Any = None) -> tuple[str, bool, str]:
        try:
            return json.dumps(invoke(event if isinstance(event, dict) else json.loads(event))), False, ""
        except Exception as error:
            return json.dumps({"errorType": type(error).__name__, "errorMessage": str(error)}), True, ""

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(default_user_config, "stepfunctions", {"execute_state_machine": True})
        patch.setenv("MOTO_PORT", server.url.rpartition(":")[2])
        patch.setattr(LambdaFunction, "_invoke_lambda", invoked)
        role = boto3.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(_TRUST))["Role"]["Arn"]
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("handler.py", "")
        made = boto3.client("lambda").create_function(
            FunctionName=name, Runtime="python3.13", Role=role, Handler="handler.handler", Code={"ZipFile": code.getvalue()}
        )
        text = json.dumps(reduced(name)).replace(definition.FUNCTION, made["FunctionArn"])
        yield boto3.client("stepfunctions").create_state_machine(name=name, definition=text, roleArn=role)["stateMachineArn"]


def ended(execution_arn: str) -> dict[str, Any]:
    """The execution once it has ended."""
    client = boto3.client("stepfunctions")
    until = time.monotonic() + _WAIT_S
    while time.monotonic() < until:
        found: dict[str, Any] = client.describe_execution(executionArn=execution_arn)
        if found["status"] != "RUNNING":
            return found
        time.sleep(0.1)
    raise AssertionError("it does not end")
