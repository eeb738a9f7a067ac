"""template.yaml, as written and as SAM's own translator expands it; nothing here needs Docker or AWS."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.http.routes import ROUTES

ROOT = Path(__file__).parent.parent.parent
SAM_PYTHON = ROOT / ".venv-sam" / "bin" / "python"
# Runs in SAM's own environment: the template's path in, the CloudFormation template out.
TRANSLATE = """
import json, sys
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse
import boto3

class NoManagedPolicies:
    def load(self):
        return {"AWSLambdaBasicExecutionRole": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"}

template = yaml_parse(open(sys.argv[1]).read())
for resource in template["Resources"].values():
    if resource.get("Properties", {}).get("PackageType") == "Image":
        resource["Properties"]["ImageUri"] = "123456789012.dkr.ecr.us-east-1.amazonaws.com/onnx-lambda@sha256:" + "0" * 64
boto3.setup_default_session(region_name="us-east-1")
print(json.dumps(transform(template, {}, NoManagedPolicies())))
"""


class _Loader(yaml.SafeLoader):
    """CloudFormation's tags become their long form."""


def _tag(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> Any:
    value = loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None
    return {"Ref": value} if name == "Ref" else {f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _tag)


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    """The template as written."""
    found: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text(), _Loader)
    return found


@pytest.fixture(scope="module")
def expanded() -> dict[str, Any]:
    """The resources that CloudFormation would make, by logical id."""
    done = subprocess.run(
        [SAM_PYTHON, "-W", "ignore", "-c", TRANSLATE, ROOT / "template.yaml"],
        capture_output=True,
        check=True,
        timeout=60,
        env={"AWS_DEFAULT_REGION": "us-east-1"},
    )
    found: dict[str, Any] = json.loads(done.stdout)["Resources"]
    return found


def _only(resources: dict[str, Any], kind: str) -> dict[str, Any]:
    (found,) = [resource["Properties"] for resource in resources.values() if resource["Type"] == kind]
    return dict(found)


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


def _place(method: str, path: str, places: set[tuple[str, str]]) -> tuple[str, str] | None:
    """Where API Gateway sends a route: to its own place, else to the greedy one above it."""
    if (method, path) in places:
        return method, path
    greedy = [(verb, place) for verb, place in places if place.endswith("/{proxy+}") and path.startswith(place.removesuffix("{proxy+}"))]
    return greedy[0] if len(greedy) == 1 and greedy[0][0] in {method, "ANY"} else None


def test_routes_are_those_of_the_table(template: dict[str, Any]) -> None:
    """Every row of the route table has a place in the template, and every place a row."""
    (function,) = [r for r in template["Resources"].values() if r["Type"] == "AWS::Serverless::Function"]
    events = [event["Properties"] for event in function["Properties"]["Events"].values() if event["Type"] == "HttpApi"]
    places = {(event["Method"], event["Path"]) for event in events}
    used = {(route.method, route.path): _place(route.method, route.path, places) for route in ROUTES}

    assert [] == [route for route, place in used.items() if place is None]
    assert places == set(used.values())


def test_only_the_liveness_check_is_open(expanded: dict[str, Any]) -> None:
    """Every operation of the expanded API but GET /health/live takes requests signed for IAM only."""
    paths = _only(expanded, "AWS::ApiGatewayV2::Api")["Body"]["paths"]
    security = {(method.upper(), path): op.get("security") for path, ops in paths.items() for method, op in ops.items()}

    assert [{"NONE": []}] == security.pop(("GET", "/health/live"))
    assert all([{"AWS_IAM": []}] == wanted for wanted in security.values()), security


def test_events_have_the_payload_that_the_gateway_reads(expanded: dict[str, Any]) -> None:
    """The integration of every route sends payload 2.0 to the function."""
    body = _only(expanded, "AWS::ApiGatewayV2::Api")["Body"]
    integrations = [op["x-amazon-apigateway-integration"] for ops in body["paths"].values() for op in ops.values()]

    assert len(integrations) > 10
    assert {"2.0"} == {integration["payloadFormatVersion"] for integration in integrations}


def test_function_ends_before_the_gateway_gives_up(expanded: dict[str, Any]) -> None:
    """The function's own 504 comes before the HTTP API's silent 503 at 30 s."""
    function = _only(expanded, "AWS::Lambda::Function")

    assert function["Timeout"] < 30
    assert "Image" == function["PackageType"]


def test_function_may_write_its_own_logs_only(expanded: dict[str, Any]) -> None:
    """No managed policy and no wildcard: the role writes to the one log group that the function logs to."""
    role = _only(expanded, "AWS::IAM::Role")
    (statement,) = role["Policies"][0]["PolicyDocument"]["Statement"]

    assert "ManagedPolicyArns" not in role
    assert ["logs:CreateLogStream", "logs:PutLogEvents"] == statement["Action"]
    assert {"Fn::GetAtt": ["FunctionLogs", "Arn"]} == statement["Resource"]
    assert {"LogGroup": {"Ref": "FunctionLogs"}} == _only(expanded, "AWS::Lambda::Function")["LoggingConfig"]


def test_no_log_is_kept_for_ever(expanded: dict[str, Any]) -> None:
    """Every log group has a retention."""
    groups = [resource["Properties"] for resource in expanded.values() if resource["Type"] == "AWS::Logs::LogGroup"]

    assert 2 == len(groups)
    assert all(group["RetentionInDays"] for group in groups)


def test_api_is_throttled_and_logged(expanded: dict[str, Any]) -> None:
    """The stage limits the rate, and its access log is JSON of one line without query strings or headers."""
    stage = _only(expanded, "AWS::ApiGatewayV2::Stage")
    line = stage["AccessLogSettings"]["Format"]

    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] > 0
    assert stage["DefaultRouteSettings"]["ThrottlingBurstLimit"] > 0
    assert "\n" not in line
    assert {"requestId", "status", "route", "ip"} <= json.loads(line).keys()
    assert not {"querystring", "authorizer.claims", "header"} & {word.lower() for word in line.split(".")}
