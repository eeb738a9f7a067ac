"""Who asks: read from what the gateway found out about the caller, never from a header or a body."""

from collections.abc import Mapping
from typing import Any, Literal


def caller_of(event: Mapping[str, Any], flavour: Literal["v2", "v1", "alb"]) -> str:
    """The caller's identity, with its kind before it; empty where the gateway asked nobody who he is.

    A JWT's subject is one of its issuer; an IAM principal is the user or the role by its unique id, whatever the session's name, which
    changes with every renewal of credentials; of an identity pool, whose users share a role, it is the user. Shapes: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    and, for REST APIs, api-gateway-mapping-template-reference.html beside it.
    """
    context = event.get("requestContext")
    # A load balancer passes on the headers of its own checks, which whoever reaches the function can write.
    if not isinstance(context, Mapping) or flavour == "alb":
        return ""
    authorizer, identity = _object(context, "authorizer"), _object(context, "identity")
    claims = _object(_object(authorizer, "jwt"), "claims") or _object(authorizer, "claims")
    if subject := _text(claims, "sub"):
        return f"jwt:{_text(claims, 'iss')}#{subject}"
    # of a Lambda authorizer; for payload 2.0 what it answers is an object of its own
    if principal := _text(authorizer, "principalId") or _text(_object(authorizer, "lambda"), "principalId"):
        return f"principal:{principal}"
    iam = _object(authorizer, "iam")
    if user := _text(_object(iam, "cognitoIdentity"), "identityId") or _text(identity, "cognitoIdentityId"):
        return f"cognito:{user}"
    # AROA…:session of a role, AIDA… of a user (IAM User Guide, "Unique identifiers")
    user = _text(iam, "userId") or _text(iam, "callerId") or _text(identity, "user") or _text(identity, "caller")
    if user:
        # Of a federated user what stands before the colon is the account: only a role's session is cut off.
        return f"iam:{user.partition(':')[0] if user.startswith('AROA') else user}"
    key = _text(identity, "apiKeyId")
    return f"key:{key}" if key else ""


def _object(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = holder.get(name)
    return found if isinstance(found, Mapping) else {}


def _text(holder: Mapping[str, Any], name: str) -> str:
    found = holder.get(name)
    return found if isinstance(found, str) else ""
