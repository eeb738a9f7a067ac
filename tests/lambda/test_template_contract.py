"""Who may call what through template.yaml's API, in every mode: the routes with their authorisation, and the identity that the function believes."""

import json
import subprocess
from typing import Any

import pytest

from app.http.callers import caller_of
from app.http.gateway_places import places
from app.http.lambda_gateway import Flavour
from tests.template import FILE, SAM_PYTHON, expanded, of_type, written
from tests.template_values import Values, made

ISSUER = "https://issuer.test"
JWT = {"AuthMode": "JWT", "JwtIssuer": ISSUER, "JwtAudience": "here,there"}
# Every way in which the API can be closed or opened, and what then guards a place.
MODES: dict[str, tuple[dict[str, str], Any]] = {
    "http-iam": ({}, lambda _: {"iam": []}),
    "http-jwt": (JWT, lambda group: {"jwt": {"predict": ["predict"], "jobs": ["predict"], "read": []}[group]}),
    "http-none": ({"AuthMode": "NONE"}, None),
    "rest-iam": ({"ApiType": "REST"}, lambda _: {"iam": []}),
    "rest-iam-keys": ({"ApiType": "REST", "ApiKeys": "on"}, lambda _: {"iam": [], "key": []}),
    "rest-keys": ({"ApiType": "REST", "ApiKeys": "on", "AuthMode": "NONE"}, lambda _: {"key": []}),
    "rest-none": ({"ApiType": "REST", "AuthMode": "NONE"}, None),
}
ROLE = "AROAEXAMPLEROLEID0001"
CONTEXTS: dict[str, tuple[Flavour, dict[str, Any], str]] = {
    "http-iam": ("v2", {"http": {}, "authorizer": {"iam": {"userId": f"{ROLE}:s", "callerId": f"{ROLE}:s"}}}, f"iam:{ROLE}"),
    "http-jwt": (
        "v2",
        {"http": {}, "authorizer": {"jwt": {"claims": {"iss": ISSUER, "sub": "u"}, "scopes": ["predict"]}}},
        f"jwt:{ISSUER}#u",
    ),
    "http-none": ("v2", {"http": {}}, ""),
    "rest-iam": ("v1", {"identity": {"user": f"{ROLE}:s", "caller": f"{ROLE}:s", "apiKeyId": None}}, f"iam:{ROLE}"),
    "rest-iam-keys": ("v1", {"identity": {"user": f"{ROLE}:s", "apiKeyId": "k"}}, f"iam:{ROLE}"),
    "rest-keys": ("v1", {"identity": {"user": None, "apiKeyId": "k", "apiKey": "secret"}}, "key:k"),
    "rest-none": ("v1", {"identity": {"user": None, "apiKeyId": None}}, ""),
}
FORGED = {
    "headers": {"authorization": "Bearer x", "x-api-key": "other", "x-amz-security-token": "x", "x-amzn-oidc-identity": "other"},
    "queryStringParameters": {"user": "other"},
    "authorizer": {"jwt": {"claims": {"iss": ISSUER, "sub": "other"}}, "iam": {"userId": "other"}},
    "identity": {"user": "other", "apiKeyId": "other"},
    "body": '{"requestContext": {"authorizer": {"principalId": "other"}}}',
}
# What `sam local` makes of a template, in SAM's own environment.
LOCAL = """
import json, sys
from samcli.lib.providers.api_provider import ApiProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
api = ApiProvider(SamLocalStackProvider.get_stacks(sys.argv[1])[0], cwd=".").api
found = [[m, r.path, r.event_type, r.payload_format_version, r.function_name, r.authorizer_object] for r in api.routes for m in r.methods]
print(json.dumps({"routes": found, "binary": sorted(api.binary_media_types)}))
"""


def api_of(parameters: dict[str, str]) -> dict[str, Any]:
    """The document of the one API that is made."""
    resources = made(**parameters)
    (found,) = (of_type(resources, "AWS::ApiGatewayV2::Api") | of_type(resources, "AWS::ApiGateway::RestApi")).values()
    return dict(found["Body"])


