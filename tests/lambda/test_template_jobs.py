"""What template.yaml makes of jobs: the starred rows of the checklist, and what the code and the template must agree on."""

import ast
from typing import Any

import pytest

from app.jobs.delivery import LEASE_S
from app.jobs.webhook_request import TIMEOUT_S
from app.jobs.webhook_signature import MAX_SECRET_BYTES, MIN_SECRET_BYTES
from app.settings import Settings, from_environment
from tests.jobs.moto_stores import table_definition
from tests.policies import ROLES, Call, allows, statements, targets
from tests.template import ROOT, expanded, of_type, written

DAY_S = 86_400
WORKERS = {"JobsWorker", "WebhookSender", "JobsSweeper"}
SOURCES = {"JobsQueue": ("JobsDeadQueue", "JobsWorker"), "WebhooksQueue": ("WebhooksDeadQueue", "WebhookSender")}


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    """The template as written."""
    return written()


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    """The resources that CloudFormation would make for jobs, and those that are always there."""
    return {name: resource for name, resource in expanded().items() if resource.get("Condition") in {None, "JobsOn"}}


def properties(resources: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = resources[name]["Properties"]
    return found


def granted(function: str) -> set[tuple[str, str]]:
    """Actions and what they are allowed on."""
    return {(action, target) for one in statements(function) for action in one["Action"] for target in targets(one)}


def test_jobs_are_off_unless_asked_for(template: dict[str, Any], resources: dict[str, Any]) -> None:
    """The parameter's default makes none of what jobs need, so that a stack that was tried out leaves nothing behind."""
    assert "off" == template["Parameters"]["Jobs"]["Default"]
    assert {"Fn::Equals": [{"Ref": "Jobs"}, "on"]} == template["Conditions"]["JobsOn"]
    for kind in (
        "DynamoDB::Table",
        "S3::Bucket",
        "SQS::Queue",
        "SecretsManager::Secret",
        "Lambda::EventSourceMapping",
        "Scheduler::Schedule",
    ):
        found = [resource for resource in resources.values() if resource["Type"] == f"AWS::{kind}"]
        assert found
        assert {"JobsOn"} == {resource.get("Condition") for resource in found}, kind
    assert {name for name in of_type(resources, "AWS::Lambda::Function") if resources[name].get("Condition") == "JobsOn"} == WORKERS


def test_nothing_has_a_name_that_another_stack_would_have(resources: dict[str, Any]) -> None:
    """Whatever is given a name has the stack's in it."""
    for name, resource in resources.items():
        # Aliases have theirs within their function.
        given = [
            value
            for key, value in resource["Properties"].items()
            if key in {"Name", "QueueName", "TableName", "BucketName", "FunctionName"} and resource["Type"] != "AWS::Lambda::Alias"
        ]
        assert all(not isinstance(value, str) and ("Ref" in value or "AWS::StackName" in str(value)) for value in given), name


def test_table_is_what_the_store_expects(resources: dict[str, Any]) -> None:
    """Keys, indexes and projections are those of the tables that the store is tested on."""
    table = properties(resources, "JobsTable")
    expected = table_definition("any")
    expected.pop("TableName")

    def ordered(attributes: list[dict[str, str]]) -> list[dict[str, str]]:
        return sorted(attributes, key=lambda attribute: attribute["AttributeName"])

    assert ordered(expected.pop("AttributeDefinitions")) == ordered(table["AttributeDefinitions"])
    assert expected == {name: table[name] for name in expected}


def test_table_is_safe(resources: dict[str, Any]) -> None:
    """The table deletes by time, can be restored to a moment, is encrypted, and is deleted by no mistake."""
    table = properties(resources, "JobsTable")

    assert {"AttributeName": "expires_at", "Enabled": True} == table["TimeToLiveSpecification"]
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert table["DeletionProtectionEnabled"]
    assert table["SSESpecification"]["SSEEnabled"]
    # A stack with a protected table could not be deleted otherwise.
    assert "Retain" == resources["JobsTable"]["DeletionPolicy"] == resources["JobsTable"]["UpdateReplacePolicy"]


def test_bucket_is_closed(resources: dict[str, Any]) -> None:
    """The bucket is encrypted, owned by its account alone, never public, and spoken to by TLS 1.2 or newer only."""
    bucket = properties(resources, "JobsBucket")
    policy = properties(resources, "JobsBucketPolicy")

    assert {True} == set(bucket["PublicAccessBlockConfiguration"].values())
    assert 4 == len(bucket["PublicAccessBlockConfiguration"])
    assert [{"ObjectOwnership": "BucketOwnerEnforced"}] == bucket["OwnershipControls"]["Rules"]
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert {"Ref": "JobsBucket"} == policy["Bucket"]
    conditions = [
        one["Condition"]
        for one in policy["PolicyDocument"]["Statement"]
        if ("Deny", "*", "s3:*") == (one["Effect"], one["Principal"], one["Action"])
    ]
    assert [{"Bool": {"aws:SecureTransport": "false"}}, {"NumericLessThan": {"s3:TlsVersion": "1.2"}}] == conditions


def test_bucket_forgets_what_the_sweeper_missed(resources: dict[str, Any]) -> None:
    """Everything expires, after the longest life of a job and its result and not before; uploads that were broken off go too."""
    rules = properties(resources, "JobsBucket")["LifecycleConfiguration"]["Rules"]
    expiring = [rule for rule in rules if "ExpirationInDays" in rule]
    settings = Settings()

    assert {"Enabled"} == {rule["Status"] for rule in rules}
    assert settings.job_max_age_s + max(settings.job_retention_s, 82 * 3600) < expiring[0]["ExpirationInDays"] * DAY_S <= 7 * DAY_S
    # Without a prefix it is about every key.
    assert not {"Prefix", "Filter", "TagFilters"} & expiring[0].keys()
    others = [rule for rule in rules if rule not in expiring]
    assert [1] == [
        rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] for rule in others if "AbortIncompleteMultipartUpload" in rule
    ]
    # What was deleted, with the mark of its deletion, goes soon: it was somebody's.
    deleted = [rule for rule in others if "NoncurrentVersionExpiration" in rule]
    assert [(1, True)] == [(rule["NoncurrentVersionExpiration"]["NoncurrentDays"], rule["ExpiredObjectDeleteMarker"]) for rule in deleted]


