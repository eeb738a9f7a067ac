"""Step Functions as the command line sees it, with executions that end as a test says: moto redrives nothing and ends too soon to be watched.

Answers and errors are those of https://docs.aws.amazon.com/step-functions/latest/apireference/.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from app.storage import aws_clients

ARN = "arn:aws:states:eu-west-1:123456789012:stateMachine:batch"


class MemoryMachine:
    """Executions by name. ``ends`` are the ends of executions and redrives, in their order; each is there after three looks."""

    def __init__(self, *ends: tuple[str, dict[str, Any]], redrivable: bool = True) -> None:
        self.ends = list(ends)
        self.redrivable = redrivable
        self.started: list[str] = []
        self.redriven: list[str] = []
        self.told: dict[str, Any] = {}
        self._looks: dict[str, int] = {}
        self._end_of: dict[str, tuple[str, dict[str, Any]]] = {}

    def start_execution(self, name: str, **asked: Any) -> dict[str, Any]:
        if asked["stateMachineArn"] != ARN:
            raise refused("StateMachineDoesNotExist")
        if name in self._end_of:
            raise refused("ExecutionAlreadyExists")
        assert len(name) <= 80
        assert name.replace("-", "").replace("_", "").isalnum()
        self.started.append(name)
        self.told = json.loads(asked["input"])
        return {"executionArn": self._begin(name)}

    def describe_execution(self, **asked: str) -> dict[str, Any]:
        name = asked["executionArn"].rpartition(":")[2]
        if name not in self._end_of:
            raise refused("ExecutionDoesNotExist")
        self._looks[name] += 1
        if self._looks[name] <= 3:
            return {"status": "RUNNING"}
        status, more = self._end_of[name]
        if status == "SUCCEEDED":
            return {"status": status, "output": json.dumps(more), "redriveStatus": "NOT_REDRIVABLE"}
        return {"status": status, **more, "redriveStatus": "REDRIVABLE" if self.redrivable else "NOT_REDRIVABLE"}

    def list_map_runs(self, **asked: str) -> dict[str, Any]:
        return {"mapRuns": [{"mapRunArn": asked["executionArn"]}]}

    def describe_map_run(self, **asked: str) -> dict[str, Any]:
        done = min(3, self._looks[asked["mapRunArn"].rpartition(":")[2]]) * 100
        items = {"total": 1000, "succeeded": done, "failed": 5, "timedOut": 1, "aborted": 0, "pending": 0, "running": 894 - done}
        return {"itemCounts": items}

    def redrive_execution(self, **asked: str) -> dict[str, Any]:
        name = asked["executionArn"].rpartition(":")[2]
        if not self.redrivable:
            raise refused("ExecutionNotRedrivable")
        self.redriven.append(name)
        self._begin(name)
        return {}

    def _begin(self, name: str) -> str:
        self._looks[name], self._end_of[name] = 0, self.ends.pop(0)
        return f"{ARN.replace('stateMachine', 'execution')}:{name}"


@contextmanager
def in_the_way(machine: MemoryMachine) -> Iterator[None]:
    """Every request to Step Functions goes there; all others go on."""
    passed = aws_clients.send

    def send(service: str, operation: str, arguments: dict[str, Any]) -> Any:
        return getattr(machine, operation)(**arguments) if service == "stepfunctions" else passed(service, operation, arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aws_clients, "send", send)
        yield


def refused(code: str) -> ClientError:
    """AWS's no."""
    return ClientError({"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}, "")
