"""Every action on every resource, asked of every role as IAM would decide it: what the code was seen to ask for, and nothing else.

What it was seen to ask for is tests/data/role_calls.json, which every test that runs on a deployment adds to or fails.
"""

import functools
from collections.abc import Iterator

import botocore.session
import pytest

from tests.event_parameters import BUS, STREAM
from tests.iam import Account
from tests.role_calls import known
from tests.role_rights import BY_POLLERS, FORBIDDEN, FUNCTIONS, NOBODY, UNSEEN, Right
from tests.scans.variants import EVERYTHING, GIVEN, VARIANTS

# The services whose every operation is asked about; IAM's prefix of their actions.
SERVICES = {
    **{name: name for name in ("apigateway", "cloudformation", "codedeploy", "dynamodb", "ec2", "ecr", "events", "firehose", "iam")},
    **{name: name for name in ("kinesis", "kms", "lambda", "logs", "s3", "scheduler", "secretsmanager", "sns", "sqs", "ssm", "sts")},
    "cloudwatch": "cloudwatch",
    "xray": "xray",
    "stepfunctions": "states",
}
# Segments are nobody's, and X-Ray knows no resource for them; a sample of what is answered goes to a bucket of the owner's.
TRACED = ("GetSamplingRules", "GetSamplingTargets", "PutTelemetryRecords", "PutTraceSegments")
CAPTURING = ("OnnxLambda", "JobsWorker")
# Of S3 many actions are no operations: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
S3_ACTIONS = (
    "GetObjectVersion",
    "DeleteObjectVersion",
    "ListBucket",
    "ListBucketVersions",
    "ListMultipartUploadParts",
    "PutObjectRetention",
)
OTHER_ACTIONS = (
    "lambda:InvokeFunction",
    "kafka-cluster:Connect",
    "kafka-cluster:ReadData",
    "kafka-cluster:WriteData",
    "kafka:DescribeCluster",
)
PREFIXES = {
    "JobsBucket": ("answers", "payloads", "results", "uploads", "elsewhere"),
    "InboxBucket": ("batches", "inbox", "predictions", "elsewhere"),
}
KEYS = ("delivery#*", "job#*", "reservation#*")
# The function's own ARN is part of every call that its code makes, and of none that Lambda makes with its role.
BY_CODE = {"lambda:SourceFunctionArn": "arn:aws:lambda:eu-west-1:123456789012:function:it"}
TABLE = "AWS::DynamoDB::Table"
GIVEN_BUS, GIVEN_STREAM = BUS, STREAM
# Resources of tests that are no part of the variant that has everything: results go elsewhere there.
ELSEWHERE = {"flowers", "results-of-flowers"}


@functools.cache
def actions() -> tuple[str, ...]:
    """Every action that is asked about."""
    session = botocore.session.Session()
    named = [f"{prefix}:{name}" for service, prefix in SERVICES.items() for name in session.get_service_model(service).operation_names]
    return tuple(sorted({*named, *(f"s3:{name}" for name in S3_ACTIONS), *OTHER_ACTIONS}))


def asked(stack: Account) -> Iterator[tuple[str, str, str]]:
    """Every resource that is asked about: its name, its ARN, and a table's key."""
    for name, resource in stack.resources.items():
        arn = stack.arn(name)
        yield name, arn, ""
        if resource["Type"] == "AWS::DynamoDB::Table":
            yield from ((name, arn, key) for key in KEYS)
            yield from ((f"{name}/index/{index}", f"{arn}/index/{index}", "") for index in ("by_due", "by_owner"))
        for prefix in PREFIXES.get(name, ()):
            yield f"{name}/{prefix}/*", f"{arn}/{prefix}/something", ""
    # What is somebody else's, and named by a parameter or by none.
    yield from ((name, value, "") for name, value in stack.parameters.items() if value.startswith("arn:"))
    yield f"{GIVEN['InputBucket']}/*", f"arn:aws:s3:::{GIVEN['InputBucket']}/object", ""
    yield GIVEN["InputBucket"], f"arn:aws:s3:::{GIVEN['InputBucket']}", ""
    here = "eu-west-1:123456789012"
    yield "captures/*", "arn:aws:s3:::captures/of/flowers/2026/capture.jsonl", ""
    yield "replies", f"arn:aws:sqs:{here}:replies", ""
    for service, rest in {
        "sqs": "another",
        "dynamodb": "table/another",
        "secretsmanager": "secret:another",
        "lambda": "function:another",
    }.items():
        yield f"another {service}", f"arn:aws:{service}:{here}:{rest}", ""
    yield from ((f"another {end}", f"arn:aws:s3:::another{end}", "") for end in ("", "/object"))
    yield "a deployment group of the stack", f"arn:aws:codedeploy:{here}:deploymentgroup:flowers-application/flowers-group", ""
    yield "another deployment group", f"arn:aws:codedeploy:{here}:deploymentgroup:another/another", ""
    yield "another key", f"arn:aws:kms:{here}:key/another", ""
    yield "everything", "*", ""


@functools.cache
def account(variant: str) -> Account:
    """The stack of a variant; nobody changes it."""
    return Account(variant)


