"""What no public rule looks for, over everything that the template can make; among it what the skipped rules would have asked."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.scans.variants import EVERYTHING, translated
from tests.template import of_type


@pytest.fixture(name="resources", scope="module")
def _resources() -> dict[str, Any]:
    """What CloudFormation makes where everything is asked for."""
    found: dict[str, Any] = translated(EVERYTHING)["Resources"]
    return found


def named(value: Any) -> str:
    """The logical id that a reference leads to."""
    return str(value["Ref"] if "Ref" in value else value["Fn::GetAtt"][0])


def mappings(resources: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The mappings of queues to functions."""
    queues = of_type(resources, "AWS::SQS::Queue")
    for one in of_type(resources, "AWS::Lambda::EventSourceMapping").values():
        if isinstance(one.get("EventSourceArn"), dict) and named(one["EventSourceArn"]) in queues:
            yield one


def test_every_log_group_forgets(resources: dict[str, Any]) -> None:
    """Every function writes into a log group of its own, and every log group of the stack keeps for a time only."""
    groups = of_type(resources, "AWS::Logs::LogGroup")
    used = [named(function["LoggingConfig"]["LogGroup"]) for function in of_type(resources, "AWS::Lambda::Function").values()]

    assert sorted(set(used)) == sorted(used)
    assert set(used) <= groups.keys()
    assert all(group["RetentionInDays"] <= 30 for group in groups.values())


def test_what_is_polled_is_bounded_and_fails_into_dead_letters(resources: dict[str, Any]) -> None:
    """Every mapping of a queue has its most environments, reports single failures, and gives up into a queue that keeps for 14 days."""
    queues = of_type(resources, "AWS::SQS::Queue")
    found = list(mappings(resources))

    assert len(found) >= 4
    for one in found:
        queue = queues[named(one["EventSourceArn"])]
        function = resources[named(one["FunctionName"])]["Properties"]
        dead = queues[named(queue["RedrivePolicy"]["deadLetterTargetArn"])]
        assert 2 <= one["ScalingConfig"]["MaximumConcurrency"] <= 1000
        assert ["ReportBatchItemFailures"] == one["FunctionResponseTypes"]
        assert queue["RedrivePolicy"]["maxReceiveCount"] >= 5
        assert queue["VisibilityTimeout"] >= 6 * function["Timeout"] + one.get("MaximumBatchingWindowInSeconds", 0)
        assert 14 * 86_400 == dead["MessageRetentionPeriod"]
        assert "byQueue" == dead["RedriveAllowPolicy"]["redrivePermission"]


def test_what_is_invoked_asynchronously_tells_of_failures(resources: dict[str, Any]) -> None:
    """The function that callers may invoke without waiting, and every one that a service invokes so, has a destination for failures."""
    configured = {
        named(one["FunctionName"]) for one in of_type(resources, "AWS::Lambda::EventInvokeConfig").values() if "DestinationConfig" in one
    }
    services = {"events.amazonaws.com", "s3.amazonaws.com", "sns.amazonaws.com"}
    invoked = {named(one["FunctionName"]) for one in of_type(resources, "AWS::Lambda::Permission").values() if one["Principal"] in services}

    assert invoked | {"OnnxLambda"} <= configured


def test_services_may_invoke_from_one_place(resources: dict[str, Any]) -> None:
    """Who may invoke a function is a service, from a resource of the stack or one that a parameter names."""
    for one in of_type(resources, "AWS::Lambda::Permission").values():
        assert "lambda:InvokeFunction" == one["Action"]
        assert one["Principal"].endswith(".amazonaws.com")
        assert "SourceArn" in one


def test_nothing_holds_a_secret(resources: dict[str, Any]) -> None:
    """No variable of a function, no parameter's default and no output is a secret's value; the secret is named by its ARN alone."""
    for function in of_type(resources, "AWS::Lambda::Function").values():
        for name, value in function["Environment"]["Variables"].items():
            assert "resolve:" not in str(value)
            if "SECRET" in name:
                assert name.endswith("_ARN")
                assert {"Ref": "WebhookSecret"} == value


def test_what_is_kept_outlives_the_stack(resources: dict[str, Any]) -> None:
    """Tables and buckets stay when the stack is deleted or a switch is turned off."""
    kept = {name: one for name, one in resources.items() if one["Type"] in {"AWS::DynamoDB::Table", "AWS::S3::Bucket"}}

    assert len(kept) >= 3
    assert {("Retain", "Retain")} == {(one["DeletionPolicy"], one["UpdateReplacePolicy"]) for one in kept.values()}


def test_buckets_are_closed(resources: dict[str, Any]) -> None:
    """Every bucket is versioned, forgets by a rule, tells EventBridge, is its account's alone, and has a policy that wants TLS 1.2."""
    policies = {named(one["Bucket"]): one["PolicyDocument"]["Statement"] for one in of_type(resources, "AWS::S3::BucketPolicy").values()}
    for name, bucket in of_type(resources, "AWS::S3::Bucket").items():
        assert "Enabled" == bucket["VersioningConfiguration"]["Status"]
        assert bucket["LifecycleConfiguration"]["Rules"]
        assert bucket["NotificationConfiguration"]["EventBridgeConfiguration"]["EventBridgeEnabled"]
        assert [{"ObjectOwnership": "BucketOwnerEnforced"}] == bucket["OwnershipControls"]["Rules"]
        assert {True} == set(bucket["PublicAccessBlockConfiguration"].values())
        assert {"tls-only", "tls-1-2"} <= {one["Sid"] for one in policies[name]}