@pytest.mark.parametrize("mode", MODES)
def test_every_route_with_its_guard(mode: str) -> None:
    """In every mode each operation asks for what the mode says, and only liveness is open, unless NONE was spelled out."""
    parameters, guard = MODES[mode]
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in api_of(parameters)["paths"].items()
        for method, operation in methods.items()
    }
    guarded = {key: operation.get("security") for key, operation in operations.items()}
    expected = {place.key: None if place.group == "open" else [guard(place.group)] if guard else [] for place in places()}
    open_to_all = {key for key, security in guarded.items() if not security}

    assert expected == guarded
    assert open_to_all == ({"GET /health/live"} if guard else guarded.keys())


@pytest.mark.parametrize("mode", MODES)
def test_guards_are_defined(mode: str) -> None:
    """Whatever an operation asks for is a scheme of the document, so that API Gateway does not take the import for an open one."""
    document = api_of(MODES[mode][0])
    schemes = document["components"]["securitySchemes"]
    named = {
        name
        for methods in document["paths"].values()
        for one in methods.values()
        for security in one.get("security", [])
        for name in security
    }

    assert named <= schemes.keys()
    assert "awsSigv4" == schemes.get("iam", {}).get("x-amazon-apigateway-authtype", "awsSigv4")
    # An authorizer that nobody asked for would need an issuer.
    assert ("jwt" in schemes) == (mode == "http-jwt")


def test_tokens_are_checked() -> None:
    """A token has to be of the issuer, for one of the audiences, and have a scope of the group that it is used for."""
    document = api_of({**JWT, "JwtPredictScopes": "models/predict,admin", "JwtJobsScopes": "jobs", "JwtReadScopes": "models/read"})
    authorizer = document["components"]["securitySchemes"]["jwt"]["x-amazon-apigateway-authorizer"]

    assert {"issuer": ISSUER, "audience": ["here", "there"]} == authorizer["jwtConfiguration"]
    assert ("jwt", "$request.header.Authorization") == (authorizer["type"], authorizer["identitySource"])
    assert [{"jwt": ["models/predict", "admin"]}] == document["paths"]["/v2/{proxy+}"]["post"]["security"]
    assert [{"jwt": ["jobs"]}] == document["paths"]["/jobs/{id}"]["delete"]["security"]
    assert [{"jwt": ["models/read"]}] == document["paths"]["/v2/{proxy+}"]["get"]["security"]


def test_open_has_to_be_said() -> None:
    """IAM is what there is without a word, and no value but NONE itself opens anything."""
    parameter = written()["Parameters"]["AuthMode"]

    assert ("IAM", ["IAM", "JWT", "NONE"]) == (parameter["Default"], parameter["AllowedValues"])
    assert {"Fn::Equals": [{"Ref": "AuthMode"}, "NONE"]} == written()["Conditions"]["AuthIsNone"]


@pytest.mark.parametrize("mode", MODES)
def test_identity_is_the_gateways(mode: str) -> None:
    """In every mode the function believes what API Gateway found out, and nothing that stands anywhere else in the event."""
    flavour, context, caller = CONTEXTS[mode]

    assert caller == caller_of({"requestContext": context}, flavour)
    assert caller == caller_of({**FORGED, "requestContext": context}, flavour)


@pytest.mark.parametrize(("kind", "made_of"), [("HTTP", "AWS::ApiGatewayV2::Api"), ("REST", "AWS::ApiGateway::RestApi")])
def test_one_api_is_made(kind: str, made_of: str) -> None:
    """The other kind of API leaves nothing behind, and the function may be called by the one that there is."""
    resources = made(ApiType=kind)
    gateways = {one["Type"] for one in resources.values() if one["Type"].startswith("AWS::ApiGateway")}
    (api,) = of_type(resources, made_of)
    (permission,) = [
        one for one in of_type(resources, "AWS::Lambda::Permission").values() if one["Principal"] == "apigateway.amazonaws.com"
    ]

    assert {made_of.rpartition("::")[0]} == {one.rpartition("::")[0] for one in gateways}
    assert permission["SourceArn"]["Fn::Sub"].endswith(f":${{{api}}}/*")
    assert {"Ref": "OnnxLambdaAliaslive"} == permission["FunctionName"]


