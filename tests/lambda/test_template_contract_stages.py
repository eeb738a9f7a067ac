"""The stages of template.yaml's API: throttles, access logs, and what a REST API has beyond an HTTP API."""

import json
from typing import Any

import pytest

from app.http.gateway_places import places
from tests.template import of_type, written
from tests.template_values import made

STAGES = {"HTTP": "AWS::ApiGatewayV2::Stage", "REST": "AWS::ApiGateway::Stage"}


def stage_of(kind: str, **parameters: str) -> dict[str, Any]:
    """The one stage of the API."""
    (found,) = of_type(made(ApiType=kind, **parameters), STAGES[kind]).values()
    return dict(found)


def test_every_place_is_throttled() -> None:
    """A stage limits every place by the parameters, and those that are dear or open to fewer than that."""
    given = {"ThrottleRate": "7", "ThrottleBurst": "9"}
    http, rest = stage_of("HTTP", **given), stage_of("REST", **given)
    own = [place for place in places() if place.throttle]

    assert {"ThrottlingRateLimit": "7", "ThrottlingBurstLimit": "9", "DetailedMetricsEnabled": True} == http["DefaultRouteSettings"]
    assert {place.key for place in own} == http["RouteSettings"].keys()
    every, *others = rest["MethodSettings"]
    assert ("*", "/*", "7", "9") == (
        every["HttpMethod"],
        every["ResourcePath"],
        every["ThrottlingRateLimit"],
        every["ThrottlingBurstLimit"],
    )
    assert len(own) == len(others)
    for limits in (*http["RouteSettings"].values(), *others):
        assert 0 < limits["ThrottlingRateLimit"] <= limits["ThrottlingBurstLimit"] < written()["Parameters"]["ThrottleRate"]["Default"]


@pytest.mark.parametrize(("kind", "settings"), [("HTTP", "AccessLogSettings"), ("REST", "AccessLogSetting")])
def test_access_is_logged(kind: str, settings: str) -> None:
    """Each request is a line of JSON in a log group of the stack that forgets, without query strings, headers or claims."""
    found = stage_of(kind)[settings]
    group = made(ApiType=kind)["ApiLogs"]["Properties"]
    line = found["Format"]

    assert {"Fn::GetAtt": ["ApiLogs", "Arn"]} == found["DestinationArn"]
    assert group["RetentionInDays"]
    assert "\n" not in line
    assert {
        "requestId",
        "time",
        "method",
        "route",
        "status",
        "bytes",
        "ms",
        "functionMs",
        "error",
        "functionError",
        "ip",
        "caller",
    } <= json.loads(line).keys()
    assert not [
        word for word in ("querystring", "claims", "header", 'apiKey"', 'path"') if word in line.replace('"$context.resourcePath"', "")
    ]


def test_rest_stage_follows_its_document() -> None:
    """Every deployment of the stack is one of the REST API: a mode that was changed guards the stage at once."""
    properties = written()["Resources"]["RestApi"]["Properties"]

    assert properties["AlwaysDeploy"]
    assert "REGIONAL" == properties["EndpointConfiguration"]["Type"]
    assert properties["FailOnWarnings"]
    assert written()["Resources"]["Api"]["Properties"]["FailOnWarnings"]


def test_keys_have_a_plan() -> None:
    """Only with ApiKeys=on there are a key and its plan, of the one stage, with the quota that was given."""
    on = made(ApiType="REST", ApiKeys="on", ApiKeyQuota="50")
    (plan,) = of_type(on, "AWS::ApiGateway::UsagePlan").values()
    (member,) = of_type(on, "AWS::ApiGateway::UsagePlanKey").values()

    assert {"Limit": "50", "Period": "MONTH"} == plan["Quota"]
    assert {"RateLimit": "100", "BurstLimit": "200"} == plan["Throttle"]
    assert [{"ApiId": {"Ref": "RestApi"}, "Stage": {"Ref": "RestApiapiStage"}}] == plan["ApiStages"]
    assert ({"Ref": "ApiKey"}, {"Ref": "UsagePlan"}) == (member["KeyId"], member["UsagePlanId"])
    assert on["ApiKey"]["Properties"]["Enabled"]
    for parameters in ({}, {"ApiType": "REST"}, {"ApiKeys": "on"}):
        assert not {"ApiKey", "UsagePlan", "UsagePlanKey"} & made(**parameters).keys()


def test_firewall_is_of_the_stage() -> None:
    """The web ACL that is named goes before the stage of the REST API, and none where none is named."""
    acl = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/name/id"
    found = made(ApiType="REST", WebAclArn=acl)["Firewall"]["Properties"]

    assert acl == found["WebACLArn"]
    assert found["ResourceArn"]["Fn::Sub"].endswith("::/restapis/${RestApi}/stages/${RestApiapiStage}")
    assert "Firewall" not in made(ApiType="REST") | made(WebAclArn=acl)


def test_validation_belongs_to_rest_apis() -> None:
    """With RequestValidation=on the REST API looks at JSON, unpacks bodies for that, and tells the function to pack no answers."""
    on, off = made(ApiType="REST", RequestValidation="on"), made(ApiType="REST")
    (stage,) = of_type(on, STAGES["REST"]).values()

    assert 1024 == on["RestApi"]["Properties"]["MinimumCompressionSize"]
    assert "MinimumCompressionSize" not in off["RestApi"]["Properties"]
    assert {"compression": "gateway"} == stage["Variables"]
    assert "Variables" not in stage_of("REST")
    assert "application/json" not in on["RestApi"]["Properties"]["Body"]["x-amazon-apigateway-binary-media-types"]


def test_address_is_that_of_the_stage() -> None:
    """The output says where the API is, whichever it is."""
    url = written()["Outputs"]["ApiUrl"]["Value"]

    assert "RestOn" in str(url)
    assert "/${RestApi.Stage}" in str(url)
