"""docs/architecture.md and the questions of docs/deploy.md: drawn and written of template.yaml by a command, and current."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from deployment.diagram import SHAPES, diagram
from deployment.pages import written_into
from deployment.parameters import parameters
from local.template import ROOT, of_type, written

ARCHITECTURE, DEPLOY = ROOT / "docs" / "architecture.md", ROOT / "docs" / "deploy.md"
GUIDED = "lib/python*/site-packages/samcli/commands/deploy/guided_context.py"


def arrows() -> set[tuple[str, str]]:
    """From where to where the diagram's arrows go."""
    return {(match[1], match[2]) for match in re.finditer(r"^ +(\w+) -[^>]*-> (\w+)$", diagram(), re.MULTILINE)}


def test_pages_are_current() -> None:
    """What `python -m deployment` would write is what the pages have."""
    done = subprocess.run(
        [sys.executable, "-m", "deployment", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )

    assert (0, "") == (done.returncode, done.stdout)


def test_everything_is_drawn() -> None:
    """Each API, function, queue, topic, table, bucket, secret and machine of the template is a node, once, and nothing else is."""
    nodes = re.findall(r"^    (\w+)[\[({>]", diagram(), re.MULTILINE)
    resources = written()["Resources"]

    assert sorted(name for name, one in resources.items() if one["Type"] in SHAPES) == sorted(nodes)
    assert {one for pair in arrows() for one in pair} <= set(nodes)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("Api", "OnnxLambda"),
        ("JobsQueue", "JobsWorker"),
        ("JobsQueue", "JobsDeadQueue"),
        ("WebhookSender", "WebhookSecret"),
        ("InboxBucket", "InboxQueue"),
        ("BatchMachine", "BatchWorker"),
        ("BatchWorker", "InboxBucket"),
        ("RecordsWorker", "FailuresQueue"),
    ],
)
def test_arrows_are_drawn(start: str, end: str) -> None:
    """Calls, messages, what is given up, and what a role may do are arrows."""
    assert (start, end) in arrows()


@pytest.mark.parametrize(
    ("start", "end"), [("WebhookSender", "JobsBucket"), ("OnnxLambda", "WebhookSecret"), ("RecordsWorker", "JobsTable")]
)
def test_what_may_not_be_is_not_drawn(start: str, end: str) -> None:
    """Without a policy there is no arrow."""
    assert (start, end) not in arrows()


def test_functions_are_told_of() -> None:
    """The page has a row for each function and machine."""
    page = ARCHITECTURE.read_text()
    resources = written()["Resources"]
    kinds = ("AWS::Serverless::Function", "AWS::Lambda::Function", "AWS::Serverless::StateMachine")

    assert [] == [name for kind in kinds for name in of_type(resources, kind) if not re.search(rf"^\|[^|]*`{name}`", page, re.MULTILINE)]


def test_questions_are_those_that_sam_asks() -> None:
    """The page answers the questions of `sam deploy --guided`, in its words, and those of every parameter."""
    page = DEPLOY.read_text()
    (source,) = (ROOT / ".venv-sam").glob(GUIDED)
    asked = [
        "Stack Name",
        "AWS Region",
        "Confirm changes before deploy",
        "Allow SAM CLI IAM role creation",
        "Disable rollback",
        "has no authentication. Is this okay?",
        "Save arguments to configuration file",
        "SAM configuration file",
        "SAM configuration environment",
        "Create managed ECR repositories for all functions?",
    ]

    assert [] == [one for one in asked if one not in source.read_text() or one not in page]
    assert parameters() in page
    assert all(f"`Parameter {name}`" in page for name in written()["Parameters"])


def test_outputs_that_pages_name_are_there() -> None:
    """What docs/deploy.md reads of the stack is an output of the template."""
    named = set(re.findall(r"OutputKey=='(\w+)'", DEPLOY.read_text()))

    assert named
    assert named <= written()["Outputs"].keys()


def test_places_are_written_once() -> None:
    """Only what is between the marks is written, and a page without the place is refused."""
    page = "before\n<!-- begin costs: by hand -->\nold\n<!-- end costs -->\nafter\n"

    assert "before\n<!-- begin costs: by hand -->\n\nnew\n\n<!-- end costs -->\nafter\n" == written_into(page, "costs", "new")
    with pytest.raises(ValueError, match="0 places for diagram"):
        written_into(page, "diagram", "new")


def test_commands_of_the_page_are_there() -> None:
    """Files and targets that the page names exist."""
    targets = set(re.findall(r"`make (\w+)`", DEPLOY.read_text()))

    assert targets <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert Path(ROOT / "deployment" / "prices.json").exists()
