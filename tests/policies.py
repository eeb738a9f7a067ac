"""What the roles of template.yaml allow, as a gate before moto: a function's call that its role does not allow is denied.

Only what the template uses of IAM is known here: allowed actions on resources, wildcards at the end of a resource, and
``dynamodb:LeadingKeys``.
"""

import functools
import json
import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote

from tests import template
from tests.jobs.aws_server import Application, Environ, StartResponse, operation_of
from tests.role_calls import Known, general
from tests.template_values import Values

# The functions of jobs, and of events.
ROLES = {"OnnxLambda": "FunctionRole", "JobsWorker": "WorkerRole", "WebhookSender": "SenderRole", "JobsSweeper": "SweeperRole"}
ROLES_OF_EVENTS = {"RecordsWorker": "RecordsRole", "InboxWorker": "InboxRole", "BatchWorker": "BatchRole"}
ALL_ROLES = ROLES | ROLES_OF_EVENTS
JOBS = {"Jobs": "on"}
ACTIONS = {
    "SendMessageBatch": "SendMessage",
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
    "DeleteMessageBatch": "DeleteMessage",
    "GET": "GetObject",
    "HEAD": "GetObject",
    "PUT": "PutObject",
    "DELETE": "DeleteObject",
    "GET?list-type": "ListBucket",
    "POST": "PutObject",
}
# The services whose requests name one resource, and where: its member, and the prefix of its actions.
NAMED = {
    "AmazonSQS": ("sqs", "QueueUrl"),
    "secretsmanager": ("secretsmanager", "SecretId"),
    "AWSStepFunctions": ("states", "stateMachineArn"),
    "Firehose_20150804": ("firehose", "DeliveryStreamName"),
}


class Call(NamedTuple):
    """One action that has to be allowed, on a resource by its name in the template, with the leading key of a table's item."""

    function: str
    action: str
    resource: str
    key: str = ""


def statements(function: str, parameters: Mapping[str, str] = JOBS) -> list[dict[str, Any]]:
    """What the role of a function allows with these parameters, beside its logs."""
    documents = _documents(ALL_ROLES[function], tuple(sorted(parameters.items())))
    return [one for document in documents for one in document["Statement"] if "logs:PutLogEvents" not in one["Action"]]


@functools.cache
def _documents(role: str, parameters: tuple[tuple[str, str], ...]) -> list[dict[str, Any]]:
    made = Values(dict(parameters)).resources(template.written()["Resources"])
    if role not in made:
        return []
    added = template.of_type(made, "AWS::IAM::RolePolicy").values()
    return [
        *(policy["PolicyDocument"] for policy in made[role]["Properties"]["Policies"]),
        *(policy["PolicyDocument"] for policy in added if policy["RoleName"] == {"Ref": role}),
    ]


def targets(statement: dict[str, Any]) -> list[str]:
    """The resources of a statement by their names in the template, and what follows those; of others, what ends their ARNs."""
    found = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
    return [_target(one) for one in found]


def _target(resource: Any) -> str:
    if isinstance(resource, dict) and "Fn::Sub" not in resource:
        return str(resource["Ref"] if "Ref" in resource else resource["Fn::GetAtt"][0])
    text = resource["Fn::Sub"] if isinstance(resource, dict) else resource
    if not text.startswith("arn:"):
        return re.sub(r"\$\{(\w+)\.Arn\}", r"\1", text)
    # The name of something of the stack, which is said where a reference would go in a circle; else of somebody else's.
    place = text.replace("${AWS::StackName}", "STACK").split(":", 5)[5]
    name = place if ":s3:::" in text or place.endswith("*") else _last(place)
    kinds = {"AWS::Serverless::StateMachine": "Name", "AWS::SQS::Queue": "QueueName"}
    own = {"Fn::Sub": name.replace("STACK", "${AWS::StackName}")}
    written = template.written()["Resources"].items()
    return next((logical for logical, one in written if one["Properties"].get(kinds.get(one["Type"], "")) == own), name)


def allows(function: str, call: Call, parameters: Mapping[str, str] = JOBS) -> bool:
    """Whether a role allows a call."""
    for statement in statements(function, parameters):
        if call.action in statement["Action"] and any(fnmatchcase(call.resource, target) for target in targets(statement)):
            keys = statement.get("Condition", {}).get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys", ["*"])
            if any(fnmatchcase(call.key, key) for key in keys):
                return True
    return False


class Gate:
    """Stands before moto. ``calls`` are those of functions, ``denied`` the ones that were not passed on."""

    def __init__(self, moto: Application, names: dict[str, str], parameters: Mapping[str, str] = JOBS) -> None:
        self.moto = moto
        self._names = names
        self._parameters = parameters
        self.calls: set[Call] = set()
        # Of the whole deployment: ``calls`` is cleared by who looks at some of them.
        self.seen: set[Known] = set()
        self.denied: set[Call] = set()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request as AWS would, by the role of whose access key it was signed with: a function's is its name."""
        function = _signer(environ)
        if function not in ALL_ROLES:
            return self.moto(environ, start_response)
        calls = set(self._calls(function, environ))
        denied = {call for call in calls if not allows(function, call, self._parameters)}
        self.calls |= calls
        self.seen |= {general(*call) for call in calls - denied}
        self.denied |= denied
        if not denied:
            return self.moto(environ, start_response)
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
        elif service == "AWSEvents":
            yield from (Call(function, f"events:{operation}", self._of(_last(entry["EventBusName"]))) for entry in body["Entries"])
        else:
            prefix, member = NAMED[service]
            yield Call(function, f"{prefix}:{ACTIONS.get(operation, operation)}", self._of(_last(body[member])))

    def _s3(self, function: str, environ: Environ, operation: str) -> Iterable[Call]:
        # The bucket and key; a folder's slash at the end is part of the key.
        query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        action = ACTIONS[operation]
        if operation == "DELETE" and "uploadId" in query:
            action = "AbortMultipartUpload"
        if "versionId" in query:
            action += "Version"
        yield Call(function, f"s3:{action}", self._of(unquote(environ["PATH_INFO"]).strip("/")))
        if source := environ.get("HTTP_X_AMZ_COPY_SOURCE"):
            yield Call(function, "s3:GetObject", self._of(unquote(source)))

    def _of(self, name: str) -> str:
        first, slash, rest = name.partition("/")
        found = [logical for logical, made in self._names.items() if made and _last(made) == first]
        return (found[0] if found else first) + slash + rest


def _last(name: str) -> str:
    """What ends an ARN or an address; secrets' ARNs are their names."""
    return name if ":secretsmanager:" in name else name.rpartition("/")[2].rpartition(":")[2]


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
