"""template.yaml, as written and as SAM's own translator expands it; nothing here needs Docker or AWS."""

import json
import subprocess
from typing import Any

import pytest

from app.http.routes import ROUTES
from tests.template import ROOT, SAM_PYTHON, expanded, of_type, written

# Where jobs are kept is S3 on AWS, which takes and gives these bodies itself.
OF_SERVE = {("PUT", "/uploads/{id}"), ("GET", "/downloads/{id}")}


@pytest.fixture(name="template", scope="module")
def _template() -> dict[str, Any]:
    """The template as written."""
    return written()


@pytest.fixture(name="expanded", scope="module")
def _expanded() -> dict[str, Any]:
    """The resources that CloudFormation would make, by logical id."""
    return expanded()


def _only(resources: dict[str, Any], kind: str) -> dict[str, Any]:
    (found,) = of_type(resources, kind).values()
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
    """Every row of the route table has a place in the template, but for the two of `serve` alone, and every place a row."""
    functions = of_type(template["Resources"], "AWS::Serverless::Function")
    events = [event["Properties"] for event in functions.pop("OnnxLambda")["Events"].values()]
    places = {(event["Method"], event["Path"]) for event in events}
    used = {(route.method, route.path): _place(route.method, route.path, places) for route in ROUTES}

    assert OF_SERVE == {route for route, place in used.items() if place is None}
    assert places == set(used.values()) - {None}
    assert not any(event["Type"] == "HttpApi" for function in functions.values() for event in function.get("Events", {}).values())


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

    assert 9 == len(groups)
    assert all(group["RetentionInDays"] for group in groups.values())


def test_api_is_throttled_and_logged(expanded: dict[str, Any]) -> None:
    """The stage limits the rate, and its access log is JSON of one line without query strings or headers."""
    stage = _only(expanded, "AWS::ApiGatewayV2::Stage")
    line = stage["AccessLogSettings"]["Format"]

    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] > 0
    assert stage["DefaultRouteSettings"]["ThrottlingBurstLimit"] > 0
    assert "\n" not in line
    assert {"requestId", "status", "route", "ip"} <= json.loads(line).keys()
    assert not {"querystring", "authorizer.claims", "header"} & {word.lower() for word in line.split(".")}
