"""The documents that API Gateway makes the API of: valid OpenAPI 3.0, and the same routes as the table's and FastAPI's."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft4Validator
from openapi_schema_validator import OAS30Validator
from openapi_spec_validator import OpenAPIV30SpecValidator

from app import errors
from app.cli import main
from app.cli.openapi import alias_of
from app.codecs import DIALECTS
from app.errors import Invalid, Problem
from app.http import gateway_errors, openapi_gateway
from app.http.gateway_places import OF_SERVE, Place, Throttle, places
from app.http.openapi_downgrade import schema
from app.http.openapi_gateway import KINDS, Kind
from app.http.routes import ROUTES, Route
from app.settings import LAMBDA_PAYLOAD_BYTES
from tests.template import FILE
from tests.template_values import Values


def document(kind: Kind, **parameters: str) -> dict[str, Any]:
    """A document with CloudFormation's functions worked out; what only AWS knows as text."""
    written = openapi_gateway.document(kind, payload_bytes=LAMBDA_PAYLOAD_BYTES, alias="")
    found: dict[str, Any] = Values(parameters).value(written)
    return dict(json.loads(re.sub(r'\{"(?:Ref|Fn::Sub)": ("[^"]*")\}', r"\1", json.dumps(found))))


def reaches(place: Place, method: str, path: str) -> bool:
    """Whether API Gateway sends a method and path to a place."""
    if method != place.method:
        return False
    return path.startswith(place.path.removesuffix("{proxy+}")) if place.path.endswith("{proxy+}") else path == place.path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"AuthMode": "NONE"},
        {"AuthMode": "JWT", "JwtIssuer": "https://issuer.test", "JwtAudience": "a,b", "CorsOrigins": "https://page.test"},
        {"ApiType": "REST", "ApiKeys": "on", "RequestValidation": "on"},
    ],
    ids=["iam", "none", "jwt", "keys"],
)
def test_it_is_valid(kind: Kind, parameters: dict[str, str]) -> None:
    """Whatever the parameters say, the document is one of OpenAPI 3.0."""
    text = json.dumps(document(kind, **parameters))
    # API Gateway's own way to write a path's rest; and AWS's own examples of JWT authorizers name no flow.
    found = json.loads(text.replace("{proxy+}", "{proxy}").replace('"type": "oauth2"', '"type": "oauth2", "flows": {}'))

    assert [] == [error.message for error in OpenAPIV30SpecValidator(found).iter_errors()]
    assert "3.0.1" == found["openapi"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_route_has_a_place(kind: Kind) -> None:
    """Every row of the table but the two of `serve` alone is reached by exactly one operation, and every operation by a row."""
    operations = {(method.upper(), path) for path, methods in document(kind)["paths"].items() for method in methods}
    reached = {(row.method, row.path): [place for place in places() if reaches(place, row.method, row.path)] for row in ROUTES}
    without = {row for row, found in reached.items() if not found}

    assert {(row.method, row.path) for row in ROUTES if row.endpoint in OF_SERVE} == without
    assert all(len(found) == 1 for row, found in reached.items() if row not in without)
    assert operations == {(place.method, place.path) for found in reached.values() for place in found}
    assert {("PUT", "/uploads/{id}"), ("GET", "/downloads/{id}")} == without


def test_fastapi_describes_what_the_gateway_has(fast: httpx.Client) -> None:
    """Every operation of FastAPI's document, each model's own too, is reached through API Gateway, and every place is described there."""
    described = {
        (method.upper(), path): operation
        for path, methods in fast.get("/openapi.json").json()["paths"].items()
        for method, operation in methods.items()
    }
    of_serve = {(row.method, row.path) for row in ROUTES if row.endpoint in OF_SERVE}
    # A model's own path is that of any model with its name in it.
    named = {key: (key[0], re.sub(r"^/models/[^/{]+/", "/models/{name}/", key[1])) for key in described}
    pages = {("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/docs/{asset}")}

    assert of_serve == {key for key, (method, path) in named.items() if not any(reaches(place, method, path) for place in places())}
    for place in places():
        found = [operation for key, operation in described.items() if reaches(place, *key)]
        assert found or (place.method, place.path) in pages, place.key
        if len(place.rows) == 1 and found:
            assert place.summary in {operation["summary"] for operation in found} or place.path == "/predict"


def test_only_liveness_is_open() -> None:
    """A new row is closed unless it is the liveness check itself; what predicts below a greedy place makes it one of predictions."""
    groups = {place.key: place.group for place in places((*ROUTES, Route("GET", "/health/new", "health:new", "New")))}

    assert ["GET /health/live"] == [key for key, group in groups.items() if group == "open"]
    assert "read" == groups["GET /health/new"] == groups["GET /v2/{proxy+}"] == groups["GET /models"]
    assert "predict" == groups["POST /v2/{proxy+}"] == groups["POST /v1/{proxy+}"] == groups["POST /invocations"]
    assert "jobs" == groups["DELETE /jobs/{id}"] == groups["POST /uploads"]


def test_what_is_dear_or_open_is_throttled() -> None:
    """The open place and the pages that FastAPI makes have limits of their own, below the stage's; the rest has the stage's."""
    own = {place.key: place.throttle for place in places() if place.throttle}

    assert {"GET /health/live", "GET /openapi.json", "GET /docs", "GET /docs/{asset}"} == own.keys()
    assert all(isinstance(limit, Throttle) and limit.rate <= 10 <= limit.burst <= 20 for limit in own.values())
    assert own.keys() == openapi_gateway.throttles("http").keys()
    assert {("GET", "/~1docs~1{asset}"), ("GET", "/~1health~1live")} < {
        (item["HttpMethod"], item["ResourcePath"]) for item in openapi_gateway.throttles("rest")
    }


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ({"type": ["string", "null"], "maxLength": 3}, {"type": "string", "maxLength": 3, "nullable": True}),
        ({"type": ["string", "integer"]}, {}),
        ({"type": ["string", "integer", "null"]}, {"nullable": True}),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, {"type": "integer", "nullable": True}),
        (
            {"anyOf": [{"const": 1}, {"const": 2}, {"type": "null"}]},
            {"anyOf": [{"enum": [1]}, {"enum": [2]}], "nullable": True},
        ),
        ({"exclusiveMinimum": 0}, {"minimum": 0, "exclusiveMinimum": True}),
        ({"type": "array", "prefixItems": [{}], "items": {"const": 1}}, {"type": "array", "items": {"enum": [1]}}),
        ({"type": "array"}, {"type": "array", "items": {}}),
        ({"$ref": "#/components/schemas/A", "description": "beside it"}, {"$ref": "#/components/schemas/A"}),
        (
            {"type": "object", "examples": [{"a": 1}], "additionalProperties": {"const": 1}},
            {"type": "object", "example": {"a": 1}, "additionalProperties": {"enum": [1]}},
        ),
        ({"properties": {"const": {"const": 1}}}, {"properties": {"const": {"enum": [1]}}}),
    ],
)
def test_schemas_go_down(newer: dict[str, Any], older: dict[str, Any]) -> None:
    """What only OpenAPI 3.1 knows is said in 3.0's words, or left out where 3.0 has none."""
    assert older == schema(newer)


