"""Executions of a state machine: started once by name, looked at, and begun again where they failed."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from app.errors import SettingError
from app.storage.aws_clients import call


class Counts(NamedTuple):
    """Items of a Map run (DescribeMapRun, ``itemCounts``)."""

    total: int = 0
    succeeded: int = 0
    failed: int = 0

    @property
    def left(self) -> int:
        """Items that nothing is known of yet."""
        return max(0, self.total - self.succeeded - self.failed)


class Execution(NamedTuple):
    """An execution as DescribeExecution tells of it. ``started`` and ``ended`` are seconds since the epoch."""

    arn: str
    status: str
    output: str = ""
    error: str = ""
    cause: str = ""
    redrivable: bool = False

    @property
    def is_running(self) -> bool:
        """Whether it may still change by itself."""
        return self.status in {"RUNNING", "PENDING_REDRIVE"}


def start(machine_arn: str, name: str, told: Mapping[str, Any]) -> tuple[str, bool]:
    """Start the execution of a name, which there is only one of.

    :returns: its ARN, and whether it is new as far as is known: False where there was one, whatever became of it.
    :raises SettingError: where there is no such state machine.
    :raises StoreUnavailable: where nothing is known of it; asked again it is still the same execution.
    """
    import orjson
    from botocore.exceptions import ClientError

    if machine_arn.count(":") != 6 or ":stateMachine:" not in machine_arn:
        raise SettingError("The state machine is named by its ARN, arn:aws:states:REGION:ACCOUNT:stateMachine:NAME.")
    try:
        answer = call("stepfunctions", "start_execution", stateMachineArn=machine_arn, name=name, input=orjson.dumps(told).decode())
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code != "ExecutionAlreadyExists":
            raise SettingError("There is no such state machine in this account and region; look at BATCH_STATE_MACHINE_ARN.") from error
        # "Amazon Resource Names": an execution is its machine's name and its own.
        return f"{machine_arn.replace(':stateMachine:', ':execution:', 1)}:{name}", False
    return str(answer["executionArn"]), True


def execution(arn: str) -> Execution | None:
    """An execution; None where there is none, or none any more: they are kept for 90 days."""
    from botocore.exceptions import ClientError

    try:
        found = call("stepfunctions", "describe_execution", executionArn=arn)
    except ClientError:
        return None
    return Execution(
        arn,
        found["status"],
        found.get("output", ""),
        found.get("error", ""),
        found.get("cause", ""),
        redrivable=found.get("redriveStatus", "") == "REDRIVABLE",
    )


def counts(arn: str) -> Counts:
    """The items of an execution's Map runs together."""
    found = Counts()
    for run in call("stepfunctions", "list_map_runs", executionArn=arn)["mapRuns"]:
        items = call("stepfunctions", "describe_map_run", mapRunArn=run["mapRunArn"])["itemCounts"]
        failed = sum(items[name] for name in ("failed", "timedOut", "aborted"))
        found = Counts(found.total + items["total"], found.succeeded + items["succeeded"], found.failed + failed)
    return found


def redrive(arn: str) -> bool:
    """Have what failed of an execution run again; False where that cannot be done (any more).

    https://docs.aws.amazon.com/step-functions/latest/dg/redrive-map-run.html
    """
    from botocore.exceptions import ClientError

    try:
        call("stepfunctions", "redrive_execution", executionArn=arn)
    except ClientError:
        return False
    return True
