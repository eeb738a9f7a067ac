"""A version of a function that is to be released: asked, and reported on to CodeDeploy."""

from typing import Any, NamedTuple

import orjson

from app.storage.aws_clients import call, unavailable


class Invoked(NamedTuple):
    """What an invoke came to. ``failure`` is the type of what was raised, or empty."""

    answer: Any
    failure: str = ""


def invoke(function: str, event: Any) -> Invoked:
    """Invoke a version and wait for its answer.

    :param function: the version's ARN.
    :raises StoreUnavailable: where it was not invoked, or is not known to have been.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found = call("lambda", "invoke", FunctionName=function, InvocationType="RequestResponse", Payload=orjson.dumps(event))
        body = found["Payload"].read()
    except (ClientError, BotoCoreError) as error:
        raise unavailable("lambda", "invoke") from error
    answer = orjson.loads(body) if body else None
    if "FunctionError" not in found:
        return Invoked(answer)
    kind = answer.get("errorType") if isinstance(answer, dict) else None
    return Invoked(answer, str(kind or found["FunctionError"]))


def report(deployment: str, execution: str, *, succeeded: bool) -> None:
    """Tell CodeDeploy whether to go on: https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_PutLifecycleEventHookExecutionStatus.html

    :raises StoreUnavailable: where it is not known to have heard.
    """
    from botocore.exceptions import ClientError

    status = "Succeeded" if succeeded else "Failed"
    try:
        call(
            "codedeploy",
            "put_lifecycle_event_hook_execution_status",
            deploymentId=deployment,
            lifecycleEventHookExecutionId=execution,
            status=status,
        )
    except ClientError as error:
        raise unavailable("codedeploy", "put_lifecycle_event_hook_execution_status") from error
