"""SageMaker's container contract: `docker run IMAGE serve`, the model's archive unpacked below /opt/ml/model."""

import contextlib
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import graphs
from tests.containers import engine
from tests.shells import copy_models

pytestmark = pytest.mark.containers

ARCHIVE = "/opt/ml/model"
SETOSA = [5.1, 3.5, 1.4, 0.2]
# SageMaker runs containers as root: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
USERS = {"root": ("--user", "0:0"), "nobody": (), "hardened": engine.HARDENED}


@contextlib.contextmanager
def serving(image: str, archive: Path, *flags: str) -> Iterator[httpx.Client]:
    """The image with an unpacked archive."""
    archive.chmod(0o755)
    with engine.served(image, ("--volume", f"{archive}:{ARCHIVE}:ro", *flags)) as (_, client):
        yield client


@pytest.mark.parametrize("user", USERS)
def test_models_of_an_archive(image: str, tmp_path: Path, user: str) -> None:
    """An archive of models/ is served in the place of the image's own, for whichever user."""
    shutil.copytree(copy_models(tmp_path / "models") / "iris", tmp_path / "archive" / "flowers")
    with serving(image, tmp_path / "archive", *USERS[user]) as client:
        assert ["flowers"] == client.get("/v1/models").json()["models"]
        assert (200, b"") == ((ping := client.get("/ping")).status_code, ping.content)
        assert 0 == client.post("/invocations", json=[SETOSA]).json()[0]["output_label"]


@pytest.mark.parametrize("user", USERS)
def test_archive_of_one_graph(image: str, tmp_path: Path, user: str) -> None:
    """An archive of nothing but model.onnx and what belongs to it is version 1 of the model named "model"."""
    graphs.with_external_data(tmp_path, "weights.bin")
    (tmp_path / "model.toml").write_text('title = "Sums"\n')
    with serving(image, tmp_path, *USERS[user]) as client:
        answer = client.post("/invocations", json={"inputs": [1, 1, 1, 1]})

        assert ("model", "1") == (answer.headers["x-model-name"], answer.headers["x-model-version"])
        assert [1.0, 2.0, 3.0, 4.0] == answer.json()["outputs"]["y"]
        assert "Sums" == client.get("/models/model").json()["title"]


def test_empty_archive(image: str, tmp_path: Path) -> None:
    """A model without an archive is the image's own."""
    with serving(image, tmp_path) as client:
        assert ["digits", "iris"] == client.get("/v1/models").json()["models"]


def test_model_dir_is_stronger(image: str, tmp_path: Path) -> None:
    """MODEL_DIR says where the models are, also where there is an archive."""
    graphs.put(tmp_path / "archive", "archived", graphs.scalar())
    graphs.put(tmp_path / "mine", "mine", graphs.scalar())
    (tmp_path / "mine").chmod(0o755)
    with serving(image, tmp_path / "archive", "--volume", f"{tmp_path / 'mine'}:/mine:ro", "--env", "MODEL_DIR=/mine") as client:
        assert ["mine"] == client.get("/v1/models").json()["models"]


@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_archive_that_cannot_be_served(image: str, tmp_path: Path, mode: int) -> None:
    """An archive laid out otherwise, or one that the user may not read, stops the start with a sentence: other models never stand in for it."""
    (tmp_path / "export.onnx").write_bytes(graphs.scalar())
    tmp_path.chmod(mode)
    done = engine.run(image, "serve", flags=("--volume", f"{tmp_path}:{ARCHIVE}:ro"))

    assert 0 != done.returncode
    assert f"MODEL_DIR is '{ARCHIVE}', which {'holds no model' if mode == 0o755 else 'cannot be listed'}" in done.stderr.decode()


@pytest.fixture
def busy(image: str, tmp_path: Path) -> Iterator[tuple[str, httpx.Client]]:
    """A container all of whose threads run predictions, and its client."""
    graphs.put(tmp_path, "slow", graphs.slow())
    tmp_path.chmod(0o755)
    with engine.served(image, ("--volume", f"{tmp_path}:{ARCHIVE}:ro", "--user", "0:0")) as (identity, client):

        def call() -> None:
            with contextlib.suppress(httpx.TransportError):
                httpx.post(f"{client.base_url}/invocations", json={"inputs": 10**9}, timeout=60)

        callers = [threading.Thread(target=call) for _ in range(2 * engine_threads(identity))]
        for caller in callers:
            caller.start()
        time.sleep(1)
        yield identity, client
        engine.docker("kill", identity, check=False)
        for caller in callers:
            caller.join()


def engine_threads(identity: str) -> int:
    """At least as many as the server has threads for predictions."""
    cpus = int(engine.docker("exec", identity, "python3", "-c", "import os; print(os.cpu_count())").stdout)
    return max(4, 2 * cpus)


def test_connections_and_pings_in_time(busy: tuple[str, httpx.Client]) -> None:
    """A connection is accepted within 250 ms and a ping answered within 2 s, also while every thread predicts."""
    _, client = busy
    for _ in range(5):
        started = time.monotonic()
        socket.create_connection((client.base_url.host, client.base_url.port or 80), 1).close()
        connected = time.monotonic() - started
        with httpx.Client() as fresh:
            assert 200 == fresh.get(f"{client.base_url}/ping", timeout=2).status_code
        answered = time.monotonic() - started

        assert connected < 0.25
        assert answered < 2.25


def test_sigterm_while_predicting(busy: tuple[str, httpx.Client]) -> None:
    """SIGTERM ends the container by itself, long before the SIGKILL that follows after 30 s, whatever runs."""
    identity, _ = busy
    started = time.monotonic()
    engine.docker("kill", "--signal", "TERM", identity)
    code = engine.docker("wait", identity, timeout=30).stdout.strip()

    assert b"0" == code, engine.logs(identity)
    assert time.monotonic() - started < 20
