"""template.yaml, as written and as SAM's own translator expands it; nothing here needs Docker or AWS."""

import subprocess
from typing import Any

import pytest

from tests.template import ROOT, SAM_PYTHON, expanded, of_type


@pytest.fixture(name="expanded", scope="module")
def _expanded() -> dict[str, Any]:
    """The resources that CloudFormation would make, by logical id."""
    return expanded()


def test_sam_accepts_the_template() -> None:
    """`sam validate --lint` has nothing to say against the template."""
    environment = {"PATH": "/usr/bin:/bin", "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1", "HOME": str(ROOT / ".venv-sam")}
    done = subprocess.run(
        [SAM_PYTHON.with_name("sam"), "validate", "--lint", "--template", ROOT / "template.yaml"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "valid SAM Template" in done.stdout


def test_function_ends_before_the_gateway_gives_up(expanded: dict[str, Any]) -> None:
    """The function's own 504 comes before the HTTP API's silent 503 at 30 s."""
    function = expanded["OnnxLambda"]["Properties"]

    assert function["Timeout"] < 30
    assert "Image" == function["PackageType"]


def test_function_may_write_its_own_logs_only(expanded: dict[str, Any]) -> None:
    """Where jobs are off the role has no managed policy and no wildcard: it writes to the one log group that the function logs to."""
    role = expanded["FunctionRole"]["Properties"]
    (statement,) = role["Policies"][0]["PolicyDocument"]["Statement"]

    assert "ManagedPolicyArns" not in role
    assert ["logs:CreateLogStream", "logs:PutLogEvents"] == statement["Action"]
    assert {"Fn::GetAtt": ["FunctionLogs", "Arn"]} == statement["Resource"]
    assert {"LogGroup": {"Ref": "FunctionLogs"}} == expanded["OnnxLambda"]["Properties"]["LoggingConfig"]


def test_no_log_is_kept_for_ever(expanded: dict[str, Any]) -> None:
    """Every log group has a retention."""
    groups = of_type(expanded, "AWS::Logs::LogGroup")

    assert len(groups) > 8
    assert all(group["RetentionInDays"] for group in groups.values())
