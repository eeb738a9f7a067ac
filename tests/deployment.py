"""The deployment of template.yaml, with Jobs=on unless told otherwise, as far as one machine goes.

moto's CloudFormation makes the table, the buckets, the queues and the state machine of the template itself; every function gets
the environment that the template gives it, and runs under awslambdaric and AWS's emulator.
"""

import functools
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import botocore.session
import httpx

from local import stack
from local.lambda_queue import Queue
from local.stack import Stack
from tests import template
from tests.jobs.aws_server import AwsServer, aws_server
from tests.jobs.moto_stores import REGION, environment
from tests.policies import JOBS, Gate
from tests.role_calls import unknown
from tests.shells import EventTransport, emulator, runtimes
from tests.template_values import PSEUDO, Values

Invoke = Callable[[Any], Any]
# What moto's CloudFormation can make, and what the functions' environments refer to.
MADE = stack.MADE | {"AWS::StepFunctions::StateMachine"}
ACCOUNT = PSEUDO["AWS::AccountId"]
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
    values: Values

    def client(self, service: str) -> Any:
        """A client of the tests' own."""
        session = botocore.session.Session()
        session.set_credentials("AKIDEXAMPLE", "secret")
        return session.create_client(service, endpoint_url=self.server.url, region_name=REGION)

    def functions(self) -> list[str]:
        """The functions that are made."""
        return Stack(self.names, self.values).functions()

    def environment(self, function: str) -> dict[str, str]:
        """The environment that the template gives a function."""
        found = Stack(self.names, self.values).variables(function)
        return {**found, **environment(self.url), "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": function}


@contextmanager
def deployed(**parameters: str) -> Iterator[Resources]:
    """What the template keeps things in, and the secret, with these parameters; with Jobs=on where none is said."""
    wanted = parameters or JOBS
    server = aws_server()
    server.ahead_s = 0.0
    server.faults.clear()
    name = f"stack-{secrets.token_hex(4)}"
    values = Values(wanted, {**PSEUDO, "AWS::StackName": name})
    names: dict[str, str] = {}
    before = server._moto
    # A deployment beside another has its own roles.
    moto = before.moto if isinstance(before, Gate) else before
    made = Resources(server, names, server.url, Gate(moto, names, wanted), values)
    resources = {key: _for_moto(one) for key, one in template.expanded().items() if one["Type"] in MADE}
    names.update(stack.create(made.client, name, values, resources))
    stack.notify(made.client, Stack(names, values))
    stack.make_secret(made.client, name, Stack(names, values))
    server._moto = made.gate
    try:
        yield made
    finally:
        server._moto = before
    assert set() == unknown(made.gate.seen)


def _for_moto(resource: dict[str, Any]) -> dict[str, Any]:
    """What moto understands: a state machine whose definition is in the template, of functions and roles that need not be there."""
    if resource["Type"] != "AWS::StepFunctions::StateMachine":
        # The order of things is not moto's concern.
        return {key: value for key, value in resource.items() if key != "DependsOn"}
    properties = {key: resource["Properties"][key] for key in ("StateMachineName", "StateMachineType")}
    definition = (template.ROOT / template.written()["Resources"]["BatchMachine"]["Properties"]["DefinitionUri"]).read_text()
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:BatchWorker"
    for name, value in resource["Properties"]["DefinitionSubstitutions"].items():
        definition = definition.replace(f"${{{name}}}", function if "Fn::GetAtt" in value else PSEUDO[value["Ref"]])
    properties |= {"DefinitionString": definition, "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/BatchMachineRole"}
    return {**{key: resource[key] for key in ("Type", "Condition")}, "Properties": properties}


class Deployment:
    """The functions of a deployment, each started at its first event, and the queues between them."""

    def __init__(self, made: Resources, models: Path, folder: Path, stack: ExitStack, **settings: str) -> None:
        self.made = made
        self._models, self._folder, self._stack, self._settings = models, folder, stack, settings
        self._running: dict[str, Invoke] = {}
        (folder / "sitecustomize.py").write_text(CLOCK)
        self.set_clock(0.0)
        self.api = httpx.Client(transport=EventTransport(lambda event: self.invoke("OnnxLambda", event)), base_url="http://lambda")

    @functools.cached_property
    def jobs(self) -> Queue:
        """The queue of jobs."""
        return self.queue("JobsQueue")

    @functools.cached_property
    def dead_jobs(self) -> Queue:
        """Its dead letters."""
        return self.queue("JobsDeadQueue")

    @functools.cached_property
    def webhooks(self) -> Queue:
        """The queue of webhooks."""
        return self.queue("WebhooksQueue")

    def queue(self, name: str) -> Queue:
        """A queue by its name in the template."""
        return Queue(self.made.client("sqs"), self.made.names[name])

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
        return runtimes("FUNCTION_MARK", self._mark(function))

    def _mark(self, function: str) -> str:
        return f"{function}-{self.made.values.value({'Ref': 'AWS::StackName'})}-{os.getpid()}"

    def _environment(self, function: str) -> dict[str, str]:
        return {
            **self.made.environment(function),
            "PYTHONPATH": f"{self._folder}{os.pathsep}{template.ROOT}",
            "AHEAD_FILE": str(self._folder / "ahead"),
            "FUNCTION_MARK": self._mark(function),
            **self._settings,
        }


@contextmanager
def running(models: Path, folder: Path, parameters: Mapping[str, str] = JOBS, **settings: str) -> Iterator[Deployment]:
    """A deployment whose functions are gone at the end."""
    with deployed(**parameters) as made, ExitStack() as stack:
        deployment = Deployment(made, models, folder, stack, **settings)
        stack.enter_context(deployment.api)
        yield deployment


def wait_for(is_so: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Wait until something is so."""
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends, f"waited {seconds} s in vain for {what}"
        time.sleep(0.01)
