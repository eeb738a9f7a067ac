"""The OpenAPI 3.0 documents that API Gateway makes the API of: an HTTP API's and a REST API's, from the route table.

What depends on the stack's parameters is written in CloudFormation's functions, by the names of template.yaml's parameters and
conditions. Extensions: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions.html
"""

from typing import Any, Literal

from app.codecs import DIALECTS
from app.codecs.media_types import TEXT
from app.http import gateway_errors, openapi_jobs
from app.http import openapi_downgrade as downgrade
from app.http.gateway_places import Place, places
from app.http.openapi_schemas import ref

Kind = Literal["http", "rest"]
KINDS: tuple[Kind, ...] = ("http", "rest")
# Milliseconds after which API Gateway gives up. An HTTP API can be told no more than 30,000, a REST API takes 29,000 without a request to
# AWS: http-api-quotas.html and api-gateway-execution-service-limits-table.html in the same guide. Both are longer than the function's Timeout.
TIMEOUT_MS: dict[Kind, int] = {"http": 30_000, "rest": 29_000}
_NOTHING = {"Ref": "AWS::NoValue"}
_URI = "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${OnnxLambda.Arn}%s/invocations"
_IAM = {"type": "apiKey", "name": "Authorization", "in": "header", "x-amazon-apigateway-authtype": "awsSigv4"}
_JWT = {
    "type": "oauth2",
    "x-amazon-apigateway-authorizer": {
        "type": "jwt",
        "identitySource": "$request.header.Authorization",
        "jwtConfiguration": {"issuer": {"Ref": "JwtIssuer"}, "audience": {"Fn::Split": [",", {"Ref": "JwtAudience"}]}},
    },
}
_KEY = {"type": "apiKey", "name": "x-api-key", "in": "header"}
# What requests say in header fields, by hand because a browser takes `*` for anything but Authorization (Fetch, "CORS-safelisted
# request-header name"). Cookies are none of them.
_FIELDS = (
    *("accept", "authorization", "content-encoding", "content-type", "idempotency-key", "inference-header-content-length", "prefer"),
    *("traceparent", "webhook-id", "webhook-url", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"),
    *("x-amzn-sagemaker-target-model", "x-request-id"),
)
_CORS = {
    "allowOrigins": {"Fn::Split": [",", {"Ref": "CorsOrigins"}]},
    "allowMethods": ["GET", "POST", "DELETE"],
    "allowHeaders": list(_FIELDS),
    "exposeHeaders": ["*"],
    "maxAge": 600,
}
_VALIDATOR = {"checked": {"validateRequestBody": True, "validateRequestParameters": True}}
# The schemas of bodies that a REST API can look at, by the endpoint's name; API Gateway's names of models are letters and digits.
_BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "predict:ask": (
        "PredictionBody",
        {
            "type": "object",
            "properties": {"instances": {"type": "array", "items": {}}, "outputs": {}, "parameters": {}, "id": {}, "inputs": {}},
            "anyOf": [{"required": ["inputs"]}, {"required": ["instances"]}],
        },
    ),
    "uploads:create": ("UploadBody", openapi_jobs.SCHEMAS["UploadRequest"]),
}


