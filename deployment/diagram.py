"""The diagram of docs/architecture.md, drawn of template.yaml: what there is, who calls whom, and who reads and writes what.

Mermaid's flowchart: https://mermaid.js.org/syntax/flowchart.html. Arrows come from events, permissions and policies, and so show what
may happen and not what somebody meant.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from local.template import written

# The shape of each type that is drawn; what is not here stands for itself in the template, such as logs and roles.
SHAPES = {
    "AWS::Serverless::HttpApi": ("([", "])"),
    "AWS::Serverless::Api": ("([", "])"),
    "AWS::Serverless::Function": ("[", "]"),
    "AWS::Lambda::Function": ("[", "]"),
    "AWS::Serverless::StateMachine": ("{{", "}}"),
    "AWS::SQS::Queue": ("[/", "/]"),
    "AWS::SNS::Topic": ("[/", "/]"),
    "AWS::Events::Rule": (">", "]"),
    "AWS::DynamoDB::Table": ("[(", ")]"),
    "AWS::S3::Bucket": ("[(", ")]"),
    "AWS::SecretsManager::Secret": ("[(", ")]"),
}
# Which part of the diagram a condition is: the parameter that turns it on.
PARTS = {
    "": "always",
    "HttpOn": "always",
    "RestOn": "ApiType=REST",
    "JobsOn": "Jobs=on",
    "EventsOn": "Events=on",
    "ResultsToQueue": "Events=on",
    "FromBus": "Events=on",
    "InboxOn": "Inbox=on",
    "FilesOn": "Inbox=on or Batch=on",
    "BatchOn": "Batch=on",
    "ReleasesOn": "Release",
    "ManagedOn": "CapacityProviderArn",
    "TenantsOn": "TenantIsolation=on",
    "OwnAlarmTopic": "Alarms=on",
}
_READS = re.compile(r":(Get|BatchGet|Query|List|Describe|Receive|ChangeMessageVisibility)")
# What Lambda does to a queue whose messages it hands over.
_POLLS = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}


class Arrow(NamedTuple):
    """From one resource to another, with what it says."""

    start: str
    end: str
    label: str = ""
    dotted: bool = False


def diagram() -> str:
    """The flowchart, as a block of Markdown."""
    resources = written()["Resources"]
    drawn = {name: one for name, one in resources.items() if one["Type"] in SHAPES}
    parts: dict[str, list[str]] = defaultdict(list)
    for name, one in drawn.items():
        condition = one.get("Condition", "")
        parts[PARTS.get(condition, condition)].append(name)
    found = ["```mermaid", "flowchart LR"]
    for number, (part, names) in enumerate(parts.items()):
        found.append(f'  subgraph part{number}["{part}"]')
        found += [f"    {_node(name, drawn[name])}" for name in names]
        found.append("  end")
    for arrow in _arrows(resources, set(drawn)):
        found.append(f"  {arrow.start} {_line(arrow)} {arrow.end}")
    return "\n".join([*found, "```"])


def _node(name: str, resource: dict[str, Any]) -> str:
    opened, closed = SHAPES[resource["Type"]]
    times = [
        one["Properties"]["ScheduleExpression"] for one in resource["Properties"].get("Events", {}).values() if one["Type"] == "ScheduleV2"
    ]
    return f'{name}{opened}"{"<br>".join([name, *times])}"{closed}'


def _line(arrow: Arrow) -> str:
    if arrow.dotted:
        return f"-. {arrow.label} .->" if arrow.label else "-.->"
    return f"-- {arrow.label} -->" if arrow.label else "-->"


def _arrows(resources: dict[str, Any], drawn: set[str]) -> list[Arrow]:
    """Every arrow once, in the template's order."""
    found = [*_called(resources), *_told(resources)]
    # What Lambda does with the role of a function whose invoke failed is drawn already.
    by_lambda = {(one.start, one.end) for one in found if one.label == "failed invokes"}
    found += [one for one in _allowed(resources) if (one.start, one.end) not in by_lambda]
    return list(dict.fromkeys(one for one in found if one.start in drawn and one.end in drawn and one.start != one.end))