def test_every_schema_goes_down(fast: httpx.Client) -> None:
    """All the schemas of FastAPI's document, taken down, are schemas of 3.0, and the document's examples fit them still."""
    found = fast.get("/openapi.json").json()
    schemas = {name: schema(one) for name, one in found["components"]["schemas"].items()}
    whole = {"openapi": "3.0.1", "info": {"title": "t", "version": "1"}, "paths": {}, "components": {"schemas": schemas}}
    bodies = [
        operation["post"]["requestBody"]["content"]["application/json"]
        for operation in found["paths"].values()
        if "requestBody" in operation.get("post", {}) and "application/json" in operation["post"]["requestBody"]["content"]
    ]
    # The validator takes null for no value at all where a schema has no type; the specification does not.
    examples = [(body["schema"], body["example"]) for body in bodies if "example" in body and "null" not in json.dumps(body["example"])]

    assert [] == [error.message for error in OpenAPIV30SpecValidator(whole).iter_errors()]
    assert len(examples) > 10
    for of, example in examples:
        validator = OAS30Validator({**schema(of), "components": {"schemas": schemas}})
        assert [] == [error.message for error in validator.iter_errors(example)]


def _model(place: str) -> Draft4Validator:
    """What a REST API validates the JSON bodies of a place by."""
    found = document("rest", ApiType="REST", RequestValidation="on")
    operation = found["paths"][place]["post"]
    assert "checked" == operation["x-amazon-apigateway-request-validator"]
    name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert name.isalnum()
    return Draft4Validator(found["components"]["schemas"][name])


def test_validation_refuses_nothing_that_is_answered(fast: httpx.Client) -> None:
    """Every example of a prediction fits what a REST API validates by, as does an answer of the form that is taken."""
    paths = fast.get("/openapi.json").json()["paths"]
    examples = [
        content["example"]
        for path, operation in paths.items()
        if re.fullmatch(r"/predict|/models/[^{/]+/predict", path)
        and (content := operation["post"]["requestBody"]["content"]["application/json"]).get("example")
    ]
    optional = {"outputs": None, "parameters": None, "id": None}

    assert len(examples) > 3
    for place in ("/predict", "/models/{name}/predict", "/models/{name}/versions/{version}/predict"):
        model = _model(place)
        assert all(model.is_valid(body) and model.is_valid({**optional, **body}) for body in examples)
        assert not any(model.is_valid(body) for body in ([], 1, {}, {"instances": 1}, {"input": [1]}))
    assert _model("/uploads").is_valid({"bytes": 1, "sha256": "00", "content_type": "application/x-npy"})
    assert not _model("/uploads").is_valid({"bytes": 1})


