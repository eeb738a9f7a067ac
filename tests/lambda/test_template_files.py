"""What template.yaml makes of files: the bucket, its notifications, and the batch machine."""

import json
import re
from typing import Any

import pytest

from tests.event_parameters import EVERYTHING, granted, properties
from tests.policies import targets
from tests.template import ROOT, written
from tests.template_values import made


def _timeouts(states: dict[str, Any]) -> list[int]:
    """The seconds that each task of a machine and of its parts has."""
    found = [state["TimeoutSeconds"] for state in states.values() if "TimeoutSeconds" in state]
    parts = [state["ItemProcessor"]["States"] for state in states.values() if "ItemProcessor" in state]
    return found + [seconds for part in parts for seconds in _timeouts(part)]


@pytest.fixture(name="resources", scope="module")
def _resources() -> dict[str, Any]:
    """The resources that CloudFormation makes where everything of events is asked for, and nothing of jobs."""
    return made(**EVERYTHING)


def test_environments_name_what_is_there(resources: dict[str, Any]) -> None:
    """The worker of files is told its bucket and prefixes, and the machine where there is one."""
    variables = properties(resources, "InboxWorker")["Environment"]["Variables"]
    alone = properties(made(Inbox="on"), "InboxWorker")["Environment"]["Variables"]

    assert {"Ref": "InboxBucket"} == variables["INBOX_BUCKET"]
    assert {"Ref": "BatchMachine"} == variables["BATCH_STATE_MACHINE_ARN"]
    assert "BATCH_STATE_MACHINE_ARN" not in alone
    assert ("states:StartExecution", "BatchMachine") in granted("InboxWorker", EVERYTHING) - granted("InboxWorker", {"Inbox": "on"})
    assert ("states:StartExecution", "BatchMachine") in granted("BatchWorker", {"Batch": "on"})


def test_inbox_bucket_is_closed(resources: dict[str, Any]) -> None:
    """The bucket is encrypted, versioned, owned by its account alone, never public, outlives the stack, and speaks TLS 1.2 or newer only."""
    bucket, policy = properties(resources, "InboxBucket"), properties(resources, "InboxBucketPolicy")

    assert [True] * 4 == list(bucket["PublicAccessBlockConfiguration"].values())
    assert [{"ObjectOwnership": "BucketOwnerEnforced"}] == bucket["OwnershipControls"]["Rules"]
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert "Enabled" == bucket["VersioningConfiguration"]["Status"]
    assert "Retain" == resources["InboxBucket"]["DeletionPolicy"] == resources["InboxBucket"]["UpdateReplacePolicy"]
    denied = [one["Condition"] for one in policy["PolicyDocument"]["Statement"] if ("Deny", "*") == (one["Effect"], one["Principal"])]
    assert [{"Bool": {"aws:SecureTransport": "false"}}, {"NumericLessThan": {"s3:TlsVersion": "1.2"}}] == denied


def test_inbox_bucket_keeps_what_is_current(resources: dict[str, Any]) -> None:
    """What was replaced and what was broken off goes by itself; files and predictions stay until their owner deletes them."""
    rules = properties(resources, "InboxBucket")["LifecycleConfiguration"]["Rules"]

    assert {"Enabled"} == {rule["Status"] for rule in rules}
    assert [30] == [rule["NoncurrentVersionExpiration"]["NoncurrentDays"] for rule in rules if "NoncurrentVersionExpiration" in rule]
    assert [1] == [
        rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] for rule in rules if "AbortIncompleteMultipartUpload" in rule
    ]
    assert not any({"ExpirationInDays", "ExpirationDate"} & rule.keys() for rule in rules)


def test_inbox_tells_of_its_prefix_alone(resources: dict[str, Any]) -> None:
    """Only what is created below the input prefix is told of, so that no prediction is predicted; with Batch alone nothing is."""
    (told,) = properties(resources, "InboxBucket")["NotificationConfiguration"]["QueueConfigurations"]
    variables = properties(resources, "InboxWorker")["Environment"]["Variables"]

    assert "s3:ObjectCreated:*" == told["Event"]
    assert [{"Name": "prefix", "Value": variables["INBOX_PREFIX"]}] == told["Filter"]["S3Key"]["Rules"]
    assert not variables["OUTPUT_PREFIX"].startswith(variables["INBOX_PREFIX"])
    assert {"Fn::GetAtt": ["InboxQueue", "Arn"]} == told["Queue"]
    # S3 looks whether the queue lets it in when it is told of it.
    assert "InboxQueuePolicy" == resources["InboxBucket"]["DependsOn"]
    assert "QueueConfigurations" not in properties(made(Batch="on"), "InboxBucket")["NotificationConfiguration"]


def test_machine_is_the_definition_of_the_repository(resources: dict[str, Any]) -> None:
    """Every blank of the definition is filled in, with the function of batches, which has time for the longest of its tasks."""
    source = written()["Resources"]["BatchMachine"]["Properties"]
    definition = (ROOT / source["DefinitionUri"]).read_text()
    machine = properties(resources, "BatchMachine")
    longest_s = max(_timeouts(json.loads(definition)["States"]))

    assert set(re.findall(r"\$\{(\w+)\}", definition)) == machine["DefinitionSubstitutions"].keys()
    assert {"Fn::GetAtt": ["BatchWorker", "Arn"]} == machine["DefinitionSubstitutions"]["BatchFunctionArn"]
    assert "STANDARD" == machine["StateMachineType"]
    assert longest_s - 60 <= properties(resources, "BatchWorker")["Timeout"] <= longest_s


def test_machine_logs_no_data(resources: dict[str, Any]) -> None:
    """The machine logs failures into a group of its own that does not keep for ever, and nothing of the items."""
    logging = properties(resources, "BatchMachine")["LoggingConfiguration"]
    group = logging["Destinations"][0]["CloudWatchLogsLogGroup"]["LogGroupArn"]["Fn::GetAtt"][0]

    assert ("ERROR", False) == (logging["Level"], logging["IncludeExecutionData"])
    assert properties(resources, group)["RetentionInDays"]


def test_machine_invokes_one_function_and_reads_two_prefixes(resources: dict[str, Any]) -> None:
    """The machine's role may invoke the function of batches, read files, write results, and run parts of itself."""
    role = properties(resources, "BatchMachineRole")
    allowed = {
        (action, target)
        for one in role["Policies"][0]["PolicyDocument"]["Statement"]
        if one["Resource"] != "*"
        for action in one["Action"]
        for target in targets(one)
    }

    assert {"Service": "states.amazonaws.com"} == role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]
    assert {("lambda:InvokeFunction", "BatchWorker")} == {one for one in allowed if one[0].startswith("lambda:")}
    assert {"InboxBucket/predictions/*"} == {target for action, target in allowed if action == "s3:PutObject"}
    assert {f"InboxBucket/{prefix}/*" for prefix in ("batches", "inbox", "predictions")} == {
        target for action, target in allowed if action == "s3:GetObject"
    }
    assert ("states:StartExecution", "BatchMachine") in allowed
