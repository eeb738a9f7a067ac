"""The strict front door: API Gateway, Function URL and load-balancer events, honest and hostile."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import UnknownEvent
from app.wiring import event_handler, wire
from handler import ThroughMangum
from tests.problems import LEAKS
from tests.shells import Context

BODY = '{"inputs": [[5.1, 3.5, 1.4, 0.2]]}'
Handler = Callable[[Any, Any], Any]


@pytest.fixture(scope="module", params=["on", "off"], ids=["fast-lane", "mangum"])
def handler(request: pytest.FixtureRequest, models: Path) -> Handler:
    """The function, with and without the fast lane."""
    program = wire({"MODEL_DIR": str(models), "HTTP_FAST_LANE": request.param, "BASE_PATH": "/ml"})
    return event_handler(program, ThroughMangum(program))


def v2(**changes: Any) -> dict[str, Any]:
    """An HTTP API event of a prediction."""
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/predict",
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "host": "api.example.com"},
        "requestContext": {"http": {"method": "POST", "path": "/predict"}, "requestId": "g-1", "stage": "$default"},
        "body": BODY,
        "isBase64Encoded": False,
    }
    context = event["requestContext"] | changes.pop("requestContext", {})
    return event | changes | {"requestContext": context}


def v1(**changes: Any) -> dict[str, Any]:
    """A REST API event of a prediction."""
    return {
        "resource": "/{proxy+}",
        "path": "/predict",
        "httpMethod": "POST",
        "headers": {"Content-Type": "application/json"},
        "multiValueHeaders": {"Content-Type": ["application/json"]},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "requestContext": {"requestId": "g-1", "stage": "prod", "path": "/prod/predict"},
        "body": BODY,
        "isBase64Encoded": False,
    } | changes


def alb(**changes: Any) -> dict[str, Any]:
    """A load-balancer event of a prediction."""
    return {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/t/1"}},
        "httpMethod": "POST",
        "path": "/predict",
        "queryStringParameters": {},
        "headers": {"content-type": "application/json"},
        "body": BODY,
        "isBase64Encoded": False,
    } | changes


@pytest.mark.parametrize(
    "event",
    [
        v2(),
        v2(body=base64.b64encode(BODY.encode()).decode(), isBase64Encoded=True),
        v2(rawPath="/prod/predict", requestContext={"stage": "prod"}),
        v2(rawPath="/ml/predict"),
        v2(rawPath="/prod/ml/predict", requestContext={"stage": "prod"}),
        v2(headers={"Content-Type": "application/json"}),
        v2(headers={}),
        v2(headers=None),
        v1(),
        v1(path="/ml/predict"),
        v1(headers=None),
        v1(multiValueHeaders=None),
        alb(),
        alb(headers=None, multiValueHeaders={"content-type": ["application/json"]}, multiValueQueryStringParameters={}),
    ],
)
def test_every_envelope_is_answered(handler: Handler, event: dict[str, Any]) -> None:
    """Each kind of event, body encoding, stage and base path is answered alike."""
    answer = handler(event, Context())
    headers = answer.get("headers") or {name: values[0] for name, values in answer["multiValueHeaders"].items()}

    assert 200 == answer["statusCode"], answer["body"]
    assert [0] == json.loads(answer["body"])["outputs"]["output_label"]
    assert answer["isBase64Encoded"] is False
    assert "application/json" == headers["Content-Type"]


def test_multi_value_headers_are_answered_in_kind(handler: Handler) -> None:
    """A load balancer that sends lists of header values gets lists back, and a status description."""
    answer = handler(alb(headers=None, multiValueHeaders={"content-type": ["application/json"]}), Context())

    assert "headers" not in answer
    assert ["application/json"] == answer["multiValueHeaders"]["Content-Type"]
    assert answer["statusDescription"].startswith("200")


def test_binary_answers_are_base64(handler: Handler) -> None:
    """What is no text goes back in base64, and says so."""
    event = v2(rawPath="/docs/favicon-32x32.png", requestContext={"http": {"method": "GET", "path": "/"}}, body=None)
    answer = handler(event, Context())

    assert answer["isBase64Encoded"] is True
    assert base64.b64decode(answer["body"]).startswith(b"\x89PNG")


HOSTILE = [
    v2(headers={"host": "a:b:c"}),
    v2(headers={"host": "[::1]:8080"}),
    v2(headers={"host": "h:evil"}),
    v2(headers={"x-forwarded-port": "abc"}),
    v2(headers={"x-forwarded-for": "\x00"}),
    v2(headers="x"),
    v2(headers={"a": 1}),
    v2(headers={"a\r\nb": "1"}),
    v2(headers={"a": "b\r\nset-cookie: x"}),
    v2(headers={"a": "\ud800"}),
    v2(headers={f"h{i}": "v" for i in range(1000)}),
    v2(headers={"big": "x" * 65_536}),
    v2(body="e%30!!==", isBase64Encoded=True),
    v2(body="e30", isBase64Encoded=True),
    v2(body="é", isBase64Encoded=True),
    v2(body="-_-_", isBase64Encoded=True),
    v2(body=BODY, isBase64Encoded=True),
    v2(body=BODY, isBase64Encoded="false"),
    v2(body="\ud800"),
    v2(body={}),
    v2(body=["x"]),
    v2(body=None),
    v2(rawPath=None),
    v2(rawPath="predict"),
    v2(rawPath="http://evil/predict"),
    v2(rawPath="/models/%2e%2e%2fsecret/predict"),
    v2(rawPath="/models/%252e%252e/predict"),
    v2(rawPath="/models/\x00/predict"),
    v2(rawPath="/" + "a/" * 5000),
    v2(rawPath="/%ff%fe"),
    v2(rawPath="/\ud800"),
    v2(rawQueryString=7),
    v2(rawQueryString="a=%zz&\ud800"),
    v2(requestContext={"http": {"method": "TRACE"}}),
    v2(requestContext={"http": {"method": None}}),
    v2(requestContext={"http": {"method": "GET\r\nX: y"}}),
    v2(requestContext={"http": {}}),
    v2(requestContext={"stage": 5}),
    v2(requestContext={"requestId": {"x": 1}}),
    v2(requestContext={"requestId": "\ud800"}),
    v2(requestContext={"requestId": "a\nb"}),
    v2(requestContext={"requestId": "x" * 9000}),
    v2(requestContext={"authorizer": "x"}),
    v1(path=None),
    v1(path=7),
    v1(multiValueHeaders={"a": "b"}),
    v1(multiValueHeaders={"a": [1]}),
    v1(queryStringParameters="x"),
    v1(multiValueQueryStringParameters={"a": [1]}),
    v1(queryStringParameters={"a": None}),
    alb(headers={"host": None}),
    alb(queryStringParameters={"a": 5}),
]


@pytest.mark.parametrize("event", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_events_are_answered(handler: Handler, event: dict[str, Any]) -> None:
    """No hostile event raises out of the HTTP path: it is answered, below 500, in the one error shape, and the next request is right."""
    answer = handler(event, Context())

    json.dumps(answer).encode()
    assert 200 <= answer["statusCode"] < 500, answer
    if answer["statusCode"] >= 400:
        problem = json.loads(answer["body"])
        assert problem["error"] == problem["detail"]
        assert not LEAKS.search(answer["body"]), answer["body"]
    for name, value in answer["headers"].items():
        assert "\n" not in name + value
        assert "\r" not in name + value
    assert 200 == handler(v2(), Context())["statusCode"]


FOREIGN = [
    {},
    [],
    None,
    "x",
    7,
    {"Records": [{"eventSource": "aws:sqs", "body": "{}"}]},
    v2(Records=[{"eventSource": "aws:sqs", "body": "{}"}])
    | {"requestContext": {"http": {"method": "POST"}, "authorizer": {"jwt": {"claims": {"sub": "admin"}}}}},
    v1(Records=[]),
    v2(**{"detail-type": "Scheduled Event", "source": "aws.events"}),
    alb(**{"detail-type": "x"}),
    {"requestContext": "x", "version": "2.0", "routeKey": "$default"},
    {"requestContext": {"http": "x"}, "version": "2.0", "routeKey": "$default"},
    {"version": "2.0", "requestContext": {"http": {"method": "GET"}}},
    {"httpMethod": "GET", "path": "/", "requestContext": {}},
    {"warmup": True, "Records": []},
    {"warmup": 1.5},
    {"source": "aws.events", "detail-type": "Something"},
    {"inputs": [[1, 2, 3, 4]], "Records": []},
    {"inputs": [[1, 2, 3, 4]], "requestContext": {"http": {"method": "POST"}}},
    {"model": "iris"},
    {"Items": [], "BatchInput": {}, "inputs": []},
]


@pytest.mark.parametrize("event", FOREIGN, ids=range(len(FOREIGN)))
def test_unknown_events_raise(handler: Handler, event: Any) -> None:
    """What is no known event raises, so that it is never taken for done; a queue message with a forged requestContext is no HTTP request."""
    with pytest.raises(UnknownEvent, match=r"events/ holds a sample") as raised:
        handler(event, Context())

    assert "admin" not in str(raised.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.sampled_from(sorted(v2())), value=json_values)
def test_any_value_anywhere_is_answered_or_unknown(handler: Handler, key: str, value: Any) -> None:
    """Whatever stands in a field of an HTTP event, the answer is a response or the event is unknown: never another exception."""
    try:
        answer = handler(v2() | {key: value}, Context())
    except UnknownEvent:
        assert key in {"version", "routeKey", "requestContext"}
    else:
        assert 200 <= answer["statusCode"] < 500