@functools.cache
def rights(function: str, variant: str = EVERYTHING) -> frozenset[Right]:
    """What a function's code may do: action, resource and key."""
    stack = account(variant)
    role = stack.role_of(function)
    possible = stack.allowed(role, actions())
    found = set()
    for name, arn, key in asked(stack):
        context = {**BY_CODE, **({"dynamodb:LeadingKeys": key.replace("*", "1")} if key else {})}
        # A call about items has always a key.
        about = {action for action in possible if key or not action.endswith("Item") or stack.resources.get(name, {}).get("Type") != TABLE}
        found |= {(action, name, key) for action in about if stack.allows(role, action, arn, context)}
    # What is allowed on everything is told of once.
    anywhere = {action for action, name, _ in found if name == "everything"}
    return frozenset(right for right in found if right[1] == "everything" or right[0] not in anywhere)


def by_lambda(function: str) -> set[Right]:
    """What Lambda does with a function's role, and never its code: write its logs, take messages from its queue, tell of failures."""
    stack = account(EVERYTHING)
    logs = stack.resources[function]["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]
    found = {(f"logs:{action}", logs, "") for action in ("CreateLogStream", "PutLogEvents")}
    # Asked of KMS by S3, SQS and DynamoDB in the function's name.
    found |= {(f"kms:{action}", "KeyArn", "") for action in ("Decrypt", "GenerateDataKey")}
    for one in stack.resources.values():
        properties = one.get("Properties", {})
        if one["Type"] == "AWS::Lambda::EventSourceMapping" and {"Ref": function} == properties["FunctionName"]:
            source = properties["EventSourceArn"]
            if isinstance(source, dict):
                found |= {
                    (f"sqs:{action}", source["Fn::GetAtt"][0], "") for action in ("DeleteMessage", "GetQueueAttributes", "ReceiveMessage")
                }
        if one["Type"] == "AWS::Lambda::EventInvokeConfig" and {"Ref": function} == properties["FunctionName"]:
            destination = properties.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
            if destination:
                found.add(("sqs:SendMessage", destination["Fn::GetAtt"][0], ""))
    if stack.parameters.get("Tracing") == "xray" and "TracingPolicy" in stack.resources:
        found |= {(f"xray:{action}", "everything", "") for action in TRACED}
    if function in CAPTURING and stack.parameters.get("Capture"):
        found.add(("s3:PutObject", "captures/*", ""))
    return found | BY_POLLERS.get(function, set())


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_role_may_do_what_its_code_does_and_nothing_else(function: str) -> None:
    """Of all actions on all resources a function's code may do those that it was seen to ask for, and those that are told of here."""
    seen = {one[1:] for one in known() if one[0] == function and one[2].partition("/")[0] not in ELSEWHERE}

    assert sorted(seen | by_lambda(function) | UNSEEN.get(function, set())) == sorted(rights(function))
    assert set() == seen & UNSEEN.get(function, set())


@pytest.mark.parametrize("variant", [variant for variant in VARIANTS if "results to" in variant])
def test_results_go_to_one_place(variant: str) -> None:
    """With results elsewhere the worker of records may put them there, by one action, and not into the stack's own queue."""
    stack = account(variant)
    role = stack.role_of("RecordsWorker")
    places = {
        "s3:PutObject": "arn:aws:s3:::results/answers/1.json",
        "events:PutEvents": GIVEN_BUS,
        "firehose:PutRecordBatch": GIVEN_STREAM,
    }
    allowed = {action for action, arn in places.items() if stack.allows(role, action, arn, BY_CODE)}

    assert 1 == len(allowed)
    assert not stack.allows(role, "s3:PutObject", "arn:aws:s3:::results/elsewhere/1.json", BY_CODE)
    assert not any(right for right in rights("RecordsWorker", variant) if right[1] == "ResultsQueue")


@pytest.mark.parametrize(("function", "action", "resource", "key"), FORBIDDEN)
def test_forbidden(function: str, action: str, resource: str, key: str) -> None:
    """What would hurt most is denied to who could ask for it, and is a question that some other role is answered yes."""
    assert (action, resource, key) not in rights(function)
    assert (action, resource, key) in {right for other in FUNCTIONS if other != function for right in rights(other)} | NOBODY


def test_roles_are_taken_by_their_service_alone() -> None:
    """Each role is for one service of AWS, and no function's role is another's."""
    stack = account(EVERYTHING)
    for role in stack.roles():
        (statement,) = stack.resources[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert ("Allow", {"Service"}) == (statement["Effect"], set(statement["Principal"]))
    roles = [stack.role_of(function) for function in FUNCTIONS]

    assert sorted(set(roles)) == sorted(roles)


def test_every_function_is_simulated() -> None:
    """No function of the template is left out."""
    functions = {name for name, one in account(EVERYTHING).resources.items() if one["Type"] == "AWS::Lambda::Function"}

    assert set(FUNCTIONS) == functions
    assert {one[0] for one in known()} <= functions


def test_calls_are_allowed_where_they_were_made() -> None:
    """Every call that was seen is allowed to its function in some variant."""
    allowed = {(function, *right) for function in FUNCTIONS for right in rights(function)}

    assert set() == {one for one in known() if one[2].partition("/")[0] not in ELSEWHERE} - allowed
