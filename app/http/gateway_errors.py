"""What a REST API answers by itself, in the one error shape.

Types: https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html. The sentences are ours and not
AWS's ``$context.error`` variables, whose text is not known beforehand and would have to be escaped by a template that can only insert.
"""

import json
from typing import Any, NamedTuple

from app import errors
from app.errors import Problem

# API Gateway's own limit: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
GATEWAY_BYTES = 10 * 1024 * 1024
_SIGN = "Sign it by Signature Version 4 with credentials that may call execute-api:Invoke on this API"


class Answer(NamedTuple):
    """What stands in for one of API Gateway's own errors."""

    status: int
    code: str
    title: str
    detail: str
    retry: bool = False


def _like(problem: type[Problem], detail: str) -> Answer:
    """An error that the function has as well."""
    return Answer(problem.status, problem.code, problem.title, detail)


def _forbidden(detail: str) -> Answer:
    return Answer(403, "forbidden", "The request is not allowed", detail)


def answers(payload_bytes: int) -> dict[str, Answer]:
    """API Gateway's response types and what is answered.

    :param payload_bytes: the largest body that the function takes.
    """
    return {
        "BAD_REQUEST_BODY": _like(
            errors.Invalid,
            "The body is not what this path takes as application/json: a JSON object with 'inputs' or 'instances' for a prediction, "
            "with 'bytes' and 'sha256' for an upload.",
        ),
        "BAD_REQUEST_PARAMETERS": _like(errors.Unreadable, "A parameter or header that this path needs is missing."),
        "REQUEST_TOO_LARGE": _like(
            errors.BodyTooLarge,
            f"The request has more than {GATEWAY_BYTES} bytes, which is API Gateway's limit; the function takes {payload_bytes}. "
            "Send fewer rows at once, or upload the body first (POST /uploads).",
        ),
        "UNSUPPORTED_MEDIA_TYPE": _like(errors.UnsupportedContentType, "The path does not take this content type."),
        "RESOURCE_NOT_FOUND": _like(errors.NotFound, "There is nothing at this path; GET / lists what there is."),
        # What API Gateway says where nothing has this path and method, too.
        "MISSING_AUTHENTICATION_TOKEN": _forbidden(
            f"The request is not signed, or there is nothing at this path for this method. {_SIGN}; GET / lists the paths."
        ),
        "ACCESS_DENIED": _forbidden("The caller may not call this path; execute-api:Invoke has to be allowed for it."),
        "INVALID_SIGNATURE": _forbidden(f"The signature does not fit the request. {_SIGN}, and change nothing afterwards."),
        "EXPIRED_TOKEN": _forbidden(f"The credentials have expired. {_SIGN}."),
        "INVALID_API_KEY": _forbidden("The API key is missing, unknown, or not in a usage plan of this API; send it as x-api-key."),
        "WAF_FILTERED": _forbidden("The web application firewall of this API has refused the request."),
        "UNAUTHORIZED": Answer(401, "unauthenticated", "The request does not say who asks", f"The request was not authenticated. {_SIGN}."),
        "THROTTLED": Answer(
            429, "too-many-requests", "There are too many requests", "There were more requests than the API takes.", retry=True
        ),
        "QUOTA_EXCEEDED": Answer(429, "quota-exceeded", "The quota is used up", "The quota of the API key is used up for this month."),
        "INTEGRATION_TIMEOUT": _like(
            errors.DeadlineExceeded, "The function did not answer in time; send fewer rows at once, or send them as a job."
        ),
        "INTEGRATION_FAILURE": _like(errors.InternalError, "The function could not be asked, or did not answer as it should; try again."),
        "DEFAULT_4XX": _like(errors.Unreadable, "API Gateway has refused the request before the function saw it."),
        "DEFAULT_5XX": _like(errors.InternalError, "The function could not be asked, or did not answer as it should; try again."),
    }


def responses(payload_bytes: int) -> dict[str, Any]:
    """The value of ``x-amazon-apigateway-gateway-responses``."""
    return {kind: _response(answer) for kind, answer in answers(payload_bytes).items()}


def _response(answer: Answer) -> dict[str, Any]:
    body = {
        "error": answer.detail,
        "type": f"urn:onnx-lambda:problem:{answer.code}",
        "title": answer.title,
        "status": answer.status,
        "detail": answer.detail,
        "code": answer.code,
        "request_id": "$context.requestId",
    }
    found: dict[str, Any] = {
        "statusCode": answer.status,
        "responseTemplates": {"application/json": json.dumps(body, separators=(",", ":"))},
    }
    return found | ({"responseParameters": {"gatewayresponse.header.Retry-After": "'1'"}} if answer.retry else {})
