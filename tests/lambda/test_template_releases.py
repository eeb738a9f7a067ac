"""How template.yaml releases a version: by digest, through an alias, after the golden samples, a part of the traffic at a time."""

import functools
import re
from typing import Any

import pytest

from app.hooks import pre_traffic
from tests.event_parameters import EVERYTHING
from tests.template import FILE, ROOT, of_type, translated, written
from tests.template_values import Values

CANARY = {"Release": "Canary10Percent5Minutes"}
WORKERS = {"JobsWorker", "WebhookSender", "JobsSweeper", "RecordsWorker", "InboxWorker", "BatchWorker", "TenantFunction"}


@functools.cache
def _translated(release: str) -> dict[str, Any]:
    return translated(FILE, Release=release)


def released(**parameters: str) -> dict[str, Any]:
    """The resources of a stack with these parameters, of which SAM itself looks at the release."""
    return Values(parameters).resources(_translated(parameters.get("Release", "off")))


def properties(resources: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = resources[name]["Properties"]
    return found


def test_images_are_named_by_digest() -> None:
    """Every function takes the image of the parameter, which is a digest and never a tag."""
    pattern = written()["Parameters"]["ImageUri"]["AllowedPattern"]
    repository = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/onnx-lambda"
    functions = {name: one for name, one in written()["Resources"].items() if one["Type"].endswith("::Function")}

    assert re.fullmatch(pattern, "")
    assert re.fullmatch(pattern, f"{repository}@sha256:{'0a' * 32}")
    assert not re.fullmatch(pattern, f"{repository}:latest")
    assert not re.fullmatch(pattern, repository)
    assert len(functions) > 8
    for name, function in functions.items():
        found = function["Properties"]
        assert {"Ref": "ImageUri"} == (found["ImageUri"] if "ImageUri" in found else found["Code"]["ImageUri"]), name


def test_api_calls_an_alias() -> None:
    """Both APIs, and their permissions, are for the alias; who calls the function by the outputs calls it too."""
    resources = released(Events="on")
    alias = properties(resources, "OnnxLambdaAliaslive")
    (version,) = of_type(resources, "AWS::Lambda::Version")

    assert ("live", {"Ref": "OnnxLambda"}) == (alias["Name"], alias["FunctionName"])
    assert {"Fn::GetAtt": [version, "Version"]} == alias["FunctionVersion"]
    # A version that was released stays, so that there is one to go back to.
    assert "Retain" == resources[version]["DeletionPolicy"]
    for permission in ("ApiPermission", "RestApiPermission"):
        assert {"Ref": "OnnxLambdaAliaslive"} == _translated("off")[permission]["Properties"]["FunctionName"]
    uris = re.findall(r"functions/\$\{OnnxLambda\.Arn\}([^/]*)/invocations", FILE.read_text())
    assert {":live"} == set(uris)
    assert {"Ref": "OnnxLambda.Alias"} == written()["Outputs"]["FunctionArn"]["Value"]


def test_whatever_changes_is_a_new_version() -> None:
    """Another image is another version, and so is another setting with the same image."""
    function = written()["Resources"]["OnnxLambda"]["Properties"]

    assert function["AutoPublishAliasAllProperties"]
    assert "live" == function["AutoPublishAlias"]


def test_invokes_that_nobody_waits_for_are_kept_of_the_alias() -> None:
    """What fails for good of the alias is told of where that of the bare name is."""
    resources = released(Events="on")
    bare, alias = properties(resources, "InvokeConfig"), properties(resources, "InvokeConfigOfAlias")

    assert "$LATEST" == bare.pop("Qualifier")
    assert {"Fn::Select": [7, {"Fn::Split": [":", {"Ref": "OnnxLambdaAliaslive"}]}]} == alias.pop("Qualifier")
    assert bare == alias


def test_releases_are_off_unless_asked_for() -> None:
    """By itself a stack has nothing of CodeDeploy, no hook and no alarm, and the alias moves at once."""
    resources = released()

    assert "UpdatePolicy" not in resources["OnnxLambdaAliaslive"]
    assert not [name for name, one in resources.items() if one["Type"].startswith(("AWS::CodeDeploy", "AWS::CloudWatch"))]
    assert not {"ReleaseCheck", "ReleaseCheckRole", "ReleaseRole"} & resources.keys()


def _group(release: str) -> dict[str, Any]:
    """The deployment group as SAM has it."""
    (group,) = of_type(_translated(release), "AWS::CodeDeploy::DeploymentGroup").values()
    return dict(group)


@pytest.mark.parametrize("release", [one for one in written()["Parameters"]["Release"]["AllowedValues"] if one != "off"])
def test_releases(release: str) -> None:
    """Each way to release is CodeDeploy's own of that name, asks the hook first and is undone by alarms."""
    resources = released(Release=release)
    update = resources["OnnxLambdaAliaslive"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    (group,) = of_type(resources, "AWS::CodeDeploy::DeploymentGroup").values()

    assert {"Ref": "ReleaseCheck"} == update["BeforeAllowTrafficHook"]
    assert {"Fn::GetAtt": ["ReleaseRole", "Arn"]} == group["ServiceRoleArn"]
    assert {"Fn::Sub": ["CodeDeployDefault.Lambda${ConfigName}", {"ConfigName": release}]} == _group(release)["DeploymentConfigName"]
    assert group["AutoRollbackConfiguration"]["Enabled"]
    assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
    assert "CodeDeployServiceRole" not in resources


def test_alarms_of_a_release() -> None:
    """A release hears of answers of 5xx, which are no errors to Lambda, of our own failures, of models and of crashes, with Alarms=off."""
    resources = released(**CANARY)
    (group,) = of_type(resources, "AWS::CodeDeploy::DeploymentGroup").values()
    watched = [alarm["Name"]["Ref"] for alarm in group["AlarmConfiguration"]["Alarms"]]
    alarms = of_type(resources, "AWS::CloudWatch::Alarm")
    metrics = {(one.get("Namespace"), one.get("MetricName")) for one in alarms.values()}

    assert group["AlarmConfiguration"]["Enabled"]
    assert alarms.keys() == set(watched)
    assert {("onnx-lambda", "ServerErrors"), ("onnx-lambda", "ModelLoadFailures"), ("AWS/Lambda", "Errors")} <= metrics
    assert "5xx" == properties(resources, "ServerErrorsOfApiAlarm")["Metrics"][1]["MetricStat"]["Metric"]["MetricName"]
    # A canary's five minutes are over before slower ones notice.
    assert all(one["EvaluationPeriods"] <= 3 for one in alarms.values())
    assert {60} == {one.get("Period", 60) for one in alarms.values()}
    assert not any("AlarmActions" in one for one in alarms.values())


def test_crashes_are_those_of_the_alias() -> None:
    """Errors are counted where callers are: at the alias, whichever version answers."""
    dimensions = {one["Name"]: one["Value"] for one in properties(released(**CANARY), "CrashesAlarm")["Dimensions"]}

    assert {"FunctionName": {"Ref": "OnnxLambda"}, "Resource": {"Fn::Sub": "${OnnxLambda}:live"}} == dimensions


def test_hook_is_the_same_image() -> None:
    """The hook is a module of the image, is told the very version, and has a place of its own for its log."""
    hook = properties(released(**CANARY), "ReleaseCheck")
    (version,) = of_type(released(**CANARY), "AWS::Lambda::Version")
    module, _, function = hook["ImageConfig"]["Command"][0].rpartition(".")
    variables, everybodys = hook["Environment"]["Variables"], written()["Globals"]["Function"]["Environment"]["Variables"]

    assert (pre_traffic.__name__, pre_traffic.handler.__name__) == (module, function)
    # entrypoint.sh takes what has a dot for a handler
    assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
    assert {"RELEASED_VERSION": version} == {name: value["Ref"] for name, value in variables.items() if name not in everybodys}
    assert {"LogGroup": {"Ref": "ReleaseCheckLogs"}} == hook["LoggingConfig"]
    assert "VpcConfig" not in hook


def test_roles_of_a_release() -> None:
    """The hook may invoke versions of the one function and report; CodeDeploy may move its alias, invoke the hook and look at alarms."""
    resources = released(**CANARY)
    actions = {
        role: {action: one["Resource"] for one in statements(resources, role) for action in one["Action"]}
        for role in ("ReleaseCheckRole", "ReleaseRole")
    }
    hook, release = actions["ReleaseCheckRole"], actions["ReleaseRole"]

    assert {"Fn::Sub": "${OnnxLambda.Arn}:*"} == hook.pop("lambda:InvokeFunction")
    assert {"logs:CreateLogStream", "logs:PutLogEvents", "codedeploy:PutLifecycleEventHookExecutionStatus"} == hook.keys()
    assert {"Fn::GetAtt": ["ReleaseCheck", "Arn"]} == release.pop("lambda:InvokeFunction")
    assert {
        "lambda:GetAlias",
        "lambda:GetProvisionedConcurrencyConfig",
        "lambda:UpdateAlias",
        "cloudwatch:DescribeAlarms",
    } == release.keys()
    assert "*" not in [*hook.values(), *release.values()]


def statements(resources: dict[str, Any], role: str) -> list[dict[str, Any]]:
    return [one for policy in properties(resources, role)["Policies"] for one in policy["PolicyDocument"]["Statement"]]


def test_workers_come_after_the_release() -> None:
    """No worker, nor any tenant, has a version that the hook or an alarm refuses: their functions change once the alias has moved."""
    resources = released(**EVERYTHING, Jobs="on", TenantIsolation="on", **CANARY)

    for worker in WORKERS:
        after = resources[worker]["DependsOn"]
        assert "OnnxLambdaAliaslive" in ([after] if isinstance(after, str) else after), worker
    assert "OnnxLambdaAliaslive" not in str(resources["ReleaseCheck"].get("DependsOn"))
