"""What scanners say of template.yaml and of what SAM makes of it: nothing, but for what .cfnlintrc and .checkov.yaml give reasons for."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.template_values import Values
from tests import template
from tests.scans.variants import AS_IT_COMES, VARIANTS, parameters, translated, values, written_to

BIN = template.ROOT / ".venv-scan" / "bin"
# SAM's output has the functions' own resources, and no resource of SAM's; the serverless rules know both.
SERVERLESS = ("--append-rules", "cfn_lint_serverless.rules")
CHOSEN = [variant for variant in VARIANTS if variant != AS_IT_COMES]


def lint(*arguments: str | Path) -> list[str]:
    """The findings of cfn-lint: rule, place and message."""
    command = [BIN / "cfn-lint", "--format", "parseable", *arguments]
    done = subprocess.run(command, cwd=template.ROOT, capture_output=True, text=True, timeout=120, check=False)
    return (done.stdout + done.stderr).splitlines()


def checked(file: Path) -> dict[str, Any]:
    """What checkov says of a template."""
    command = [BIN / "checkov", "--config-file", template.ROOT / ".checkov.yaml", "--file", file, "--output", "json"]
    done = subprocess.run(command, cwd=template.ROOT, capture_output=True, text=True, timeout=300, check=False)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def failed(found: dict[str, Any]) -> list[str]:
    """The rules that were not met, each with its resource."""
    return sorted(f"{one['check_id']} {one['resource']}: {one['check_name']}" for one in found["results"]["failed_checks"])


def test_template_is_clean_for_cfn_lint() -> None:
    """cfn-lint finds nothing in the template as it is written."""
    assert [] == lint("--template", template.FILE)


def test_template_is_clean_for_checkov() -> None:
    """checkov finds nothing in the template as it is written."""
    found = checked(template.FILE)

    assert [] == failed(found)
    assert found["summary"]["passed"] > 30


@pytest.mark.parametrize("variant", CHOSEN)
def test_variants_are_clean_for_cfn_lint(variant: str, tmp_path: Path) -> None:
    """cfn-lint and the serverless rules find nothing in what CloudFormation makes of a variant."""
    assert [] == lint("--template", written_to(tmp_path, variant), *SERVERLESS)


@pytest.mark.parametrize("variant", CHOSEN)
def test_variants_are_clean_for_checkov(variant: str, tmp_path: Path) -> None:
    """checkov finds nothing in what CloudFormation makes of a variant."""
    found = checked(written_to(tmp_path, variant))

    assert [] == failed(found)
    assert found["summary"]["passed"] > 150


def test_scanners_find_what_is_wrong(tmp_path: Path) -> None:
    """An open bucket, a function that may do everything and a queue without dead letters are found: the scanners do look."""
    role = {
        "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
        },
        "Policies": [
            {
                "PolicyName": "all",
                "PolicyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": "*"}]},
            }
        ],
    }
    resources = {
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {}},
        "Role": {"Type": "AWS::IAM::Role", "Properties": role},
        "Topic": {"Type": "AWS::SNS::Subscription", "Properties": {"TopicArn": "arn:aws:sns:eu-west-1:123456789012:t", "Protocol": "sqs"}},
    }
    file = tmp_path / "template.json"
    file.write_text(json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}))

    assert {"CKV_AWS_53", "CKV_AWS_21"} <= {line.split()[0] for line in failed(checked(file))}
    assert {"WS1003", "ES7000"} <= {
        match[1] for line in lint("--template", file, *SERVERLESS) if (match := re.search(r":([A-Z]+\d+):", line))
    }


def test_every_option_is_scanned() -> None:
    """Each condition of the template holds in some variant, each resource of it is in one, and none is of parameters that are refused."""
    found = {variant: values(variant) for variant in VARIANTS}
    conditions = template.written()["Conditions"]
    made = {name for variant in VARIANTS for name in translated(variant)["Resources"]}

    assert set() == {name for name in conditions if not any(one.holds(name) for one in found.values())}
    assert set() == set(template.expanded()) - made
    assert {} == {variant: told for variant, one in found.items() if (told := refused(one))}


def refused(found: Values) -> list[str]:
    """What the template's rules say against parameters."""
    rules = template.written()["Rules"].values()
    asserted = [one for rule in rules if found.value(rule.get("RuleCondition", True)) for one in rule["Assertions"]]
    return [one["AssertDescription"] for one in asserted if not found.value(one["Assert"])]


def test_switches_are_on_somewhere() -> None:
    """What is off by itself is on in a variant."""
    written = template.written()["Parameters"]
    switches = {name for name, one in written.items() if one.get("AllowedValues") == ["on", "off"]}

    assert set() == switches - {name for variant in CHOSEN for name, value in parameters(variant).items() if value == "on"}


@pytest.mark.parametrize(("file", "key", "most"), [(".checkov.yaml", "skip-check", 4), (".cfnlintrc", "ignore_checks", 5)])
def test_what_is_skipped_has_its_reason(file: str, key: str, most: int) -> None:
    """Few rules are skipped, each with a sentence above it."""
    text = (template.ROOT / file).read_text()
    skipped = yaml.safe_load(text)[key]

    assert len(skipped) <= most
    for rule in skipped:
        assert re.search(rf"\n +# [^\n]+\.[^\n]*\n(?: +#[^\n]*\n)* +- {rule}\n|\n +# [^\n]+\n +- {rule}\n", text), rule
