"""docs/events.md: its tables, names, figures and links are the template's and the program's."""

import re

from app.codecs import DIALECTS
from app.settings import LAMBDA_PAYLOAD_BYTES, Settings
from tests.event_parameters import EVERYTHING
from tests.events_page import DOCUMENT
from tests.shells import ROOT
from tests.template import written
from tests.template_values import made as made_of


def table(section: str) -> dict[str, list[str]]:
    """The rows of a section's first table by their first cell."""
    text = re.split(rf"^## {re.escape(section)}$", DOCUMENT, flags=re.MULTILINE)[1] if section else DOCUMENT
    rows = re.findall(r"^\| (`.*) \|$", text.partition("\n## ")[0], re.MULTILINE)
    return {cells[0]: cells[1:] for cells in (re.split(r" ?\| ?", row) for row in rows)}


def test_parameters_are_those_of_the_template() -> None:
    """The table names every parameter of events, with its default."""
    told = {name.strip("`"): cells[0].strip("` ") for name, cells in table("").items()}
    parameters = written()["Parameters"]

    assert {name: str(parameters[name]["Default"]) for name in told} == told
    assert EVERYTHING.keys() <= told.keys()


def test_names_are_those_of_the_program() -> None:
    """Dialects, settings, outputs and resources that the page names are there."""
    dialects = re.findall(r"`(\w+)`", table("Requests")["`dialect`"][0])
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)", DOCUMENT))
    resources = made_of(Events="on", Inbox="on", Batch="on")
    told = set(re.findall(r"`(\w+(?:Queue|Worker|Lambda))`", DOCUMENT))

    assert dialects == sorted(DIALECTS, key=dialects.index)
    assert {name.lower() for name in named - {"KEYS_ONLY", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"}} <= set(Settings._fields)
    assert told <= resources.keys()
    assert {"RequestsQueueUrl", "ResultsQueueUrl", "InboxBucketName"} <= written()["Outputs"].keys()


def test_links_lead_somewhere() -> None:
    """Every link to a section or a file of the repository is to one that is there."""
    anchors = {re.sub(r"[^\w-]", "", name.lower().replace(" ", "-")) for name in re.findall(r"^##+ (.+)$", DOCUMENT, re.MULTILINE)}
    links = re.findall(r"\]\(([^)]+)\)", DOCUMENT)

    assert {link.removeprefix("#") for link in links if link.startswith("#")} <= anchors
    assert all((ROOT / "docs" / link).exists() for link in links if not link.startswith(("#", "https://")))


def test_figures_are_those_of_the_template() -> None:
    """Times and counts that the page names are those of queues and functions."""
    resources = made_of(Events="on", Inbox="on", Batch="on")
    minutes = {name: resources[name]["Properties"]["VisibilityTimeout"] // 60 for name in ("RequestsQueue", "InboxQueue")}

    assert f"({minutes['RequestsQueue']} minutes), five times" in DOCUMENT
    assert f"after {minutes['InboxQueue']} minutes, five times" in DOCUMENT
    assert f"in {resources['InboxWorker']['Properties']['Timeout'] // 60} minutes, at `INBOX_BYTES_PER_S`" in DOCUMENT
    assert 6 * 2**20 == LAMBDA_PAYLOAD_BYTES
    assert {5} == {resources[name]["Properties"]["RedrivePolicy"]["maxReceiveCount"] for name in minutes}