@pytest.mark.parametrize("queue", list(SOURCES))
def test_queue_and_its_dead_letters(resources: dict[str, Any], queue: str) -> None:
    """Dead letters take messages of their own queue alone, after two receives more than a job has attempts, and keep them longest."""
    dead, _ = SOURCES[queue]
    source, letters = properties(resources, queue), properties(resources, dead)

    assert {"Fn::GetAtt": [dead, "Arn"]} == source["RedrivePolicy"]["deadLetterTargetArn"]
    assert 5 <= Settings().job_max_attempts + 2 == source["RedrivePolicy"]["maxReceiveCount"]
    assert Settings().job_max_age_s < source["MessageRetentionPeriod"] < letters["MessageRetentionPeriod"] == 14 * DAY_S
    (allowed,) = letters["RedriveAllowPolicy"]["sourceQueueArns"]
    assert "byQueue" == letters["RedriveAllowPolicy"]["redrivePermission"]
    assert allowed["Fn::Sub"].endswith(f":{source['QueueName']['Fn::Sub']}")


def test_queues_are_encrypted_and_spoken_to_by_tls_only(resources: dict[str, Any]) -> None:
    """Every queue has SQS's own encryption, and a policy that denies whatever comes without TLS."""
    queues = of_type(resources, "AWS::SQS::Queue")
    policies = {policy["Queues"][0]["Ref"]: policy["PolicyDocument"] for policy in of_type(resources, "AWS::SQS::QueuePolicy").values()}

    assert all(queue["SqsManagedSseEnabled"] for queue in queues.values())
    assert policies.keys() == queues.keys()
    for name, document in policies.items():
        (statement,) = document["Statement"]
        assert ("Deny", "*", "sqs:*") == (statement["Effect"], statement["Principal"], statement["Action"])
        assert {"Bool": {"aws:SecureTransport": "false"}} == statement["Condition"]
        assert {"Fn::GetAtt": [name, "Arn"]} == statement["Resource"]


@pytest.mark.parametrize("queue", list(SOURCES))
def test_delivery_of_a_queue(resources: dict[str, Any], queue: str) -> None:
    """A function gets at most ten messages, answers which of them failed, in so many environments at most, and has its time six times over."""
    function = SOURCES[queue][1]
    (mapping,) = [one for one in of_type(resources, "AWS::Lambda::EventSourceMapping").values() if one["FunctionName"] == {"Ref": function}]

    assert {"Fn::GetAtt": [queue, "Arn"]} == mapping["EventSourceArn"]
    assert ["ReportBatchItemFailures"] == mapping["FunctionResponseTypes"]
    assert mapping["BatchSize"] <= 10
    assert mapping["ScalingConfig"]["MaximumConcurrency"] >= 2
    assert "ReservedConcurrentExecutions" not in properties(resources, function)
    assert properties(resources, queue)["VisibilityTimeout"] >= 6 * properties(resources, function)["Timeout"]


