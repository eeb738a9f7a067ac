"""What the roles of template.yaml allow, as a gate before moto: a function's call that its role does not allow is denied.

Only what the template uses of IAM is known here: allowed actions on resources, wildcards at the end of a resource, and
``dynamodb:LeadingKeys``.
"""

import json
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote

from tests import template
from tests.jobs.aws_server import Application, Environ, StartResponse, operation_of

ROLES = {"OnnxLambda": "FunctionRole", "JobsWorker": "WorkerRole", "WebhookSender": "SenderRole", "JobsSweeper": "SweeperRole"}
ACTIONS = {
    "SendMessageBatch": "SendMessage",
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
    "DeleteMessageBatch": "DeleteMessage",
    "GET": "GetObject",
    "HEAD": "GetObject",
    "PUT": "PutObject",
    "DELETE": "DeleteObject",
    "GET?list-type": "ListBucket",
}


class Call(NamedTuple):
    """One action that has to be allowed, on a resource by its name in the template, with the leading key of a table's item."""

    function: str
    action: str
    resource: str
    key: str = ""


def statements(function: str) -> list[dict[str, Any]]:
    """What the role of a function allows, beside its logs."""
    resources = template.written()["Resources"]
    documents = [policy["PolicyDocument"] for policy in resources[ROLES[function]]["Properties"]["Policies"]]
    if function == "OnnxLambda":
        documents.append(resources["JobsPolicy"]["Properties"]["PolicyDocument"])
    return [one for document in documents for one in document["Statement"] if "logs:PutLogEvents" not in one["Action"]]


def targets(statement: dict[str, Any]) -> list[str]:
    """The resources of a statement by their names in the template, and what follows those."""
    found = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
    return [_target(one) for one in found]


def _target(resource: dict[str, Any]) -> str:
    if "Fn::Sub" in resource:
        return re.sub(r"\$\{(\w+)\.Arn\}", r"\1", resource["Fn::Sub"])
    return str(resource["Ref"] if "Ref" in resource else resource["Fn::GetAtt"][0])


def allows(function: str, call: Call) -> bool:
    """Whether a role allows a call."""
    for statement in statements(function):
        if call.action in statement["Action"] and any(fnmatchcase(call.resource, target) for target in targets(statement)):
            keys = statement.get("Condition", {}).get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys", ["*"])
            if any(fnmatchcase(call.key, key) for key in keys):
                return True
    return False


class Gate:
    """Stands before moto. ``calls`` are those of functions, ``denied`` the ones that were not passed on."""

    def __init__(self, moto: Application, names: dict[str, str]) -> None:
        self._moto = moto
        self._names = names
        self.calls: set[Call] = set()
        self.denied: set[Call] = set()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request as AWS would, by the role of whose access key it was signed with: a function's is its name."""
        function = _signer(environ)
        if function not in ROLES:
            return self._moto(environ, start_response)
        calls = set(self._calls(function, environ))
        denied = {call for call in calls if not allows(function, call)}
        self.calls |= calls
        self.denied |= denied
        if not denied:
            return self._moto(environ, start_response)
        text = '{"__type": "AccessDeniedException"}' if "HTTP_X_AMZ_TARGET" in environ else "<Error><Code>AccessDenied</Code></Error>"
        start_response("403 Forbidden", [("content-length", str(len(text)))])
        return [text.encode()]

    def _calls(self, function: str, environ: Environ) -> Iterable[Call]:
        service, operation = environ.get("HTTP_X_AMZ_TARGET", "").partition(".")[0], operation_of(environ)
        if not service:
            yield from self._s3(function, environ, operation)
            return
        body = json.loads(environ["wsgi.input"].getvalue())
        if service.startswith("DynamoDB"):
            yield from (Call(function, f"dynamodb:{action}", self._of(table), key) for action, table, key in _items(operation, body))
        elif service == "AmazonSQS":
            yield Call(function, f"sqs:{ACTIONS.get(operation, operation)}", self._of(body["QueueUrl"].rpartition("/")[2]))
        else:
            yield Call(function, f"{service}:{operation}", self._of(body["SecretId"]))

    def _s3(self, function: str, environ: Environ, operation: str) -> Iterable[Call]:
        yield Call(function, f"s3:{ACTIONS[operation]}", self._of(unquote(environ["PATH_INFO"]).strip("/")))
        if source := environ.get("HTTP_X_AMZ_COPY_SOURCE"):
            yield Call(function, "s3:GetObject", self._of(unquote(source)))

    def _of(self, name: str) -> str:
        first, slash, rest = name.partition("/")
        (logical,) = (logical for logical, made in self._names.items() if made.rpartition("/")[2] == first)
        return logical + slash + rest


def _items(operation: str, body: dict[str, Any]) -> Iterable[tuple[str, str, str]]:
    """The action, table and leading key of everything that a request to DynamoDB asks for: a transaction is allowed by its parts."""
    if operation == "Query":
        yield operation, f"{body['TableName']}/index/{body['IndexName']}", ""
    elif operation == "BatchGetItem":
        for table, asked in body["RequestItems"].items():
            yield from ((operation, table, key["pk"]["S"]) for key in asked["Keys"])
    elif operation == "TransactWriteItems":
        for part in body["TransactItems"]:
            for kind, asked in part.items():
                yield from _items(f"{kind}Item", asked)
    else:
        yield operation, body["TableName"], (body.get("Key") or body["Item"])["pk"]["S"]


def _signer(environ: Environ) -> str:
    signed = re.search(r"Credential=([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    if signed:
        return signed[1]
    return parse_qs(environ.get("QUERY_STRING", "")).get("X-Amz-Credential", [""])[0].partition("/")[0]