def _called(resources: dict[str, Any]) -> Iterator[Arrow]:
    """Who calls a function: what may invoke it, and queues that it is given the messages of."""
    for name, one in resources.items():
        properties = one.get("Properties", {})
        for event in properties.get("Events", {}).values():
            if event["Type"] == "SQS":
                yield Arrow(_named(event["Properties"]["Queue"]), name, "messages")
        if one["Type"] == "AWS::Lambda::Permission":
            for source in _names(properties["SourceArn"]):
                yield Arrow(source, _named(properties["FunctionName"]), "invokes")


def _told(resources: dict[str, Any]) -> Iterator[Arrow]:
    """What goes into queues by itself: messages that were given up, failed invokes, and what a bucket tells."""
    for name, one in resources.items():
        properties = one.get("Properties", {})
        if "RedrivePolicy" in properties:
            start = _named(properties["Endpoint"]) if one["Type"] == "AWS::SNS::Subscription" else name
            yield Arrow(start, _named(properties["RedrivePolicy"]["deadLetterTargetArn"]), "given up", dotted=True)
        if one["Type"] == "AWS::Lambda::EventInvokeConfig" and "DestinationConfig" in properties:
            failures = _named(properties["DestinationConfig"]["OnFailure"]["Destination"])
            yield Arrow(_named(properties["FunctionName"]), failures, "failed invokes", dotted=True)
        for queue in _names(properties.get("NotificationConfiguration", {})):
            yield Arrow(name, queue, "new files")


def _allowed(resources: dict[str, Any]) -> Iterator[Arrow]:
    """What a function or a state machine may do with what is drawn, of the policies of its role."""
    holders = {
        _named(one["Properties"]["Role"]): name for name, one in resources.items() if "Role" in one.get("Properties", {}) and name != "Api"
    }
    for name, one in resources.items():
        properties = one.get("Properties", {})
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])] if name in holders else []
        holder = holders.get(name, "")
        if one["Type"] == "AWS::IAM::RolePolicy":
            holder, documents = holders.get(_named(properties["RoleName"]), ""), [properties["PolicyDocument"]]
        verbs: dict[str, set[str]] = defaultdict(set)
        for statement in (two for document in documents for two in document["Statement"] if two["Effect"] == "Allow"):
            for target in _names(statement["Resource"]):
                done = set(statement["Action"])
                verbs[target] |= {_verb(action) for action in (done - _POLLS if done >= _POLLS else done)}
        for target, done in verbs.items():
            if done:
                yield Arrow(holder, target, ", ".join(sorted(done)))


def _verb(action: str) -> str:
    if action in {"lambda:InvokeFunction", "states:StartExecution"}:
        return "starts"
    return "reads" if _READS.search(action) else "writes"


def _named(value: Any) -> str:
    """The resource that a reference leads to; a part of it, such as an alias, is the resource."""
    return next(iter(_names(value)), "")


def _names(value: Any) -> list[str]:
    """Every resource that a value refers to, in order."""
    resources = written()["Resources"]
    if isinstance(value, list):
        return [name for one in value for name in _names(one)]
    if not isinstance(value, dict):
        return []
    found: list[str] = []
    for key, one in value.items():
        if key == "Ref":
            found.append(one.partition(".")[0])
        elif key == "Fn::GetAtt":
            found.append(one[0])
        elif key == "Fn::Sub":
            found += re.findall(r"\$\{(\w+)[.}]", one if isinstance(one, str) else one[0])
            found += _by_name(one if isinstance(one, str) else one[0])
        else:
            found += _names(one)
    return [name for name in found if name in resources]


def _by_name(text: str) -> list[str]:
    """The resource that has a name, where an ARN is put together of it because a reference would go in a circle."""
    ends = re.findall(r":(\$\{AWS::StackName\}-[a-z]+)$", text)
    names = {"AWS::SQS::Queue": "QueueName", "AWS::Serverless::StateMachine": "Name"}
    resources = written()["Resources"].items()
    return [
        name for name, one in resources for end in ends if one.get("Properties", {}).get(names.get(one["Type"], "")) == {"Fn::Sub": end}
    ]
