"""template.yaml for the tests: as written, and as SAM's own translator expands it."""

import functools
import json
import subprocess
from pathlib import Path
from typing import Any

from local.template import FILE, ROOT, of_type, parsed, written

__all__ = ["FILE", "ROOT", "expanded", "of_type", "parsed", "translated", "written"]
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
    if resource["Type"] == "AWS::Serverless::Function" and resource["Properties"].get("PackageType") == "Image":
        resource["Properties"]["ImageUri"] = "123456789012.dkr.ecr.us-east-1.amazonaws.com/onnx-lambda@sha256:" + "0" * 64
    if "DefinitionUri" in resource.get("Properties", {}):
        # What `sam` makes of a file on this machine.
        resource["Properties"]["DefinitionUri"] = "s3://definitions/machine"
boto3.setup_default_session(region_name="us-east-1")
print(json.dumps(transform(template, json.loads(sys.argv[2]), NoManagedPolicies())))
"""


@functools.cache
def expanded() -> dict[str, Any]:
    """The resources that CloudFormation would make, by logical id; nobody changes them."""
    return translated(FILE)


def translated(file: Path, **parameters: str) -> dict[str, Any]:
    """The resources that SAM makes of a template with these parameters; it looks at few of them, and leaves the others to CloudFormation."""
    command = [SAM_PYTHON, "-W", "ignore", "-c", TRANSLATE, file, json.dumps(parameters)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60, env={"AWS_DEFAULT_REGION": "us-east-1"})
    found: dict[str, Any] = json.loads(done.stdout)["Resources"]
    return found