def test_sender_has_time_for_its_deliveries(resources: dict[str, Any]) -> None:
    """Every webhook of a delivery has time for a whole attempt and its record, and a sender is dead when its claim ends."""
    (mapping,) = [
        one for one in of_type(resources, "AWS::Lambda::EventSourceMapping").values() if one["FunctionName"] == {"Ref": "WebhookSender"}
    ]
    timeout = properties(resources, "WebhookSender")["Timeout"]

    assert mapping["BatchSize"] * (TIMEOUT_S + 10) <= timeout <= LEASE_S


def test_sweeper_comes_every_minute(resources: dict[str, Any]) -> None:
    """The schedule sends what the sweeper recognises, and a sweep that failed is left to the next one."""
    schedule = properties(resources, "JobsSweeperEveryMinute")
    (statement,) = properties(resources, "JobsSweeperEveryMinuteRole")["Policies"][0]["PolicyDocument"]["Statement"]

    assert "rate(1 minute)" == schedule["ScheduleExpression"]
    assert '{"sweep": true}' == schedule["Target"]["Input"]
    assert {"Fn::GetAtt": ["JobsSweeper", "Arn"]} == schedule["Target"]["Arn"] == statement["Resource"]
    assert "lambda:InvokeFunction" == statement["Action"]
    assert 0 == schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"]
    assert 0 == properties(resources, "JobsSweeperEventInvokeConfig")["MaximumRetryAttempts"]


def test_functions_are_one_image_with_a_role_each(template: dict[str, Any], resources: dict[str, Any]) -> None:
    """All functions come from the same build, each with a role and a log group of its own."""
    functions = of_type(resources, "AWS::Lambda::Function")
    builds = [template["Resources"][name]["Metadata"] for name in functions]

    assert ROLES.keys() == functions.keys()
    assert [builds[0]] * 4 == builds
    for name, function in functions.items():
        role = properties(resources, ROLES[name])
        (logs,) = [
            one["Resource"]
            for policy in role["Policies"]
            for one in policy["PolicyDocument"]["Statement"]
            if "logs:PutLogEvents" in one["Action"]
        ]
        assert {"Fn::GetAtt": [ROLES[name], "Arn"]} == function["Role"]
        assert "ManagedPolicyArns" not in role
        assert {"Fn::GetAtt": [function["LoggingConfig"]["LogGroup"]["Ref"], "Arn"]} == logs
        assert "Image" == function["PackageType"]
        assert function["Timeout"]
        assert function["MemorySize"]
    assert 4 == len({str(function["LoggingConfig"]) for function in functions.values()})


def test_no_statement_has_a_wildcard() -> None:
    """No role has an action or a resource that is a wildcard, but for the keys below a prefix of the bucket."""
    for function in ROLES:
        for action, resource in granted(function):
            assert "*" not in action
            assert "*" not in resource.removeprefix("JobsBucket/").removesuffix("/*"), (function, resource)
            assert "/" in resource or action not in {"s3:GetObject", "s3:PutObject", "s3:DeleteObject"}


def test_sender_reaches_nothing_worth_stealing() -> None:
    """Who sends to addresses of strangers reads its queue, its deliveries and its key, and neither bucket nor jobs."""
    (table,) = [one for one in statements("WebhookSender") if targets(one) == ["JobsTable"]]

    assert {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["delivery#*"]}} == table["Condition"]
    assert {
        ("dynamodb:GetItem", "JobsTable"),
        ("dynamodb:PutItem", "JobsTable"),
        ("sqs:ReceiveMessage", "WebhooksQueue"),
        ("sqs:DeleteMessage", "WebhooksQueue"),
        ("sqs:GetQueueAttributes", "WebhooksQueue"),
        ("sqs:SendMessage", "WebhooksQueue"),
        ("secretsmanager:GetSecretValue", "WebhookSecret"),
    } == granted("WebhookSender")


def test_nobody_else_reads_the_key(resources: dict[str, Any]) -> None:
    """The key that signs webhooks is the sender's alone, and no environment holds it."""
    readers = [function for function in ROLES if ("secretsmanager:GetSecretValue", "WebhookSecret") in granted(function)]

    assert ["WebhookSender"] == readers
    for function in of_type(resources, "AWS::Lambda::Function").values():
        assert "WEBHOOK_SECRETS" not in function["Environment"]["Variables"]
        assert "resolve:" not in str(function["Environment"])


def test_generated_key_is_one_of_standard_webhooks(resources: dict[str, Any]) -> None:
    """What Secrets Manager generates is base64 of as many bytes as a key has: letters and digits, four for three bytes."""
    generated = properties(resources, "WebhookSecret")["GenerateSecretString"]

    assert generated["ExcludePunctuation"]
    assert "IncludeSpace" not in generated
    assert 0 == generated["PasswordLength"] % 4
    assert MIN_SECRET_BYTES <= generated["PasswordLength"] // 4 * 3 <= MAX_SECRET_BYTES


