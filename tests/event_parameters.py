"""Everything that template.yaml makes of events, as parameters of the tests."""

from typing import Any

from tests.policies import statements, targets

ACCOUNT = "123456789012"
BUS, STREAM = f"arn:aws:events:eu-west-1:{ACCOUNT}:event-bus/flowers", f"arn:aws:firehose:eu-west-1:{ACCOUNT}:deliverystream/flowers"
SOURCES = {
    "RequestsBus": "default",
    "TopicArn": f"arn:aws:sns:eu-west-1:{ACCOUNT}:flowers",
    "KinesisArn": f"arn:aws:kinesis:eu-west-1:{ACCOUNT}:stream/flowers",
    "DynamoDbStreamArn": f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/flowers/stream/2026-11-22T09:00:00.000",
    "KafkaClusterArn": f"arn:aws:kafka:eu-west-1:{ACCOUNT}:cluster/flowers/751d2973-a626-431c-9d4e-d7975eb44dd7-2",
    "ReplyQueueUrl": f"https://sqs.eu-west-1.amazonaws.com/{ACCOUNT}/replies",
    "InputBucket": "inputs",
}
ON = {"Events": "on", "Inbox": "on", "Batch": "on"}
EVERYTHING = ON | SOURCES


def properties(resources: dict[str, Any], name: str) -> dict[str, Any]:
    """The properties of a resource."""
    found: dict[str, Any] = resources[name]["Properties"]
    return found


def granted(function: str, parameters: dict[str, str]) -> set[tuple[str, str]]:
    """Actions and what they are allowed on."""
    found = statements(function, parameters)
    return {(action, target) for one in found for action in one["Action"] for target in targets(one)}
