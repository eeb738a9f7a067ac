"""What template.yaml makes of events: the starred rows of the checklist, and nothing where they are not asked for."""

from typing import Any

import pytest

from tests.event_parameters import ACCOUNT, BUS, EVERYTHING, ON, SOURCES, STREAM, granted, properties
from tests.policies import ROLES_OF_EVENTS
from tests.template import expanded, of_type, written
from tests.template_values import Values, made

DAY_S = 86_400
# A queue of ours, that of its dead letters, and who works it off.
QUEUES = {"RequestsQueue": ("RequestsDeadQueue", "RecordsWorker"), "InboxQueue": ("InboxDeadQueue", "InboxWorker")}
STREAMS = {"KinesisMapping": "KinesisPolicy", "DynamoDbMapping": "DynamoDbPolicy", "KafkaMapping": "KafkaPolicy"}


@pytest.fixture(name="resources", scope="module")
def _resources() -> dict[str, Any]:
    """The resources that CloudFormation makes where everything of events is asked for, and nothing of jobs."""
    return made(**EVERYTHING)


def test_events_are_off_unless_asked_for() -> None:
    """With the parameters as they are by themselves nothing of events is made, and nor is by naming sources alone."""
    always = made()
    parameters = written()["Parameters"]

    assert {"off"} == {parameters[name]["Default"] for name in ON}
    assert {""} == {parameters[name]["Default"] for name in (*SOURCES, "ResultsTo")}
    assert always == made(**SOURCES, ResultsTo=BUS)
    assert not of_type(always, "AWS::SQS::Queue")
    assert not of_type(always, "AWS::S3::Bucket")
    assert ["OnnxLambda"] == list(of_type(always, "AWS::Lambda::Function"))
    assert made(Jobs="on").keys() - always.keys() == {name for name, one in expanded().items() if one.get("Condition") == "JobsOn"}


def test_each_part_is_made_by_itself() -> None:
    """Events, inbox and batch bring a function each, and none of them another's."""
    functions = {name: set(of_type(made(**{name: "on"}), "AWS::Lambda::Function")) - {"OnnxLambda"} for name in ON}

    assert {"Events": {"RecordsWorker"}, "Inbox": {"InboxWorker"}, "Batch": {"BatchWorker"}} == functions
    assert not of_type(made(Batch="on"), "AWS::Lambda::EventSourceMapping")
    assert not of_type(made(Events="on"), "AWS::S3::Bucket")
    assert not of_type(made(Inbox="on"), "AWS::StepFunctions::StateMachine")


@pytest.mark.parametrize("queue", list(QUEUES))
def test_queue_and_its_dead_letters(resources: dict[str, Any], queue: str) -> None:
    """Dead letters take messages of their own queue alone, after at least five receives, and keep them for fourteen days."""
    dead, _ = QUEUES[queue]
    source, letters = properties(resources, queue), properties(resources, dead)

    assert {"Fn::GetAtt": [dead, "Arn"]} == source["RedrivePolicy"]["deadLetterTargetArn"]
    assert source["RedrivePolicy"]["maxReceiveCount"] >= 5
    assert source["MessageRetentionPeriod"] < letters["MessageRetentionPeriod"] == 14 * DAY_S
    (allowed,) = letters["RedriveAllowPolicy"]["sourceQueueArns"]
    assert "byQueue" == letters["RedriveAllowPolicy"]["redrivePermission"]
    assert allowed["Fn::Sub"].endswith(f":{source['QueueName']['Fn::Sub']}")


@pytest.mark.parametrize("queue", list(QUEUES))
def test_delivery_of_a_queue(resources: dict[str, Any], queue: str) -> None:
    """A function answers which messages failed, in so many environments at most, and has its time six times over before they come again."""
    function = QUEUES[queue][1]
    mappings = of_type(resources, "AWS::Lambda::EventSourceMapping").values()
    (mapping,) = [one for one in mappings if one["EventSourceArn"] == {"Fn::GetAtt": [queue, "Arn"]}]
    window_s = mapping.get("MaximumBatchingWindowInSeconds", 0)

    assert {"Ref": function} == mapping["FunctionName"]
    assert ["ReportBatchItemFailures"] == mapping["FunctionResponseTypes"]
    assert mapping["ScalingConfig"]["MaximumConcurrency"] >= 2
    # More than ten messages need a window.
    assert int(mapping["BatchSize"]) <= 10 or window_s >= 1
    assert "ReservedConcurrentExecutions" not in properties(resources, function)
    assert properties(resources, queue)["VisibilityTimeout"] >= 6 * properties(resources, function)["Timeout"] + window_s


