"""OpenAPI 3.1 as OpenAPI 3.0, which is what API Gateway imports.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-open-api.html and, for schemas, which REST APIs read as JSON
Schema draft 4, api-gateway-known-issues.html beside it.
"""

from typing import Any

# Keywords that 3.0 does not know, and that say nothing which 3.0 can say in other words.
_UNKNOWN = frozenset(
    {"$id", "$schema", "$comment", "$defs", "prefixItems", "contains", "patternProperties", "propertyNames", "if", "then", "else"}
)
_BOUNDS = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}
_LISTS = ("anyOf", "oneOf", "allOf")


def schema(found: dict[str, Any]) -> dict[str, Any]:
    """A schema of OpenAPI 3.1 as one of 3.0, which takes at least what the other took."""
    if "$ref" in found:
        # What stands beside a reference is overlooked by 3.0.
        return {"$ref": found["$ref"]}
    kept = {name: value for name, value in found.items() if name not in _UNKNOWN}
    # Draft 4 takes no empty list here.
    if not kept.get("required", True):
        del kept["required"]
    nullable = _drop_null(kept)
    if "const" in kept:
        kept["enum"] = [kept.pop("const")]
    if examples := kept.pop("examples", None):
        kept.setdefault("example", examples[0])
    for exclusive, bound in _BOUNDS.items():
        if exclusive in kept and not isinstance(kept[exclusive], bool):
            kept[bound], kept[exclusive] = kept[exclusive], True
    _descend(kept)
    if kept.get("type") == "array":
        kept.setdefault("items", {})
    return {**kept, "nullable": True} if nullable else kept


def _descend(kept: dict[str, Any]) -> None:
    """The same for the schemas within."""
    if "properties" in kept:
        kept["properties"] = {name: schema(value) for name, value in kept["properties"].items()}
    for name in ("items", "additionalProperties", "not"):
        if isinstance(kept.get(name), dict):
            kept[name] = schema(kept[name])
    for name in _LISTS:
        if name in kept:
            kept[name] = [schema(value) for value in kept[name]]


def _drop_null(kept: dict[str, Any]) -> bool:
    """Take ``null`` out of a schema's types and choices; whether there was one."""
    null = False
    kinds = kept.get("type")
    if isinstance(kinds, list):
        null = "null" in kinds
        others = [kind for kind in kinds if kind != "null"]
        if len(others) == 1:
            kept["type"] = others[0]
        else:
            # 3.0 has one type or none; what is allowed then is more, and never less.
            del kept["type"]
    for name in ("anyOf", "oneOf"):
        choices = kept.get(name, [])
        rest = [choice for choice in choices if choice != {"type": "null"}]
        if len(rest) < len(choices):
            null = True
            del kept[name]
            kept.update({name: rest} if len(rest) > 1 else rest[0])
    return null
