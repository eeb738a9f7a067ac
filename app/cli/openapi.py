"""``onnx-lambda openapi``: what API Gateway makes the API of, from the route table; shown, compared with template.yaml, or written there."""

import argparse
import re
import sys
from pathlib import Path
from typing import Any

import orjson

from app.cli import template_yaml
from app.errors import SettingError
from app.http import openapi_gateway as gateway
from app.http.openapi_gateway import KINDS, Kind
from app.settings import LAMBDA_PAYLOAD_BYTES

_BEGIN = "# begin: onnx-lambda openapi --gateway {kind} --write"
_END = "# end: {kind}"
_ALIAS = re.compile(r"^  OnnxLambda:\n(?:(?:    .*)?\n)*?      AutoPublishAlias: (\S+)", re.MULTILINE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--gateway", choices=KINDS, help="print the document of an HTTP API or of a REST API (default: http; both where it is written)"
    )
    parser.add_argument("--template", default="template.yaml", help="the template that holds both (default: template.yaml)")
    does = parser.add_mutually_exclusive_group()
    does.add_argument("--check", action="store_true", help="fail where the template holds something else")
    does.add_argument("--write", action="store_true", help="put the documents into the template")


def run(arguments: argparse.Namespace) -> int:
    """Print a document as JSON, or compare or write those of the template; 1 where they differ."""
    file = Path(arguments.template)
    try:
        text = file.read_text()
    except OSError as error:
        raise SettingError(f"'{arguments.template}' cannot be read: {error.strerror}; --template says where it is.") from error
    if not (arguments.check or arguments.write):
        found = gateway.document(arguments.gateway or "http", payload_bytes=LAMBDA_PAYLOAD_BYTES, alias=alias_of(text))
        sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
        return 0
    kinds = (arguments.gateway,) if arguments.gateway else KINDS
    wanted = text
    for kind in kinds:
        wanted = written(wanted, kind)
    if wanted == text:
        print(f"{file} is current")
        return 0
    if arguments.check:
        print(f"{file} does not hold what the route table says; run: onnx-lambda openapi --write", file=sys.stderr)
        return 1
    file.write_text(wanted)
    print(f"wrote {file}")
    return 0


def alias_of(text: str) -> str:
    """The alias that the template's function is called by, which releases move from one version to the next; empty where it has none."""
    found = _ALIAS.search(text)
    return found[1] if found else ""


def written(text: str, kind: Kind) -> str:
    """The template with the document of an API between its two marks.

    :raises SettingError: where the marks are not there, or not once each.
    """
    begin, end = _BEGIN.format(kind=kind), _END.format(kind=kind)
    found = re.findall(rf"^( *){re.escape(begin)}\n(?:.*\n)*?\1{re.escape(end)}$", text, re.MULTILINE)
    if len(found) != 1:
        raise SettingError(f"The template needs the lines '{begin}' and '{end}' once each, among the properties of the {kind} API.")
    (indent,) = found
    lines = "\n".join(template_yaml.block(_properties(kind, alias=alias_of(text)), len(indent)))
    pattern = rf"^ *{re.escape(begin)}\n(?:.*\n)*? *{re.escape(end)}$"
    return re.sub(pattern, lambda _: f"{indent}{begin}\n{lines}\n{indent}{end}", text, flags=re.MULTILINE)


def _properties(kind: Kind, *, alias: str) -> dict[str, Any]:
    body = gateway.document(kind, payload_bytes=LAMBDA_PAYLOAD_BYTES, alias=alias)
    if kind == "http":
        return {"DefinitionBody": body, "RouteSettings": gateway.throttles(kind)}
    rest: dict[str, Any] = {"ThrottlingRateLimit": {"Ref": "ThrottleRate"}, "ThrottlingBurstLimit": {"Ref": "ThrottleBurst"}}
    every = {"ResourcePath": "/*", "HttpMethod": "*", **rest, "MetricsEnabled": True}
    return {"DefinitionBody": body, "MethodSettings": [every, *gateway.throttles(kind)]}