def test_environments_are_settings(resources: dict[str, Any]) -> None:
    """Every variable of a function is a setting, and with Jobs=on none that is needed is missing."""
    for name, function in of_type(resources, "AWS::Lambda::Function").items():
        variables = function["Environment"]["Variables"]
        assert {variable.lower() for variable in variables} <= set(Settings._fields), name
        on = {
            variable: value["Fn::If"][1] if isinstance(value, dict) and "Fn::If" in value else value
            for variable, value in variables.items()
        }
        environment = {variable: value if isinstance(value, str) else "https://placeholder" for variable, value in on.items()}
        assert "aws" == from_environment({"AWS_LAMBDA_FUNCTION_NAME": "f", **environment}).jobs
    api = properties(resources, "OnnxLambda")["Environment"]["Variables"]
    off = {variable: value["Fn::If"][2] for variable, value in api.items() if isinstance(value, dict) and "Fn::If" in value}
    assert "off" == off.pop("JOBS")
    assert all({"Ref": "AWS::NoValue"} == value for value in off.values())


@pytest.mark.parametrize(
    ("function", "action", "resource", "key"),
    [
        ("WebhookSender", "dynamodb:GetItem", "JobsTable", "job#1"),
        ("WebhookSender", "dynamodb:PutItem", "JobsTable", "reservation#1"),
        ("WebhookSender", "s3:GetObject", "JobsBucket/results/1", ""),
        ("WebhookSender", "sqs:SendMessage", "JobsQueue", ""),
        ("JobsWorker", "dynamodb:PutItem", "JobsTable", "reservation#1"),
        ("JobsWorker", "dynamodb:DeleteItem", "JobsTable", "job#1"),
        ("JobsWorker", "dynamodb:Query", "JobsTable/index/by_owner", ""),
        ("JobsWorker", "s3:GetObject", "JobsBucket/uploads/1", ""),
        ("JobsWorker", "s3:PutObject", "JobsBucket/payloads/1", ""),
        ("JobsWorker", "secretsmanager:GetSecretValue", "WebhookSecret", ""),
        ("OnnxLambda", "s3:PutObject", "JobsBucket/results/1", ""),
        ("OnnxLambda", "sqs:ReceiveMessage", "JobsQueue", ""),
        ("OnnxLambda", "secretsmanager:GetSecretValue", "WebhookSecret", ""),
        ("JobsSweeper", "s3:GetObject", "JobsBucket/results/1", ""),
        ("JobsSweeper", "s3:PutObject", "JobsBucket/results/1", ""),
        ("JobsSweeper", "sqs:DeleteMessage", "JobsDeadQueue", ""),
    ],
)
def test_roles_are_denied_what_is_not_theirs(function: str, action: str, resource: str, key: str) -> None:
    """A function that was taken over reads and writes nothing but what it works with."""
    assert not allows(function, Call(function, action, resource, key))


def test_roles_may_do_what_the_code_asks_for() -> None:
    """Every operation that the stores' code calls is allowed to some role, and no role is allowed one that is never called."""
    called = set()
    for file in (
        "app/jobs/aws_backend.py",
        "app/jobs/aws_queues.py",
        "app/storage/s3.py",
        "app/storage/s3_requests.py",
        "app/storage/aws_clients.py",
    ):
        texts = {
            node.value
            for node in ast.walk(ast.parse((ROOT / file).read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        called |= texts & NEEDS.keys()
    allowed = {action for function in ROLES for action, _ in granted(function)}
    # Lambda itself takes messages from a queue with its function's role.
    by_lambda = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}

    assert NEEDS.keys() == called
    assert allowed == {action for operation in called for action in NEEDS[operation]} | by_lambda


# Operation → actions: the Service Authorization Reference of each service. A transaction is authorised by its parts; put_item and
# delete_item are made up in the code of "put" and "delete".
NEEDS = {
    "get_item": ["dynamodb:GetItem"],
    "transact_write_items": ["dynamodb:PutItem", "dynamodb:DeleteItem"],
    "query": ["dynamodb:Query"],
    "batch_get_item": ["dynamodb:BatchGetItem"],
    "send_message_batch": ["sqs:SendMessage"],
    "receive_message": ["sqs:ReceiveMessage"],
    "change_message_visibility_batch": ["sqs:ChangeMessageVisibility"],
    "put_object": ["s3:PutObject"],
    "get_object": ["s3:GetObject"],
    "head_object": ["s3:GetObject"],
    "copy_object": ["s3:GetObject", "s3:PutObject"],
    "delete_object": ["s3:DeleteObject"],
    "list_objects_v2": ["s3:ListBucket"],
    "get_secret_value": ["secretsmanager:GetSecretValue"],
}
