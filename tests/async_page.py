"""docs/async.md as its reader has it: the blocks of each section, and terminals to run them in."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

from tests.document_examples import Example, examples_of
from tests.shells import ROOT, free_port, process

DOCUMENT = (ROOT / "docs" / "async.md").read_text(encoding="utf-8")
# What differs from one run to the next, and how it is compared.
PASSING = {
    r"\b[0-9a-f]{64}\b": "digest",
    r"~[0-9a-f]{2}~[0-9a-f]{32}~": "~…~id~",
    r"(?<![0-9a-f])[0-9a-f]{32}\b": "id",
    r"sha256:[0-9a-f]{8}…|sha256:digest": "sha256:…",
    r"\d{4}-\d\d-\d\dT[\d:.]+Z": "time",
    r"expires=\d+": "expires=…",
    r'"duration_ms":\d+': '"duration_ms":…',
    r"webhook-timestamp: \d{10}": "webhook-timestamp: …",
    r"v1,[0-9A-Za-z+/]{43}=": "v1,…",
}


def file_of(example: Example) -> str:
    """The name of a file that a block is; empty for a block that is run."""
    found = re.match(r"# (\w+\.py)\n", example.code)
    return found[1] if found else ""


def stays(example: Example) -> bool:
    """Whether a block runs for as long as its terminal is open."""
    return example.language == "sh" and bool(re.search(r"(make serve|receiver\.py)$", example.code.strip()))


SECTIONS = examples_of(DOCUMENT)
EVERY = [example for examples in SECTIONS.values() for example in examples]


def comparable(text: str) -> str:
    """What an example printed or shows, without what differs from one run to the next."""
    text = text.replace("\r", "").strip()
    for pattern, same in PASSING.items():
        text = re.sub(pattern, same, text)
    return text


class Terminals:
    """A reader's terminals: one folder, a server of the page's own commands, a receiver."""

    def __init__(self, folder: Path, models: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self.ports = {"8000": str(free_port()), "9000": str(free_port())}
        self._environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "MODEL_DIR": str(models),
            "JOBS_DIR": str(folder / "jobs"),
            "PORT": self.ports["8000"],
        }
        for example in EVERY:
            if file := file_of(example):
                (folder / file).write_text(self._here(example.code))
        # Sections are read alone as well.
        self.run(next(example for example in EVERY if "> secret.txt" in example.code))

    def run(self, example: Example) -> str:
        """What a block prints."""
        command = ["sh", "-ec", self._here(example.code)] if example.language == "sh" else [sys.executable, "-c", self._here(example.code)]
        ended = subprocess.run(command, cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=90, check=False)
        assert (0, "") == (ended.returncode, ended.stderr)
        return self._there(ended.stdout)

    def start(self, example: Example) -> Path:
        """Begin a block that stays; where its output goes."""
        code = self._here(example.code).replace("make serve", "python3 -m app serve")
        running = self._stack.enter_context(process(["sh", "-ec", f"cd '{self.folder}'\n{code}"], self._environment))
        port = self.ports["8000" if "app serve" in code else "9000"]
        eventually(lambda: running.poll() is not None or listens(port))
        assert running.poll() is None, running.log_file.read_text()  # type: ignore[attr-defined]
        return cast("Path", running.log_file)  # type: ignore[attr-defined]

    def printed(self, log: Path, lines: int) -> str:
        """What a block that stays has printed, once it has that many lines."""
        eventually(lambda: log.read_text().count("\n") >= lines)
        return self._there(log.read_text())

    def _here(self, code: str) -> str:
        for shown, port in self.ports.items():
            code = re.sub(rf'(127\.0\.0\.1(?:", |:)){shown}\b', rf"\g<1>{port}", code)
        return code

    def _there(self, text: str) -> str:
        for shown, port in self.ports.items():
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{shown}")
        return text


def listens(port: str) -> bool:
    """Whether somebody listens on a port of this machine."""
    try:
        socket.create_connection(("127.0.0.1", int(port)), 1).close()
    except OSError:
        return False
    return True


def eventually(holds: Callable[[], bool], within_s: float = 60.0) -> None:
    """Wait until something holds; whoever calls asserts that it does."""
    ends = time.monotonic() + within_s
    while not holds() and time.monotonic() < ends:
        time.sleep(0.02)


def server_before(section: str) -> Example:
    """The command that starts the server which a section speaks to: its own, or the last one before it."""
    names = list(SECTIONS)
    before = [example for name in names[: names.index(section) + 1] for example in SECTIONS[name]]
    return [example for example in before if example.code.strip().endswith("make serve")][-1]