def test_validation_is_for_whoever_asks_for_it() -> None:
    """Nothing is validated by API Gateway unless it is asked for, and JSON is text only then."""
    off, on = document("rest", ApiType="REST"), document("rest", ApiType="REST", RequestValidation="on")
    checked = [
        path for path, methods in on["paths"].items() if any("x-amazon-apigateway-request-validator" in one for one in methods.values())
    ]

    assert "x-amazon-apigateway-request-validator" not in str(off["paths"])
    assert ["*/*"] == off["x-amazon-apigateway-binary-media-types"]
    assert 4 == len(checked)


def test_binary_media_types() -> None:
    """The types that a REST API passes as bytes are those of every codec that is no text, and no JSON."""
    found = openapi_gateway.binary_media_types()
    every = {name.partition(";")[0] for dialect in DIALECTS.values() for name in (*dialect.readers, *dialect.writers)}

    assert {"application/octet-stream", "application/x-npy", "application/vnd.apache.arrow.stream", "image/png"} < set(found)
    assert every - set(found) == {name for name in every if ("json" in name and "+json" not in name) or name == "text/csv"}


@pytest.mark.parametrize("kind", gateway_errors.answers(0))
def test_gateway_answers_in_our_shape(kind: str) -> None:
    """What a REST API answers by itself has every member of the one error shape, and nothing that its template language would replace."""
    found = gateway_errors.responses(LAMBDA_PAYLOAD_BYTES)[kind]
    template = found["responseTemplates"]["application/json"]
    body = json.loads(template)
    ours = Invalid("x").as_object("1")

    assert ours.keys() == body.keys()
    assert found["statusCode"] == body["status"]
    assert body["error"] == body["detail"]
    assert body["detail"].endswith(".")
    assert f"urn:onnx-lambda:problem:{body['code']}" == body["type"]
    assert ["$context.requestId"] == re.findall(r"[$#][\w.{(]+", template)
    assert ["application/json"] == list(found["responseTemplates"])


def test_gateway_answers_with_our_codes() -> None:
    """A code that the function has too has the same status and title; the rest are the gateway's own."""
    known = {
        cls.code: (cls.status, cls.title)
        for cls in vars(errors).values()
        if isinstance(cls, type) and issubclass(cls, Problem) and cls is not Problem
    }
    found = {answer.code: (answer.status, answer.title) for answer in gateway_errors.answers(LAMBDA_PAYLOAD_BYTES).values()}

    assert {"forbidden", "unauthenticated", "too-many-requests", "quota-exceeded"} == found.keys() - known.keys()
    assert all(found[code] == known[code] for code in found.keys() & known.keys())


def test_command_writes_what_it_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The repository's template is current; a copy that was changed by hand is not, until it is written again."""
    file = tmp_path / "template.yaml"
    whole = FILE.read_text()
    file.write_text(whole.replace("summary: List the models", "summary: List some models"))

    assert 0 == main(["openapi", "--check", "--template", str(FILE)])
    assert 1 == main(["openapi", "--check", "--template", str(file)])
    assert "run: onnx-lambda openapi --write" in capsys.readouterr().err
    assert 0 == main(["openapi", "--write", "--template", str(file)])
    assert whole == file.read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_command_prints_a_document(kind: Kind, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Without a word about the template the document is printed as JSON, as it is written there."""
    assert 0 == main(["openapi", "--gateway", kind, "--template", str(FILE)])
    expected = openapi_gateway.document(kind, payload_bytes=LAMBDA_PAYLOAD_BYTES, alias=alias_of(FILE.read_text()))
    assert expected == json.loads(capfdbinary.readouterr().out)


@pytest.mark.parametrize(("line", "called"), [("      AutoPublishAlias: beta\n", "${OnnxLambda.Arn}:beta"), ("", "${OnnxLambda.Arn}")])
def test_command_follows_the_alias(tmp_path: Path, line: str, called: str) -> None:
    """Where the function has an alias, which releases move, both APIs call that."""
    file = tmp_path / "template.yaml"
    text, changed = re.subn(r"      AutoPublishAlias: \w+\n", lambda _: line, FILE.read_text(), count=1)
    file.write_text(text)

    assert 1 == changed
    assert 0 == main(["openapi", "--write", "--template", str(file)])
    assert 2 * len(places()) == file.read_text().count(f"/functions/{called}/invocations")


@pytest.mark.parametrize("text", ["Resources: {}\n", "      # begin: onnx-lambda openapi --gateway http --write\n"])
def test_command_needs_its_marks(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    """A template without the marks, or one that is not there, is refused with what is missing."""
    (tmp_path / "template.yaml").write_text(text)

    assert 1 == main(["openapi", "--write", "--template", str(tmp_path / "template.yaml")])
    assert "'# end: http' once each" in capsys.readouterr().err
    assert 1 == main(["openapi", "--check", "--template", str(tmp_path / "none.yaml")])
    assert "--template says where it is" in capsys.readouterr().err
