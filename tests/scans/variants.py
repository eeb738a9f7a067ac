"""The stacks that are scanned: as it comes, and with every option at least once."""

import json
from pathlib import Path
from typing import Any

from local.template_values import PSEUDO, Values
from tests import template
from tests.event_parameters import BUS, SOURCES, STREAM

AS_IT_COMES, EVERYTHING = "as it comes", "everything"
_ACCOUNT, _REGION = PSEUDO["AWS::AccountId"], PSEUDO["AWS::Region"]
# What an option is given that is no switch.
GIVEN = {
    **SOURCES,
    "AccessLogsBucket": "access-logs",
    "AlarmEmail": "somebody@example.com",
    "Capture": "s3://captures/of/flowers/",
    "CapacityProviderArn": f"arn:aws:lambda:{_REGION}:{_ACCOUNT}:capacity-provider:machines",
    "CertificateArn": f"arn:aws:acm:{_REGION}:{_ACCOUNT}:certificate/8f8a4a3a",
    "CorsOrigins": "https://www.example.com",
    "DomainName": "predictions.example.com",
    "HostedZoneId": "Z0123456789",
    "KeyArn": f"arn:aws:kms:{_REGION}:{_ACCOUNT}:key/8f8a4a3a",
    "ProvisionedConcurrency": "1",
    "Release": "Canary10Percent5Minutes",
    "ReservedConcurrency": "100",
    "Tracing": "xray",
    "VpcSecurityGroupIds": "sg-0123456789abcdef0",
    "VpcSubnetIds": "subnet-0123456789abcdef0,subnet-0123456789abcdef1",
}
# What cannot be had together, or beside what is above.
_HTTP = {"ApiKeys": "off", "RequestValidation": "off"}
_REST = {"ApiType": "REST", "WebAclArn": f"arn:aws:wafv2:{_REGION}:{_ACCOUNT}:regional/webacl/wall/8f8a4a3a", "CorsOrigins": ""}
_JWT = {"AuthMode": "JWT", "JwtIssuer": "https://issuer.example.com", "JwtAudience": "clients", "JwtReadScopes": "read"}
VARIANTS: dict[str, dict[str, str]] = {
    AS_IT_COMES: {},
    EVERYTHING: _HTTP,
    "a REST API": _REST,
    "tokens, results to a bucket": {**_HTTP, **_JWT, "ResultsTo": "s3://results/answers/"},
    "nobody asked, results to a bus": {**_HTTP, "AuthMode": "NONE", "ResultsTo": BUS},
    "arm, results to a stream": {**_HTTP, "Architecture": "arm64", "Release": "AllAtOnce", "ResultsTo": STREAM},
}


def parameters(variant: str) -> dict[str, str]:
    """The parameters of a variant: every switch on, every option given, and what is its own."""
    if variant == AS_IT_COMES:
        return {}
    written = template.written()["Parameters"]
    switches = {name: "on" for name, one in written.items() if one.get("AllowedValues") == ["on", "off"]}
    return {**switches, **{name: value for name, value in GIVEN.items() if name in written}, **VARIANTS[variant]}


def values(variant: str) -> Values:
    """The values of the template's functions in a variant."""
    stack = {"AWS::StackName": "flowers", "AWS::StackId": f"arn:aws:cloudformation:{_REGION}:{_ACCOUNT}:stack/flowers/8f8a4a3a"}
    return Values(parameters(variant), {**PSEUDO, **stack})


def translated(variant: str) -> dict[str, Any]:
    """The template that CloudFormation works on: SAM's translation, with what the parameters say."""
    resources = values(variant).resources(template.expanded())
    for name, one in resources.items():
        after = one.get("DependsOn", [])
        there = [other for other in ([after] if isinstance(after, str) else after) if other in resources]
        resources[name] = {**{key: value for key, value in one.items() if key != "DependsOn"}, **({"DependsOn": there} if there else {})}
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}


def written_to(folder: Path, variant: str) -> Path:
    """The translated template of a variant as a file."""
    file = folder / "template.json"
    file.write_text(json.dumps(translated(variant), indent=1))
    return file