def test_queues_are_encrypted_and_spoken_to_by_tls_only() -> None:
    """Every queue has SQS's own encryption and fourteen days or a successor, and a policy that denies whatever comes without TLS."""
    resources = made(**{name: value for name, value in EVERYTHING.items() if name != "ResultsTo"})
    queues = of_type(resources, "AWS::SQS::Queue")
    policies = {policy["Queues"][0]["Ref"]: policy["PolicyDocument"] for policy in of_type(resources, "AWS::SQS::QueuePolicy").values()}

    assert {"RequestsQueue", "RequestsDeadQueue", "ResultsQueue", "FailuresQueue", "InboxQueue", "InboxDeadQueue"} == queues.keys()
    assert policies.keys() == queues.keys()
    assert all(queue["SqsManagedSseEnabled"] for queue in queues.values())
    assert all("RedrivePolicy" in queue or queue["MessageRetentionPeriod"] == 14 * DAY_S for queue in queues.values())
    for name, document in policies.items():
        statement = document["Statement"][0]
        assert ("Deny", "*", "sqs:*") == (statement["Effect"], statement["Principal"], statement["Action"])
        assert {"Bool": {"aws:SecureTransport": "false"}} == statement["Condition"]
        assert {"Fn::GetAtt": [name, "Arn"]} == statement["Resource"]


def test_services_send_to_queues_for_one_source_of_one_account(resources: dict[str, Any]) -> None:
    """Whom a queue's policy lets in is a service, from the one topic, rule or bucket of the template, and of its account."""
    allowed = {
        policy["Queues"][0]["Ref"]: one
        for policy in of_type(resources, "AWS::SQS::QueuePolicy").values()
        for one in policy["PolicyDocument"]["Statement"]
        if one["Effect"] == "Allow"
    }
    bucket = properties(resources, "InboxBucket")["BucketName"]["Fn::Sub"]
    sources = {queue: one["Condition"]["ArnEquals"]["aws:SourceArn"] for queue, one in allowed.items()}

    assert {"RequestsQueue": "sns", "RequestsDeadQueue": "sns", "FailuresQueue": "events", "InboxQueue": "s3"} == {
        queue: one["Principal"]["Service"].removesuffix(".amazonaws.com") for queue, one in allowed.items()
    }
    assert {"sqs:SendMessage"} == {one["Action"] for one in allowed.values()}
    assert {ACCOUNT} == {one["Condition"]["StringEquals"]["aws:SourceAccount"] for one in allowed.values()}
    assert {
        "RequestsQueue": SOURCES["TopicArn"],
        "RequestsDeadQueue": SOURCES["TopicArn"],
        "FailuresQueue": {"Fn::GetAtt": ["RequestsRule", "Arn"]},
        "InboxQueue": {"Fn::Sub": [f"arn:aws:s3:::{bucket[0]}", bucket[1]]},
    } == sources


def test_queues_let_nobody_in_without_a_source() -> None:
    """Without a topic and a bus no service may send to the queues of requests and failures."""
    policies = of_type(made(Events="on"), "AWS::SQS::QueuePolicy").values()

    assert {"Deny"} == {one["Effect"] for policy in policies for one in policy["PolicyDocument"]["Statement"]}


@pytest.mark.parametrize("mapping", list(STREAMS))
def test_delivery_of_a_stream(resources: dict[str, Any], mapping: str) -> None:
    """A stream's failures are reported one by one and retried in halves a bounded number of times; then they are told of, and it goes on."""
    found, policy = properties(resources, mapping), resources[STREAMS[mapping]]

    assert {"Ref": "RecordsWorker"} == found["FunctionName"]
    assert ["ReportBatchItemFailures"] == found["FunctionResponseTypes"]
    assert found["BisectBatchOnFunctionError"]
    assert 1 <= found["MaximumRetryAttempts"] <= 10
    assert {"Fn::GetAtt": ["FailuresQueue", "Arn"]} == found["DestinationConfig"]["OnFailure"]["Destination"]
    assert "TRIM_HORIZON" == found["StartingPosition"]
    # Lambda looks at the role when the mapping is made.
    assert STREAMS[mapping] == resources[mapping]["DependsOn"]
    assert {"Ref": "RecordsRole"} == policy["Properties"]["RoleName"]
    assert expanded()[mapping]["Condition"] == expanded()[STREAMS[mapping]]["Condition"]


