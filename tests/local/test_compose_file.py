"""compose.yaml and what its containers are started with say the same as the template."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from local import functions
from local.__main__ import GATEWAY_PORT, HOST, SHARED, values
from local.stack import Stack, plain_resources
from local.template import ROOT
from tests import template

RESTRICTIONS: dict[str, Any] = {"read_only": True, "tmpfs": ["/tmp"], "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    return found


@pytest.fixture(scope="module")
def stack() -> Stack:
    """The stack, with names that say what they are of."""
    return Stack({name: f"made-{name}" for name in template.written()["Resources"]}, values())


def test_every_function_has_a_service(services: dict[str, Any], stack: Stack) -> None:
    """Each function that the stack makes is one container of the project's own image, beside that of AWS."""
    commands = [service["command"] for name, service in services.items() if name != "aws"]

    assert sorted([name] for name in stack.functions()) == sorted(commands)
    assert {"onnx-lambda"} == {service["image"] for name, service in services.items() if name != "aws"}
    assert {"service:aws"} == {service["network_mode"] for name, service in services.items() if name != "aws"}


def test_containers_are_restricted_and_nobody_elses(services: dict[str, Any]) -> None:
    """Every container is as restricted as the tests of the image have it, and this machine alone reaches the ports."""
    for service in services.values():
        assert RESTRICTIONS.items() <= service.items()
    assert all(port.startswith("127.0.0.1:") for port in services["aws"]["ports"])
    assert any(port.endswith(f":{GATEWAY_PORT}") for port in services["aws"]["ports"])
    assert [HOST] == services["aws"]["networks"]["default"]["aliases"]
    assert [f"functions:{SHARED}"] == services["aws"]["volumes"]


def test_a_functions_environment_is_the_templates(stack: Stack) -> None:
    """What a function is started with is what the template says of it, with the names of what was made."""
    found = {one.name: functions.environment(one, stack, "http://aws") for one in functions.functions_of(stack)}
    worker, sender = found["JobsWorker"], found["WebhookSender"]

    assert ("aws", "made-JobsTable", "made-JobsQueue") == (worker["JOBS"], worker["JOBS_TABLE"], worker["JOBS_QUEUE_URL"])
    assert ("300", "1769") == (worker["AWS_LAMBDA_FUNCTION_TIMEOUT"], worker["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"])
    assert ("none", "made-WebhookSecret") == (sender["PRELOAD_MODELS"], sender["WEBHOOK_SECRETS_ARN"])
    assert "handler.handler" == worker["HANDLER"]
    ports = [address for variables in found.values() for address in (variables["EMULATOR"], variables["RUNTIME_API"])]
    assert len(ports) == len(set(ports))


def test_a_shell_reads_the_environment(tmp_path: Path) -> None:
    """start.sh gives the emulator's child every value as it is, whatever is in it."""
    (tmp_path / "start.sh").write_text((ROOT / "local" / "start.sh").read_text())
    emulator = tmp_path / "aws-lambda-rie"
    emulator.write_text('#!/bin/sh\necho "$@"\nenv\n')
    emulator.chmod(0o755)
    odd = "a b'c\"d$e`f\\g"
    functions.write(tmp_path / "F.env", {"ODD": odd, "EMULATOR": "1:2", "RUNTIME_API": "3:4", "HANDLER": "handler.handler"})
    done = subprocess.run(
        ["/bin/sh", tmp_path / "start.sh", "F"], capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]}
    )
    first, *rest = done.stdout.splitlines()

    assert "--runtime-interface-emulator-address 1:2 --runtime-api-address 3:4 /entrypoint.sh handler.handler" == first
    assert f"ODD={odd}" in rest


def test_what_is_made_is_what_sam_would_make() -> None:
    """SAM's translator leaves tables, buckets and queues as they are written, so that the stack needs none of it."""
    expanded = template.expanded()

    assert {name: expanded[name]["Properties"] for name in plain_resources()} == {
        name: one["Properties"] for name, one in plain_resources().items()
    }


def test_the_dockerfile_copies_what_the_context_has() -> None:
    """Everything that local/Dockerfile copies is let through by .dockerignore."""
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [
        source
        for line in (ROOT / "local" / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]

    assert len(copied) > 3
    assert [] == [source for source in copied if f"!{source}" not in allowed]
