"""docs/async.md: every example runs against ``serve`` and a receiver on this machine and prints what is shown; its tables are the program's."""

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.jobs.job import FINISHED
from app.jobs.webhook_address import PORTS
from app.jobs.webhook_connection import Fault
from app.jobs.webhook_schedule import DELAYS_S
from app.jobs.webhook_signature import headers, parse_secrets
from tests import graphs
from tests.async_page import DOCUMENT, EVERY, SECTIONS, Terminals, comparable, eventually, file_of, server_before, stays
from tests.shells import ROOT, copy_models

MINUTE, HOUR = 60, 3600


@pytest.fixture(scope="module")
def documented_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two models that come with it, and the two that the page makes up."""
    models = copy_models(tmp_path_factory.mktemp("documented") / "models")
    graphs.put(models, "my-lookup", graphs.pick())
    graphs.put(models, "my-slow", graphs.slow())
    return models


@pytest.fixture
def terminals(tmp_path: Path, documented_models: Path) -> Iterator[Terminals]:
    """Terminals that are closed at the end."""
    with contextlib.ExitStack() as stack:
        yield Terminals(tmp_path, documented_models, stack)


@pytest.mark.parametrize("section", SECTIONS)
def test_examples(terminals: Terminals, section: str) -> None:
    """Each example of a section, in turn, prints what stands below it."""
    server = server_before(section)
    if server not in SECTIONS[section]:
        terminals.start(server)
    stay: dict[Path, str] = {}
    for example in SECTIONS[section]:
        if file_of(example):
            continue
        if stays(example):
            stay[terminals.start(example)] = example.shown or ""
            continue
        printed = terminals.run(example)

        assert comparable(example.shown or "") == comparable(printed)
    for log, shown in stay.items():
        if shown:
            printed = terminals.printed(log, shown.count("\n"))

            assert comparable(shown) == comparable(printed)


def test_what_arrives(terminals: Terminals) -> None:
    """A webhook has the headers and the body that the page shows, to the last one."""
    terminals.start(server_before("Webhooks"))
    (shown,) = re.findall(r"^```http\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    arrived: list[bytes] = []
    with socket.create_server(("127.0.0.1", int(terminals.ports["9000"]))) as receiver:
        receiver.settimeout(30)

        def take() -> None:
            connection, _ = receiver.accept()
            with connection:
                connection.settimeout(30)
                arrived.append(b"")
                while not re.search(rb"\r\n\r\n.*\}\}$", arrived[0], re.DOTALL):
                    arrived[0] += connection.recv(65536)
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        taking = threading.Thread(target=take)
        taking.start()
        (submit,) = (example for example in SECTIONS["Webhooks"] if "Webhook-Url" in example.code)
        terminals.run(submit._replace(code=submit.code.partition("\nuntil")[0]))
        taking.join(30)

    port = terminals.ports["9000"]
    assert comparable(shown) == comparable(arrived[0].decode().replace(f":{port}", ":9000"))


SECRET = "whsec_" + "c2VjcmV0" * 5 + "c2U="
OTHER = "whsec_" + "b3RoZXIh" * 5 + "b3Q="
NOW, BODY = 1_795_379_197, '{"type":"job.succeeded","label":"Größe"}'.encode()
SIGNED = headers(parse_secrets(SECRET), "msg_1", NOW, BODY)
BOTH = headers(parse_secrets(f"{OTHER} {SECRET}"), "msg_1", NOW, BODY)


@pytest.fixture(scope="module")
def is_genuine() -> Any:
    """The page's own function."""
    (example,) = (example for example in EVERY if file_of(example) == "signature.py")
    found: dict[str, Any] = {}
    exec(example.code, found)
    return found["is_genuine"]


@pytest.mark.parametrize(
    ("received", "body", "now"),
    [(SIGNED, BODY, NOW), (SIGNED, BODY, NOW + 300), (SIGNED, BODY, NOW - 300), (BOTH, BODY, NOW)],
    ids=["at once", "slow", "clock behind", "two secrets"],
)
def test_the_pages_own_function_takes_webhooks(is_genuine: Any, received: dict[str, str], body: bytes, now: int) -> None:
    """A webhook of this program is genuine to the function that the page gives, for five minutes."""
    assert is_genuine(SECRET, received, body, now=now)


