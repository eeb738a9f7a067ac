"""The deployment of template.yaml with Jobs=on, as far as one machine goes.

moto's CloudFormation makes the table, the bucket and the queues of the template itself; every function gets the environment that
the template gives it, and runs under awslambdaric and AWS's emulator.
"""

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import botocore.session
import httpx

from tests import template
from tests.jobs.aws_server import AwsServer, aws_server
from tests.jobs.moto_stores import REGION, environment
from tests.lambda_queue import Queue
from tests.policies import Gate
from tests.shells import EventTransport, emulator

Invoke = Callable[[Any], Any]
# What moto's CloudFormation can make, and what the functions' environments refer to.
MADE = {"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SQS::Queue"}
FUNCTIONS = ("OnnxLambda", "JobsWorker", "WebhookSender", "JobsSweeper")
# Read by every function whenever the jobs' clock is asked: seconds by which it is ahead. Lambda's own deadlines stay as they are.
CLOCK = """
import os, pathlib, sys, time
_now, _ahead = time.time, pathlib.Path(os.environ["AHEAD_FILE"])
def _moved():
    jobs = sys._getframe(1).f_globals.get("__name__", "").startswith("app.jobs.")
    return _now() + (float(_ahead.read_text()) if jobs else 0.0)
time.time = _moved
"""


class Resources(NamedTuple):
    """What was made of the template."""

    server: AwsServer
    names: dict[str, str]
    # where functions find AWS
    url: str
    # what their roles let them do there
    gate: Gate

    def client(self, service: str) -> Any:
        """A client of the tests' own."""
        session = botocore.session.Session()
        session.set_credentials("AKIDEXAMPLE", "secret")
        return session.create_client(service, endpoint_url=self.server.url, region_name=REGION)

    def environment(self, function: str) -> dict[str, str]:
        """The environment of a function with Jobs=on."""
        written = template.written()
        variables = dict(written["Globals"]["Function"]["Environment"]["Variables"])
        variables |= written["Resources"][function]["Properties"]["Environment"]["Variables"]
        found = {name: self._value(value) for name, value in variables.items()}
        return {**found, **environment(self.url), "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": function}

    def _value(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        if "Fn::If" in value:
            condition, on, _ = value["Fn::If"]
            assert "JobsOn" == condition
            return self._value(on)
        return self.names[value["Ref"]]


@contextmanager
def deployed() -> Iterator[Resources]:
    """The table, the bucket, the queues and the secret of the template."""
    written = template.written()
    resources = {name: resource for name, resource in written["Resources"].items() if resource["Type"] in MADE}
    body = json.dumps({**{key: written[key] for key in ("Parameters", "Conditions")}, "Resources": resources})
    server = aws_server()
    server.ahead_s = 0.0
    server.faults.clear()
    names = {"PublicUrl": ""}
    made = Resources(server, names, server.url, Gate(server._moto, names))
    stack = f"jobs-{secrets.token_hex(4)}"
    cloudformation = made.client("cloudformation")
    cloudformation.create_stack(StackName=stack, TemplateBody=body, Parameters=[{"ParameterKey": "Jobs", "ParameterValue": "on"}])
    found = cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
    names.update({resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in found})
    # moto's CloudFormation knows no secrets; its Secrets Manager generates as it is told.
    manager = made.client("secretsmanager")
    wanted = written["Resources"]["WebhookSecret"]["Properties"]["GenerateSecretString"]
    value = manager.get_random_password(**wanted)["RandomPassword"]
    names["WebhookSecret"] = manager.create_secret(Name=stack, SecretString=value)["ARN"]
    before, server._moto = server._moto, made.gate
    try:
        yield made
    finally:
        server._moto = before


class Deployment:
    """The functions of a deployment, each started at its first event, and the queues between them."""

    def __init__(self, made: Resources, models: Path, folder: Path, stack: ExitStack, **settings: str) -> None:
        self.made = made
        self._models, self._folder, self._stack, self._settings = models, folder, stack, settings
        self._running: dict[str, Invoke] = {}
        (folder / "sitecustomize.py").write_text(CLOCK)
        self.set_clock(0.0)
        sqs = made.client("sqs")
        self.jobs = Queue(sqs, made.names["JobsQueue"])
        self.dead_jobs = Queue(sqs, made.names["JobsDeadQueue"])
        self.webhooks = Queue(sqs, made.names["WebhooksQueue"])
        self.api = httpx.Client(transport=EventTransport(lambda event: self.invoke("OnnxLambda", event)), base_url="http://lambda")

    def set_clock(self, ahead_s: float) -> None:
        """Move on the clocks of jobs and queues; they start with the machine's."""
        (self._folder / "ahead").write_text(str(ahead_s))
        self.made.server.ahead_s = ahead_s

    def invoke(self, function: str, event: Any) -> Any:
        """Invoke a function by its name in the template."""
        if function not in self._running:
            self._running[function] = self._stack.enter_context(emulator(self._models, **self._environment(function)))
        return self._running[function](event)

    def answer_jobs(self) -> Any:
        """One delivery to the worker; None where there was no message."""
        return self.jobs.deliver(lambda event: self.invoke("JobsWorker", event))

    def send_webhooks(self) -> Any:
        """One delivery to the webhooks' sender; None where there was no message."""
        return self.webhooks.deliver(lambda event: self.invoke("WebhookSender", event), batch=1)

    def sweep(self) -> Any:
        """What the schedule does every minute."""
        schedule = template.written()["Resources"]["JobsSweeper"]["Properties"]["Events"]["EveryMinute"]["Properties"]
        return self.invoke("JobsSweeper", json.loads(schedule["Input"]))

    def runtimes(self, function: str) -> list[int]:
        """The process of a function's runtime, as a list of one, or of none where it is not running."""
        found = []
        for place in Path("/proc").iterdir():
            try:
                command = (place / "cmdline").read_bytes()
                wanted = b"awslambdaric" in command and b"aws-lambda-rie" not in command
                if wanted and f"FUNCTION_MARK={self._mark(function)}".encode() in (place / "environ").read_bytes().split(b"\0"):
                    found.append(int(place.name))
            except OSError:
                # Another process, or gone meanwhile.
                continue
        return found

    def _mark(self, function: str) -> str:
        return f"{function}-{self.made.names['JobsTable']}-{os.getpid()}"

    def _environment(self, function: str) -> dict[str, str]:
        return {
            **self.made.environment(function),
            "PYTHONPATH": f"{self._folder}{os.pathsep}{template.ROOT}",
            "AHEAD_FILE": str(self._folder / "ahead"),
            "FUNCTION_MARK": self._mark(function),
            **self._settings,
        }


@contextmanager
def running(models: Path, folder: Path, **settings: str) -> Iterator[Deployment]:
    """A deployment whose functions are gone at the end."""
    with deployed() as made, ExitStack() as stack:
        deployment = Deployment(made, models, folder, stack, **settings)
        stack.enter_context(deployment.api)
        yield deployment


def wait_for(is_so: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Wait until something is so."""
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends, f"waited {seconds} s in vain for {what}"
        time.sleep(0.01)
