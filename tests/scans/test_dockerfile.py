"""What hadolint says of the Dockerfiles: nothing. And that nothing comes into the image which is not locked by its hash."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.template import ROOT

HADOLINT = ROOT / ".venv-scan" / "bin" / "hadolint"
FILES = sorted([ROOT / "Dockerfile", *ROOT.glob("*/Dockerfile")])


def findings(file: Path) -> list[str]:
    done = subprocess.run([HADOLINT, "--no-color", file], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    return (done.stdout + done.stderr).splitlines()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_dockerfiles_are_clean(file: Path) -> None:
    """hadolint finds nothing, not even of style, and nothing in the file tells it to look away."""
    assert [] == findings(file)
    assert "hadolint ignore" not in file.read_text()


def test_hadolint_finds_what_is_wrong(tmp_path: Path) -> None:
    """A base image without a version and a download that is not checked are found: hadolint does look."""
    file = tmp_path / "Dockerfile"
    file.write_text("FROM python\nADD https://example.com/a.tar.gz /\nRUN pip install numpy && cd /tmp\n")

    assert {"DL3006", "DL3013"} <= set(re.findall(r"DL\d+", "\n".join(findings(file))))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_what_is_installed_is_checked(file: Path) -> None:
    """Every installation takes wheels alone, from a lock alone, with its hashes alone, and trusts no other host."""
    installs = re.findall(r"pip install(?:[^\n]*\\\n)*[^\n]*", file.read_text())

    assert installs
    for one in installs:
        assert {"--require-hashes", "--no-deps"} <= set(one.split())
        assert "--only-binary :all:" in one
        assert re.search(r"(--requirement|-r) \S+\.lock", one)
        assert not re.search(r"--(extra-)?index-url|--trusted-host|--find-links", one)
