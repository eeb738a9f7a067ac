"""What CloudFormation makes of a template's parameters: conditions, and the functions that the template uses.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html; what only AWS can know, such as the
ARN of a resource, stays as it is written.
"""

import re
from collections.abc import Mapping
from typing import Any

from local import template

# moto's account; the stack's name and id are left alone where nobody says them.
PSEUDO = {"AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012"}
_NOTHING = {"Ref": "AWS::NoValue"}


class Values:
    """The values of the template's functions under some parameters."""

    def __init__(self, parameters: Mapping[str, str], pseudo: Mapping[str, str] = PSEUDO) -> None:
        written = template.written()
        defaults = {name: str(found["Default"]) for name, found in written["Parameters"].items()}
        assert parameters.keys() <= defaults.keys()
        for name, value in parameters.items():
            pattern = written["Parameters"][name].get("AllowedPattern", ".*")
            assert re.fullmatch(pattern, value), f"{name} takes {pattern}"
        self.given = dict(parameters)
        self.parameters = {**defaults, **parameters}
        self._known = {**pseudo, **self.parameters}
        self._conditions = written["Conditions"]
        self._mappings = written.get("Mappings", {})

    def holds(self, condition: str) -> bool:
        """Whether a condition holds."""
        return bool(self.value(self._conditions[condition]))

    def resources(self, resources: Mapping[str, Any]) -> dict[str, Any]:
        """Those that are made, with what they are made of."""
        made = {name: one for name, one in resources.items() if "Condition" not in one or self.holds(one["Condition"])}
        return {name: self.value({key: value for key, value in one.items() if key != "Condition"}) for name, one in made.items()}

    def value(self, value: Any) -> Any:  # noqa: PLR0911  # a line for each function of CloudFormation
        """A value with every function in it that can be worked out."""
        if isinstance(value, list):
            return [self.value(one) for one in value if self._is_there(one)]
        if not isinstance(value, dict):
            return value
        pairs: list[tuple[str, Any]] = list(value.items()) or [("", None)]
        (name, argument), *more = pairs
        if not more and name == "Ref":
            return self._known.get(argument, value)
        if not more and name == "Condition" and isinstance(argument, str):
            return self.holds(argument)
        if not more and name == "Fn::If":
            return self.value(argument[1 if self.holds(argument[0]) else 2])
        if not more and name in _FUNCTIONS:
            found = _FUNCTIONS[name](self.value(argument))
            return value if found is None else found
        if not more and name == "Fn::FindInMap":
            table, row, column = self.value(argument)
            return self._mappings[table][row][column]
        if not more and name == "Fn::Sub":
            return self._substituted(argument)
        return {key: self.value(one) for key, one in value.items() if self._is_there(one)}

    def _is_there(self, value: Any) -> bool:
        """Whether a list or a map has this at all: CloudFormation leaves out AWS::NoValue."""
        while isinstance(value, dict) and value.keys() == {"Fn::If"}:
            condition, yes, no = value["Fn::If"]
            value = yes if self.holds(condition) else no
        return bool(value != _NOTHING)

    def _substituted(self, argument: Any) -> Any:
        text, named = argument if isinstance(argument, list) else (argument, {})
        known = {**self._known, **{name: found for name, one in named.items() if isinstance(found := self.value(one), str)}}
        done = re.sub(r"\$\{([^}]+)\}", lambda found: known.get(found[1], found[0]), text)
        unknown = {name: self.value(one) for name, one in named.items() if f"${{{name}}}" in done}
        if not unknown:
            return {"Fn::Sub": done} if "${" in done else done
        return {"Fn::Sub": [done, unknown]}


def _select(argument: Any) -> Any:
    place, values = argument
    return values[int(place)] if isinstance(values, list) else None


def _split(argument: Any) -> Any:
    between, text = argument
    if isinstance(text, dict) and isinstance(text.get("Fn::Sub"), str):
        # What is not known in one part leaves the others known.
        return [{"Fn::Sub": part} if "${" in part else part for part in text["Fn::Sub"].split(between)]
    return text.split(between) if isinstance(text, str) else None


_FUNCTIONS = {
    "Fn::Equals": lambda argument: argument[0] == argument[1],
    "Fn::Not": lambda argument: not argument[0],
    "Fn::And": all,
    "Fn::Or": any,
    "Fn::Select": _select,
    "Fn::Split": _split,
}
