"""Values as template.yaml writes them: short forms of CloudFormation's functions, a line for what fits into one."""

import json
from typing import Any

_WIDTH = 118
# Below the body, the paths, a path and its method: what an operation says stands in one line each.
_DEEPEST = 14
# Words that YAML 1.1, which CloudFormation reads, takes for something other than text.
_NOT_TEXT = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n", "~"})
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/-. ")


def block(value: dict[str, Any], indent: int) -> list[str]:
    """The lines of a mapping below a key; what fits into a line, or lies deep, is written in flow style."""
    lines: list[str] = []
    for name, one in value.items():
        start = f"{' ' * indent}{_text(name)}:"
        lines += _after(start, one, indent)
    return lines


def _after(start: str, value: Any, indent: int) -> list[str]:
    written = flow(value)
    plain = isinstance(value, dict) and not _function(value)
    if indent >= _DEEPEST or not value or len(start) + len(written) < _WIDTH or not (plain or isinstance(value, list)):
        return [f"{start} {written}"]
    if plain:
        return [start, *block(value, indent + 2)]
    return [start, *(f"{' ' * (indent + 2)}- {flow(one)}" for one in value)]


def flow(value: Any) -> str:
    """A value in one line."""
    if isinstance(value, dict):
        return _function(value) or "{" + ", ".join(f"{_text(name)}: {flow(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(one) for one in value) + "]"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _function(value: dict[str, Any]) -> str:
    """A function of CloudFormation in its short form; empty where the mapping is none."""
    if len(value) != 1:
        return ""
    ((name, argument),) = value.items()
    if name == "Ref":
        return f"!Ref {argument}"
    return f"!{name.removeprefix('Fn::')} {flow(argument)}" if name.startswith("Fn::") else ""


def _text(text: str) -> str:
    plain = _PLAIN.issuperset(text) and text[:1].isalpha() and text.strip() == text and text.lower() not in _NOT_TEXT
    # Paths and references are plain too, but for what flow style gives a meaning.
    path = text.startswith(("/", "$")) and _PLAIN.issuperset(text[1:]) and text != "/"
    return text if plain or path else json.dumps(text, ensure_ascii=False)