def test_kafka_has_pollers_of_its_own(resources: dict[str, Any]) -> None:
    """Partial failures, halves and an end of retries exist for Kafka in provisioned mode only."""
    mapping = properties(resources, "KafkaMapping")

    assert mapping["ProvisionedPollerConfig"]["MinimumPollers"] >= 1
    assert ["predictions"] == mapping["Topics"]
    assert "ProvisionedPollerConfig" not in properties(resources, "KinesisMapping")


def test_events_of_the_bus(resources: dict[str, Any]) -> None:
    """The rule takes requests of whoever is not AWS, the function's permission is that rule's, and what is not delivered is kept."""
    rule = properties(resources, "RequestsRule")
    (target,) = rule["Targets"]
    permission = properties(resources, "RequestsRulePermission")

    assert {"source": [{"anything-but": {"prefix": "aws."}}], "detail-type": ["PredictionRequested"]} == rule["EventPattern"]
    assert "default" == rule["EventBusName"]
    assert {"Fn::GetAtt": ["RecordsWorker", "Arn"]} == target["Arn"]
    assert {"Fn::GetAtt": ["FailuresQueue", "Arn"]} == target["DeadLetterConfig"]["Arn"]
    # What is transformed is no event of the bus any more.
    assert not {"Input", "InputPath", "InputTransformer"} & target.keys()
    assert {"Fn::GetAtt": ["RequestsRule", "Arn"]} == permission["SourceArn"]


def test_topic_goes_through_the_queue(resources: dict[str, Any]) -> None:
    """Messages of the topic arrive in the queue of requests as they were published, with their attributes."""
    subscription = properties(resources, "RequestsSubscription")

    assert ("sqs", True) == (subscription["Protocol"], subscription["RawMessageDelivery"])
    assert {"Fn::GetAtt": ["RequestsQueue", "Arn"]} == subscription["Endpoint"]
    assert SOURCES["TopicArn"] == subscription["TopicArn"]
    assert {"deadLetterTargetArn": {"Fn::GetAtt": ["RequestsDeadQueue", "Arn"]}} == subscription["RedrivePolicy"]


def test_failed_invokes_are_kept(resources: dict[str, Any]) -> None:
    """Invokes that nobody waits for, of the function and of the worker, are tried twice again and then told of in the queue of failures."""
    configs = {one["FunctionName"]["Ref"]: one for one in of_type(resources, "AWS::Lambda::EventInvokeConfig").values()}
    for function in ("OnnxLambda", "RecordsWorker"):
        assert 2 == configs[function]["MaximumRetryAttempts"]
        assert {"Fn::GetAtt": ["FailuresQueue", "Arn"]} == configs[function]["DestinationConfig"]["OnFailure"]["Destination"]
        assert ("sqs:SendMessage", "FailuresQueue") in granted(function, ON)

    assert not of_type(made(), "AWS::Lambda::EventInvokeConfig")


def test_functions_are_one_image_with_a_role_each(resources: dict[str, Any]) -> None:
    """All functions come from the same build, each with a role and a log group of its own that does not keep for ever."""
    functions = of_type(resources, "AWS::Lambda::Function")
    builds = [written()["Resources"][name]["Metadata"] for name in functions]

    assert {"OnnxLambda", *ROLES_OF_EVENTS} == functions.keys()
    assert [builds[0]] * len(builds) == builds
    for name in ROLES_OF_EVENTS:
        function, role = functions[name], properties(resources, ROLES_OF_EVENTS[name])
        logs = function["LoggingConfig"]["LogGroup"]["Ref"]
        (written_to,) = [
            one["Resource"]
            for policy in role["Policies"]
            for one in policy["PolicyDocument"]["Statement"]
            if "logs:PutLogEvents" in one["Action"]
        ]
        assert {"Fn::GetAtt": [ROLES_OF_EVENTS[name], "Arn"]} == function["Role"]
        assert "ManagedPolicyArns" not in role
        assert {"Fn::GetAtt": [logs, "Arn"]} == written_to
        assert properties(resources, logs)["RetentionInDays"]
        assert "Image" == function["PackageType"]
        assert function["Timeout"] <= 900
        assert function["MemorySize"]
    assert len(functions) == len({str(function["LoggingConfig"]) for function in functions.values()})


def test_conditions_are_worked_out() -> None:
    """The values that the tests work out of the template are those of CloudFormation's own rules."""
    values = Values({"Events": "on", "ResultsTo": STREAM})

    assert values.holds("ResultsToStream")
    assert not any(values.holds(name) for name in ("ResultsToQueue", "ResultsToBucket", "ResultsToBus", "JobsOn", "FilesOn"))