@pytest.mark.parametrize(
    ("received", "body", "now"),
    [
        (SIGNED, BODY + b" ", NOW),
        (SIGNED, BODY, NOW + 301),
        (SIGNED, BODY, NOW - 301),
        (SIGNED | {"webhook-id": "msg_2"}, BODY, NOW),
        (SIGNED | {"webhook-timestamp": str(NOW + 1)}, BODY, NOW),
        (SIGNED | {"webhook-timestamp": "9" * 5000}, BODY, NOW),
        (SIGNED | {"webhook-timestamp": "１７９５３７９１９７"}, BODY, NOW),
        (SIGNED | {"webhook-timestamp": f"{NOW}.0"}, BODY, NOW),
        (SIGNED | {"webhook-signature": SIGNED["webhook-signature"][:-2]}, BODY, NOW),
        (SIGNED | {"webhook-signature": SIGNED["webhook-signature"].replace("v1,", "v2,")}, BODY, NOW),
        (SIGNED | {"webhook-signature": "Ã¼ ,"}, BODY, NOW),
        (SIGNED | {"webhook-signature": ""}, BODY, NOW),
        (headers(parse_secrets(OTHER), "msg_1", NOW, BODY), BODY, NOW),
        ({}, BODY, NOW),
    ],
)
def test_the_pages_own_function_refuses_what_is_none(is_genuine: Any, received: dict[str, str], body: bytes, now: int) -> None:
    """Whatever was changed, is too old, is cut short or is signed by another key is not genuine, and nothing is raised."""
    assert not is_genuine(SECRET, received, body, now=now)


def test_the_secret_is_one(terminals: Terminals) -> None:
    """What the page's command makes is a secret that the program takes."""
    found = parse_secrets((terminals.folder / "secret.txt").read_text())

    assert "Secrets(1)" == repr(found)


def rows(section: str) -> list[list[str]]:
    """The rows of a section's first table."""
    text = DOCUMENT.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    table = re.split(r"\n\n", text.partition("\n|")[2])[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def seconds(text: str) -> int:
    """A time as the tables have it, in seconds."""
    units = {"h": HOUR, "min": MINUTE, "s": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+) (h|min|s)", text))


def test_attempts_are_those_of_the_program() -> None:
    """The table of attempts is the schedule."""
    found = [(int(number), seconds(wait), seconds(after)) for number, wait, after in rows("Attempts")]

    assert [(at + 1, wait, sum(DELAYS_S[: at + 1])) for at, wait in enumerate(DELAYS_S)] == found


def test_members_are_those_of_a_job(terminals: Terminals) -> None:
    """The table of a job's members has all that there are, and every state is named."""
    terminals.start(server_before("Webhooks"))
    base = f"http://127.0.0.1:{terminals.ports['8000']}"
    hook = {"Prefer": "respond-async", "Webhook-Url": "http://127.0.0.1:9/"}
    job = httpx.post(f"{base}/models/my-lookup/predict", json={"inputs": {"index": [11]}}, headers=hook).json()
    eventually(lambda: httpx.get(base + job["links"]["self"]).json()["status"] == "failed")
    members = {name for row in rows("The job") for name in re.findall(r"`(\w+)`", row[0])}

    assert httpx.get(base + job["links"]["self"]).json().keys() == members
    assert all(f"`{status}`" in DOCUMENT for status in {"queued", "running", *FINISHED})


def test_words_are_those_of_the_program() -> None:
    """Every fault, port and setting of jobs and webhooks is on the page or, for the settings, on theirs."""
    attempts = DOCUMENT.partition("\n## Attempts\n")[2].partition("\n## ")[0]
    settings = (ROOT / "docs" / "settings.md").read_text()

    assert all(f"`{fault}`" in attempts for fault in Fault.__args__)  # type: ignore[attr-defined]
    assert f"port {' or '.join(map(str, sorted(PORTS)))}" in DOCUMENT
    assert set(re.findall(r"\b(?:JOBS?|WEBHOOKS?|MAX|PUBLIC|REQUEST)_[A-Z_]+", DOCUMENT)) - {"WEBHOOK_SECRET"} <= set(
        re.findall(r"`([A-Z_]+)`", settings)
    )


def test_links_to_sections() -> None:
    """Every link to a section of the page leads to one."""
    slugs = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", DOCUMENT, re.MULTILINE)}

    assert set(re.findall(r"\]\(#([^)]+)\)", DOCUMENT)) <= slugs
