"""docs/content-types.md does what it says."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from app.codecs import DIALECTS
from app.inference import manifest
from tests.shells import ROOT, server

PAGE = (ROOT / "docs" / "content-types.md").read_text()


def test_every_example_prints_what_the_page_shows(models: Path, tmp_path: Path) -> None:
    """Each block of shell lines, run against a server, prints the block of text that follows it."""
    examples = re.findall(r"```sh\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)
    assert len(examples) == PAGE.count("```sh") == PAGE.count("```text") == 6

    with server(models, fast_lane=True) as client:
        address = f"{client.base_url.host}:{client.base_url.port}"
        for lines, shown in examples:
            script = lines.replace("localhost:8000", address).replace(".venv/bin/python", sys.executable)
            ended = subprocess.run(["sh", "-ec", script], check=False, cwd=tmp_path, capture_output=True, text=True, timeout=60)
            assert (0, shown) == (ended.returncode, ended.stdout), (script, ended.stderr)


def test_every_content_type_is_listed() -> None:
    """The table has every media type that is read or written, and no other."""
    listed = set(re.findall(r"`((?:text|application|image)/[\w.+;=-]+)`", PAGE.partition("In and out are chosen")[0]))
    dialect = DIALECTS["predict"]

    assert {*dialect.readers, *dialect.writers} - {"application/json"} == listed


def test_the_example_of_a_manifest_is_one() -> None:
    """The page's [image] table is taken by a model.toml as it stands."""
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    found = manifest.of_table("m", tomllib.loads(block)).image

    assert found is not None
    assert ((224, 224), (0.485, 0.456, 0.406)) == (found.size, found.mean)
