"""A secret that is worn everywhere where one may be, and looked for everywhere where none may be."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from tests.containers import engine
from tests.containers.contexts import copied
from tests.lambda_events import v2

pytestmark = pytest.mark.containers

CANARY = "canary-7f3a9c51d2e8"
BODY = json.dumps({"inputs": [[5.1, 3.5, 1.4, 0.2]], "id": CANARY})


def test_image_has_nothing_of_the_builder(tmp_path: Path) -> None:
    """What lies in the checkout beside what is built, and what the builder has in its environment, is in no layer of the image."""
    context = copied(tmp_path / "context")
    for place in (".env", ".aws/credentials", "samconfig.local.toml", "deployment/key.pem", "requirements/pip.conf", "tests/secret.py"):
        file = context / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"secret={CANARY}\n")
    built = engine.docker("build", "--quiet", str(context), timeout=900).stdout.decode().strip()
    saved = tmp_path / "image.tar"
    engine.docker("save", "--output", str(saved), built, timeout=300)

    assert [] == holders(saved)


def holders(saved: Path) -> list[str]:
    """The files of a saved image, in whatever layer, that hold the secret."""
    found = []
    with tarfile.open(saved) as image:
        for member in image:
            file = image.extractfile(member)
            content = file.read() if file else b""
            if CANARY.encode() in content:
                found.append(member.name)
            if tarfile.is_tarfile(io.BytesIO(content)):
                with tarfile.open(fileobj=io.BytesIO(content)) as layer:
                    found += [one.name for one in layer if one.isfile() and CANARY.encode() in layer.extractfile(one).read()]  # type: ignore[union-attr]
    return found


def test_search_finds_it(tmp_path: Path) -> None:
    """A secret that is in a layer is found: the search does look."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as inner:
        info = tarfile.TarInfo("etc/key")
        info.size = len(CANARY)
        inner.addfile(info, io.BytesIO(CANARY.encode()))
    with tarfile.open(tmp_path / "image.tar", "w") as outer:
        info = tarfile.TarInfo("layer.tar")
        info.size = len(layer.getvalue())
        outer.addfile(info, io.BytesIO(layer.getvalue()))

    assert "etc/key" in holders(tmp_path / "image.tar")


def test_logs_hold_no_secret(image: str) -> None:
    """Credentials of the environment, tokens of headers, what stands in queries and in bodies are in no line of the log."""
    secrets = {"AWS_SECRET_ACCESS_KEY": CANARY, "AWS_SESSION_TOKEN": CANARY, "LOG_LEVEL": "DEBUG"}
    flags = tuple(part for name, value in secrets.items() for part in ("--env", f"{name}={value}"))
    with engine.emulated(image, flags=(*flags, "--env", "AWS_LAMBDA_FUNCTION_NAME=f")) as (identity, invoke):
        for body in (BODY, BODY[:-1], json.dumps({"inputs": CANARY})):
            event = v2("POST", "/predict", body)
            event["headers"] |= {"authorization": f"Bearer {CANARY}", "x-api-key": CANARY, "cookie": f"session={CANARY}"}
            event["rawQueryString"] = f"token={CANARY}"
            invoke(event)
        written = engine.logs(identity)

    assert '"path":"/predict"' in written
    assert CANARY not in written


def test_image_runs_on_a_read_only_root_as_anybody(image: str) -> None:
    """As a user of no name, without capabilities, on a root that nobody can write to, the image serves and predicts."""
    with engine.served(image, flags=engine.HARDENED) as (identity, client):
        answer = client.post("/predict", content=BODY, headers={"content-type": "application/json"})
        user = engine.docker("exec", identity, "python3", "-c", "import os; print(os.getuid())").stdout.strip()
        write = engine.docker("exec", identity, "python3", "-c", "open('/var/task/x', 'w')", check=False)

    assert 200 == answer.status_code
    assert b"12345" == user
    assert b"Read-only file system" in write.stderr
