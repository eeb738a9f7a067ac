"""What IAM decides about a role of the translated template: allowed unless nobody says so, denied where somebody says that.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html, for policies of roles alone; a condition that
is not known here is an error, so that none is passed over.
"""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from local.template_values import PSEUDO
from tests.scans.variants import translated, values

_REGION, _ACCOUNT = PSEUDO["AWS::Region"], PSEUDO["AWS::AccountId"]
# Type → the property that is its name, and its ARN by that.
_ARNS = {
    "AWS::SQS::Queue": ("QueueName", "sqs:{at}:{name}"),
    "AWS::SNS::Topic": ("TopicName", "sns:{at}:{name}"),
    "AWS::DynamoDB::Table": ("TableName", "dynamodb:{at}:table/{name}"),
    "AWS::S3::Bucket": ("BucketName", "s3:::{name}"),
    "AWS::SecretsManager::Secret": ("Name", "secretsmanager:{at}:secret:{name}"),
    "AWS::Logs::LogGroup": ("LogGroupName", "logs:{at}:log-group:{name}:*"),
    "AWS::StepFunctions::StateMachine": ("StateMachineName", "states:{at}:stateMachine:{name}"),
    "AWS::Lambda::Function": ("FunctionName", "lambda:{at}:function:{name}"),
    "AWS::Lambda::Alias": ("Name", "lambda:{at}:function:OnnxLambda:{name}"),
    "AWS::Events::Rule": ("Name", "events:{at}:rule/{name}"),
}


class Account:
    """A stack as it would stand in an account, and what its roles may do."""

    def __init__(self, variant: str) -> None:
        self.resources: dict[str, Any] = translated(variant)["Resources"]
        self.parameters = values(variant).parameters
        self._statements = {name: list(self._of_role(name)) for name, one in self.resources.items() if one["Type"] == "AWS::IAM::Role"}

    def arn(self, name: str) -> str:
        """The ARN of a resource of the stack by its logical id; another type's is no ARN that anybody asks for."""
        resource = self.resources[name]
        known, text = _ARNS.get(resource["Type"], ("", "none:{at}:{name}"))
        found = self._text(resource.get("Properties", {}).get(known, name))
        return f"arn:aws:{text.format(at=f'{_REGION}:{_ACCOUNT}', name=found)}"

    def role_of(self, function: str) -> str:
        """The role of a function or a state machine."""
        properties = self.resources[function]["Properties"]
        return str((properties.get("Role") or properties["RoleArn"])["Fn::GetAtt"][0])

    def roles(self) -> list[str]:
        """The roles of the stack."""
        return list(self._statements)

    def allowed(self, role: str, actions: Iterable[str]) -> set[str]:
        """The actions that some statement of a role allows on something."""
        patterns = [one["Action"] for one in self._statements[role] if one["Effect"] == "Allow"]
        return {action for action in actions if any(_matches(one, action, ignore_case=True) for one in patterns)}

    def allows(self, role: str, action: str, resource: str, context: Mapping[str, str] | None = None) -> bool:
        """Whether a role may do something; ``context`` holds the values of the request's condition keys."""
        matching = [
            one["Effect"]
            for one in self._statements[role]
            if _matches(one["Action"], action, ignore_case=True)
            and _matches(one["Resource"], resource)
            and _holds(one.get("Condition", {}), context or {})
        ]
        return "Deny" not in matching and "Allow" in matching

    def _of_role(self, role: str) -> Iterator[dict[str, Any]]:
        attached = {"AWS::IAM::RolePolicy": "RoleName", "AWS::IAM::ManagedPolicy": "Roles", "AWS::IAM::Policy": "Roles"}
        documents = [policy["PolicyDocument"] for policy in self.resources[role]["Properties"].get("Policies", [])]
        for one in self.resources.values():
            whom = one.get("Properties", {}).get(attached.get(one["Type"], ""), [])
            if {"Ref": role} in (whom if isinstance(whom, list) else [whom]):
                documents.append(one["Properties"]["PolicyDocument"])
        for statement in (one for document in documents for one in document["Statement"]):
            yield {**statement, "Resource": [self._text(one) for one in _many(statement["Resource"])], "Action": _many(statement["Action"])}

    def _text(self, value: Any) -> str:
        """A value as CloudFormation would fill it in."""
        if isinstance(value, str):
            return value
        if "Fn::GetAtt" in value:
            return self.arn(value["Fn::GetAtt"][0])
        if "Ref" in value:
            return self._referred(value["Ref"])
        text, named = value["Fn::Sub"] if isinstance(value["Fn::Sub"], list) else (value["Fn::Sub"], {})
        known = {name: self._text(one) for name, one in named.items()}
        return re.sub(r"\$\{([^}]+)\}", lambda found: known.get(found[1]) or self._referred(found[1]), text)

    def _referred(self, name: str) -> str:
        logical, dot, _ = name.partition(".")
        kind = self.resources[logical]["Type"]
        # A reference to these is their name or address, to others their ARN.
        if dot or kind in {"AWS::StepFunctions::StateMachine", "AWS::SecretsManager::Secret", "AWS::SNS::Topic", "AWS::Lambda::Alias"}:
            return self.arn(logical)
        return str(self.resources[logical].get("Properties", {}).get(_ARNS.get(kind, ("", ""))[0], logical))


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _matches(patterns: list[str], text: str, *, ignore_case: bool = False) -> bool:
    """Whether IAM's wildcards, of which * also stands for slashes and colons, are about a text."""
    return any(_pattern(one, ignore_case).fullmatch(text) for one in patterns)


@functools.cache
def _pattern(text: str, ignore_case: bool) -> re.Pattern[str]:
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    return re.compile(re.escape(text).replace(r"\*", ".*").replace(r"\?", "."), flags)


def _holds(condition: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    return all(_is(operator, context.get(key), wanted) for operator, one in condition.items() for key, wanted in one.items())


def _is(operator: str, value: str | None, wanted: Any) -> bool:
    known = {
        "ForAllValues:StringLike": lambda: value is None or _matches(_many(wanted), value),
        "StringEquals": lambda: value in _many(wanted),
        "StringLike": lambda: value is not None and _matches(_many(wanted), value),
        "ArnLike": lambda: value is not None and _matches(_many(wanted), value),
        "Null": lambda: (value is None) == (str(wanted).lower() == "true"),
        "Bool": lambda: (value or "").lower() == str(wanted).lower(),
    }
    if operator not in known:
        raise AssertionError(f"a condition that is not simulated: {operator}")
    return known[operator]()