def document(kind: Kind, *, payload_bytes: int, alias: str) -> dict[str, Any]:
    """The document of an API.

    :param payload_bytes: the largest body that the function takes, for a REST API's own errors.
    :param alias: the alias that the function is called by; empty: none. By its name, as `sam local` does not know ``${OnnxLambda.Alias}``.
    """
    paths: dict[str, Any] = {}
    for place in places():
        paths.setdefault(place.path, {})[place.method.lower()] = _operation(kind, place, alias=alias)
    found: dict[str, Any] = {"openapi": "3.0.1", "info": {"title": {"Ref": "AWS::StackName"}, "version": "1"}, "paths": paths}
    if kind == "http":
        schemes: Any = {"Fn::If": ["AuthIsJwt", {"jwt": _JWT}, {"iam": _IAM}]}
        return {**found, "components": {"securitySchemes": schemes}, "x-amazon-apigateway-cors": {"Fn::If": ["CorsOn", _CORS, _NOTHING]}}
    schemas = {name: downgrade.schema(schema) for name, schema in _BODIES.values()}
    return {
        **found,
        "components": {"schemas": schemas, "securitySchemes": {"iam": _IAM, "key": _KEY}},
        "x-amazon-apigateway-api-key-source": "HEADER",
        "x-amazon-apigateway-binary-media-types": {"Fn::If": ["RequestsChecked", binary_media_types(), ["*/*"]]},
        "x-amazon-apigateway-request-validators": _VALIDATOR,
        "x-amazon-apigateway-gateway-responses": gateway_errors.responses(payload_bytes),
    }


def binary_media_types() -> list[str]:
    """The media types of bodies that are no text, in and out, of every dialect."""
    named = {name.partition(";")[0] for dialect in DIALECTS.values() for name in (*dialect.readers, *dialect.writers)}
    return sorted(name for name in named | {"application/octet-stream"} if not name.startswith(TEXT))


def throttles(kind: Kind) -> Any:
    """The limits of places that have their own: ``RouteSettings`` of an HTTP API, or items of ``MethodSettings`` of a REST API."""
    own = [place for place in places() if place.throttle]
    if kind == "http":
        return {place.key: _limits(place) | {"DetailedMetricsEnabled": True} for place in own}
    return [
        {"ResourcePath": "/" + place.path.replace("/", "~1"), "HttpMethod": place.method, **_limits(place), "MetricsEnabled": True}
        for place in own
    ]


def _limits(place: Place) -> dict[str, Any]:
    assert place.throttle is not None
    return {"ThrottlingRateLimit": place.throttle.rate, "ThrottlingBurstLimit": place.throttle.burst}


def _operation(kind: Kind, place: Place, *, alias: str) -> dict[str, Any]:
    names = [part[1:-1].removesuffix("+") for part in place.path.split("/") if part[:1] == "{"]
    found: dict[str, Any] = {"summary": place.summary}
    if names:
        found["parameters"] = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    if place.group != "open":
        found["security"] = _security(kind, place)
    endpoint = place.rows[0].endpoint
    if kind == "rest" and endpoint in _BODIES:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": ref(_BODIES[endpoint][0])}}}
        found["x-amazon-apigateway-request-validator"] = {"Fn::If": ["RequestsChecked", "checked", _NOTHING]}
    found["responses"] = {"default": {"description": "The answer"}}
    found["x-amazon-apigateway-integration"] = _integration(kind, alias=alias)
    return found


def _security(kind: Kind, place: Place) -> dict[str, Any]:
    """Closed whatever the parameters say but AuthMode=NONE itself."""
    if kind == "rest":
        signed = {"Fn::If": ["KeysOn", {"iam": [], "key": []}, {"iam": []}]}
        return {"Fn::If": ["AuthIsNone", {"Fn::If": ["KeysOn", [{"key": []}], []]}, [signed]]}
    name = f"Jwt{place.group.capitalize()}Scopes"
    scopes = {"Fn::If": [f"{name}Given", {"Fn::Split": [",", {"Ref": name}]}, []]}
    return {"Fn::If": ["AuthIsNone", [], [{"Fn::If": ["AuthIsJwt", {"jwt": scopes}, {"iam": []}]}]]}


def _integration(kind: Kind, *, alias: str) -> dict[str, Any]:
    uri = {"Fn::Sub": _URI % (alias and f":{alias}")}
    found: dict[str, Any] = {"type": "aws_proxy", "httpMethod": "POST", "uri": uri, "timeoutInMillis": TIMEOUT_MS[kind]}
    return found | ({"payloadFormatVersion": "2.0"} if kind == "http" else {})
