"""Who asks: what each kind of gateway has found out, and nothing that a caller can write himself."""

from typing import Any

import pytest

from app.http.callers import caller_of
from app.http.lambda_gateway import Flavour

ISSUER = "https://issuer.test"
ROLE, USER = "AROAEXAMPLEROLEID0001", "AIDAEXAMPLEUSERID0001"


def event(context: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    return {"requestContext": context, **more}


CONTEXTS: dict[str, tuple[Flavour, dict[str, Any], str]] = {
    "http-api-jwt": ("v2", {"authorizer": {"jwt": {"claims": {"iss": ISSUER, "sub": "u1"}, "scopes": None}}}, f"jwt:{ISSUER}#u1"),
    "http-api-jwt-payload-1": ("v1", {"authorizer": {"claims": {"iss": ISSUER, "sub": "u1"}, "scopes": None}}, f"jwt:{ISSUER}#u1"),
    "rest-api-cognito": ("v1", {"authorizer": {"claims": {"iss": ISSUER, "sub": "u1"}}, "identity": {}}, f"jwt:{ISSUER}#u1"),
    "rest-api-lambda-authorizer": ("v1", {"authorizer": {"principalId": "p1", "integrationLatency": 1}}, "principal:p1"),
    "http-api-lambda-authorizer": ("v2", {"authorizer": {"lambda": {"principalId": "p1", "plan": "x"}}}, "principal:p1"),
    "http-api-iam-user": ("v2", {"authorizer": {"iam": {"userId": USER, "callerId": USER, "cognitoIdentity": None}}}, f"iam:{USER}"),
    "http-api-iam-role": ("v2", {"authorizer": {"iam": {"userId": f"{ROLE}:s1", "callerId": f"{ROLE}:s1"}}}, f"iam:{ROLE}"),
    "http-api-iam-role-next-session": ("v2", {"authorizer": {"iam": {"userId": f"{ROLE}:s2"}}}, f"iam:{ROLE}"),
    "rest-api-iam-user": ("v1", {"identity": {"user": USER, "caller": USER, "apiKeyId": None}}, f"iam:{USER}"),
    "rest-api-iam-role": ("v1", {"identity": {"user": f"{ROLE}:s1", "caller": f"{ROLE}:s1"}}, f"iam:{ROLE}"),
    "http-api-identity-pool": (
        "v2",
        {"authorizer": {"iam": {"userId": f"{ROLE}:CognitoIdentityCredentials", "cognitoIdentity": {"identityId": "eu-west-1:1"}}}},
        "cognito:eu-west-1:1",
    ),
    "rest-api-identity-pool": (
        "v1",
        {"identity": {"user": f"{ROLE}:CognitoIdentityCredentials", "cognitoIdentityId": "eu-west-1:1"}},
        "cognito:eu-west-1:1",
    ),
    "rest-api-key": ("v1", {"identity": {"apiKeyId": "k1", "apiKey": "secret", "sourceIp": "192.0.2.1"}}, "key:k1"),
    "function-url-open": ("v2", {"http": {}, "authentication": None}, ""),
    "http-api-open": ("v2", {"http": {}}, ""),
    "rest-api-open": ("v1", {"identity": {"user": None, "caller": None, "apiKeyId": None, "sourceIp": "192.0.2.1"}}, ""),
    "load-balancer": ("alb", {"elb": {"targetGroupArn": "arn"}, "authorizer": {"principalId": "p1"}}, ""),
}


@pytest.mark.parametrize("kind", CONTEXTS)
def test_every_gateway(kind: str) -> None:
    """Each gateway's context tells its caller; a role is one caller whatever its session, and users of a pool are not one."""
    flavour, context, expected = CONTEXTS[kind]

    assert expected == caller_of(event(context), flavour)


def test_no_two_kinds_are_one() -> None:
    """A name of one kind is never that of another: whoever may choose a subject cannot become a key or a role."""
    named = [
        caller_of(event(context), "v1")
        for context in (
            {"authorizer": {"claims": {"iss": "", "sub": "x"}}},
            {"authorizer": {"principalId": "x"}},
            {"identity": {"user": "x"}},
            {"identity": {"cognitoIdentityId": "x"}},
            {"identity": {"apiKeyId": "x"}},
        )
    ]

    assert 5 == len(set(named))
    assert "" not in named


@pytest.mark.parametrize("flavour", ["v2", "v1", "alb"])
def test_headers_tell_nothing(flavour: Flavour) -> None:
    """Neither headers nor query nor body name a caller."""
    written = dict.fromkeys(("authorization", "x-api-key", "x-amzn-oidc-identity", "x-amzn-oidc-data", "x-user", "principalid"), "x")
    found = event({"http": {}}, headers=written, queryStringParameters=written, body='{"sub":"x"}', authorizer={"principalId": "x"})

    assert "" == caller_of(found, flavour)


@pytest.mark.parametrize(
    "context",
    [
        None,
        7,
        [],
        {},
        {"authorizer": 7, "identity": "x"},
        {"authorizer": {"jwt": [], "claims": "x", "iam": 1, "lambda": None}},
        {
            "authorizer": {"jwt": {"claims": {"sub": 7}}, "principalId": ["x"], "iam": {"userId": {}}},
            "identity": {"user": 1, "apiKeyId": 2},
        },
    ],
)
def test_odd_contexts(context: Any) -> None:
    """A context of another shape names nobody and fails nothing."""
    assert ["", ""] == [caller_of(event(context), flavour) for flavour in ("v2", "v1")]
