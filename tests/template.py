"""template.yaml for the tests: as written, and as SAM's own translator expands it."""

import functools
import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
FILE = ROOT / "template.yaml"
SAM_PYTHON = ROOT / ".venv-sam" / "bin" / "python"
# Runs in SAM's own environment: the template's path in, the CloudFormation template out.
TRANSLATE = """
import json, sys
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse
import boto3

class NoManagedPolicies:
    def load(self):
        return {"AWSLambdaBasicExecutionRole": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"}

template = yaml_parse(open(sys.argv[1]).read())
for resource in template["Resources"].values():
    if resource.get("Properties", {}).get("PackageType") == "Image":
        resource["Properties"]["ImageUri"] = "123456789012.dkr.ecr.us-east-1.amazonaws.com/onnx-lambda@sha256:" + "0" * 64
    if "DefinitionUri" in resource.get("Properties", {}):
        # What `sam` makes of a file on this machine.
        resource["Properties"]["DefinitionUri"] = "s3://definitions/machine"
boto3.setup_default_session(region_name="us-east-1")
print(json.dumps(transform(template, {}, NoManagedPolicies())))
"""


class _Loader(yaml.SafeLoader):
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


@functools.cache
def expanded() -> dict[str, Any]:
    """The resources that CloudFormation would make, by logical id; nobody changes them."""
    return translated(FILE)


def parsed(text: str) -> Any:
    """A piece of a template, functions of CloudFormation in their long form."""
    return yaml.load(text, _Loader)


def translated(file: Path) -> dict[str, Any]:
    """The resources that SAM makes of a template."""
    command = [SAM_PYTHON, "-W", "ignore", "-c", TRANSLATE, file]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60, env={"AWS_DEFAULT_REGION": "us-east-1"})
    found: dict[str, Any] = json.loads(done.stdout)["Resources"]
    return found


def of_type(resources: dict[str, Any], kind: str) -> dict[str, Any]:
    """The properties of every resource of a type, by logical id."""
    return {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == kind}