@pytest.mark.parametrize("kind", ["HTTP", "REST"])
def test_every_operation_calls_the_alias(kind: str) -> None:
    """All operations lead to the function's alias, which releases move; an HTTP API sends payload 2.0."""
    found = [one["x-amazon-apigateway-integration"] for methods in api_of({"ApiType": kind})["paths"].values() for one in methods.values()]
    alias = written()["Resources"]["OnnxLambda"]["Properties"]["AutoPublishAlias"]

    assert len(places()) == len(found)
    assert all(one["uri"]["Fn::Sub"].endswith(f"/functions/${{OnnxLambda.Arn}}:{alias}/invocations") for one in found)
    assert {("aws_proxy", "POST", "2.0" if kind == "HTTP" else None)} == {
        (one["type"], one["httpMethod"], one.get("payloadFormatVersion")) for one in found
    }


def test_pages_of_others_have_to_be_let_in() -> None:
    """No page of another host may call, until its origin is named; then it may, and without cookies."""
    cors = api_of({"CorsOrigins": "https://a.test,https://b.test"})["x-amazon-apigateway-cors"]

    assert "x-amazon-apigateway-cors" not in api_of({})
    assert ["https://a.test", "https://b.test"] == cors["allowOrigins"]
    assert {method for place in places() for method in [place.method]} == set(cors["allowMethods"])
    assert "allowCredentials" not in cors
    assert {"authorization", "content-type", "x-amz-date", "prefer", "idempotency-key", "webhook-url", "webhook-id"} < set(
        cors["allowHeaders"]
    )
    assert ["*"] == api_of({"CorsOrigins": "*"})["x-amazon-apigateway-cors"]["allowOrigins"]
    for wrong in ("https://a.test/", "a.test", "https://*.a.test", "https://a.test, https://b.test"):
        with pytest.raises(AssertionError, match="CorsOrigins"):
            api_of({"CorsOrigins": wrong})


def _refused(**parameters: str) -> list[str]:
    """The sentences by which a stack with these parameters is refused."""
    values = Values(parameters)
    return [
        one["AssertDescription"]
        for rule in written()["Rules"].values()
        if "RuleCondition" not in rule or values.value(rule["RuleCondition"])
        for one in rule["Assertions"]
        if not values.value(one["Assert"])
    ]


@pytest.mark.parametrize(
    ("parameters", "sentences"),
    [
        ({"AuthMode": "JWT"}, ["AuthMode=JWT needs JwtIssuer", "AuthMode=JWT needs JwtAudience"]),
        ({**JWT, "ApiType": "REST"}, ["A REST API knows no JWT authorizer"]),
        ({"ApiKeys": "on"}, ["An HTTP API knows no API keys"]),
        ({"RequestValidation": "on"}, ["An HTTP API validates no bodies"]),
        ({"WebAclArn": "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/a/b"}, ["WAF does not go before an HTTP API"]),
        ({"ApiType": "REST", "CorsOrigins": "*"}, ["A REST API leaves the CORS fields"]),
        *((parameters, []) for parameters, _ in MODES.values()),
    ],
)
def test_what_cannot_be_is_refused(parameters: dict[str, str], sentences: list[str]) -> None:
    """Before anything is made, a stack that API Gateway could not make is refused with what to say instead; every mode is taken."""
    found = _refused(**parameters)

    assert len(sentences) == len(found)
    assert all(text.startswith(sentence) for text, sentence in zip(found, sentences, strict=True))
    # CloudFormation cuts no sentence, but takes none of more than 4,096 characters.
    assert all(text.endswith(".") and len(text) < 250 for text in found)


def test_sam_local_serves_the_http_api() -> None:
    """`sam local start-api` finds every place of the HTTP API, as events of payload 2.0 without an authorizer, and takes bytes."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "SAM_CLI_TELEMETRY": "0",
        "AWS_DEFAULT_REGION": "us-east-1",
        "HOME": str(SAM_PYTHON.parent.parent),
    }
    done = subprocess.run([SAM_PYTHON, "-c", LOCAL, FILE], capture_output=True, text=True, timeout=60, check=True, env=environment)
    found = json.loads(done.stdout)

    assert sorted([place.method, place.path, "HttpApi", "2.0", "OnnxLambda", None] for place in places()) == sorted(found["routes"])
    assert ["*/*"] == found["binary"]


def test_nothing_of_the_api_has_a_door_beside_it() -> None:
    """No function has a URL of its own, and no event of a function makes an API that this page does not know."""
    functions = of_type(written()["Resources"], "AWS::Serverless::Function").values()

    assert not of_type(expanded(), "AWS::Lambda::Url")
    assert not [event for function in functions for event in function.get("Events", {}).values() if event["Type"] in {"Api", "HttpApi"}]
