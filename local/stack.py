"""What moto's CloudFormation makes of the template, what it leaves out, and the environments of the functions over it."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from local import template
from local.template_values import Values

# Makes a client of a service.
Clients = Callable[[str], Any]
# What needs neither SAM's translator nor a function to be there.
MADE = frozenset({"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SQS::Queue"})
# moto's queues and buckets are where they are; every region is as good.
REGION = "eu-west-1"


class Stack(NamedTuple):
    """What was made of the template: names by logical id, under the values of some parameters."""

    names: dict[str, str]
    values: Values

    def variables(self, function: str) -> dict[str, str]:
        """The environment that the template gives a function."""
        shared = template.written()["Globals"]["Function"].get("Environment", {}).get("Variables", {})
        own = self.properties(function).get("Environment", {}).get("Variables", {})
        return {name: self._made(value) for name, value in self.values.value({**shared, **own}).items()}

    def properties(self, function: str) -> dict[str, Any]:
        """The properties of a function, those of all functions among them, as they are written."""
        written = template.written()
        found: dict[str, Any] = {**written["Globals"]["Function"], **written["Resources"][function]["Properties"]}
        return found

    def functions(self) -> list[str]:
        """The functions that are made."""
        made = self.values.resources(template.written()["Resources"])
        return [name for name, resource in made.items() if resource["Type"] == "AWS::Serverless::Function"]

    def _made(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        if "Ref" in value:
            return self.names[value["Ref"]]
        return str(re.sub(r"\$\{(\w+)\}", lambda found: self.names[found[1]], value["Fn::Sub"]))


def plain_resources() -> dict[str, Any]:
    """The template's tables, buckets and queues, which SAM's translator leaves as they are; the order of things is not moto's concern."""
    found = {name: one for name, one in template.written()["Resources"].items() if one["Type"] in MADE}
    return {name: {key: value for key, value in one.items() if key != "DependsOn"} for name, one in found.items()}


def create(clients: Clients, name: str, values: Values, resources: Mapping[str, Any]) -> dict[str, str]:
    """Make resources of the template; their names by logical id. Then :func:`notify` and :func:`make_secret` make the rest."""
    written = template.written()
    # Of one whose condition does not hold moto still tells, and not its name.
    wanted = {key: one for key, one in resources.items() if "Condition" not in one or values.holds(one["Condition"])}
    body = json.dumps({**{key: written[key] for key in ("Parameters", "Conditions")}, "Resources": wanted})
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in values.given.items()]
    cloudformation = clients("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=body, Parameters=given)
    found = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in found}


def notify(clients: Clients, stack: Stack) -> None:
    """Set what moto's CloudFormation passes over: what a bucket tells, and whether it keeps versions."""
    if "InboxBucket" not in stack.names:
        return
    bucket = stack.values.resources(template.written()["Resources"])["InboxBucket"]["Properties"]
    s3, sqs = clients("s3"), clients("sqs")
    name = stack.names["InboxBucket"]
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=bucket["VersioningConfiguration"])
    told = []
    for one in bucket.get("NotificationConfiguration", {}).get("QueueConfigurations", []):
        url = stack.names[one["Queue"]["Fn::GetAtt"][0]]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        told.append({"QueueArn": arn, "Events": [one["Event"]], "Filter": {"Key": {"FilterRules": one["Filter"]["S3Key"]["Rules"]}}})
    if told:
        s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={"QueueConfigurations": told})


def make_secret(clients: Clients, name: str, stack: Stack) -> None:
    """Make the key of webhooks: moto's CloudFormation knows no secrets, its Secrets Manager generates as it is told."""
    if not stack.values.holds("JobsOn"):
        return
    manager = clients("secretsmanager")
    generated = template.written()["Resources"]["WebhookSecret"]["Properties"]["GenerateSecretString"]
    value = manager.get_random_password(**generated)["RandomPassword"]
    stack.names["WebhookSecret"] = manager.create_secret(Name=name, SecretString=value)["ARN"]
