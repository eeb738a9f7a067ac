"""template.yaml as it is written."""

import functools
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).parent.parent
FILE = ROOT / "template.yaml"


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """CloudFormation's tags become their long form."""


def _tag(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        value: Any = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        value = loader.construct_scalar(node)
    if name in {"Ref", "Condition"}:
        return {name: value}
    return {f"Fn::{name}": value.split(".", 1) if name == "GetAtt" else value}


_Loader.add_multi_constructor("!", _tag)


@functools.cache
def written() -> dict[str, Any]:
    """The template as written, functions of CloudFormation in their long form; nobody changes it."""
    found: dict[str, Any] = parsed(FILE.read_text())
    return found


def parsed(text: str) -> Any:
    """A piece of a template, functions of CloudFormation in their long form."""
    return yaml.load(text, _Loader)  # noqa: S506  # it is a safe one


def of_type(resources: dict[str, Any], kind: str) -> dict[str, Any]:
    """The properties of every resource of a type, by logical id."""
    return {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == kind}
