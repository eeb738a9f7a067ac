"""The image as a plain HTTP server."""

import json
import re
import time
from pathlib import Path

import httpx
import pytest
from onnx import TensorProto

from tests import graphs
from tests.containers import engine
from tests.problems import check_problem

pytestmark = pytest.mark.containers

ROW = [5.1, 3.5, 1.4, 0.2]


def test_prediction(server: httpx.Client) -> None:
    """`docker run IMAGE serve` answers a prediction on port 8080."""
    answer = server.post("/predict", json={"inputs": {"X": [ROW]}})

    assert 200 == answer.status_code, answer.text
    assert [0] == answer.json()["outputs"]["output_label"]


def test_documentation_is_complete(server: httpx.Client) -> None:
    """The documentation, its scripts and its styles come from the image: what was cut out of it is not missed."""
    page = server.get("/docs")
    assert 200 == page.status_code
    assert "text/html" in page.headers["content-type"]
    assert "//cdn." not in page.text

    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert 3 == len(assets)
    for asset in assets:
        assert 200 == server.get(page.url.join(asset)).status_code
    assert "/predict" in server.get("/openapi.json").json()["paths"]


def test_error_shape(server: httpx.Client) -> None:
    """A wrong request is answered with the one error shape."""
    check_problem(server.post("/predict", json={"inputs": {"X": [[1, 2]]}}), 422, "wrong-shape")


def test_every_model_is_served(server: httpx.Client) -> None:
    """Both models of the repository answer, and the state of both is ready then."""
    assert 200 == server.post("/models/digits/predict", json={"inputs": {"image": [[[0] * 8] * 8]}}).status_code
    assert 200 == server.post("/models/iris/predict", json={"instances": [ROW]}).status_code
    assert {"ready"} == {version["state"] for model in server.get("/health/ready").json()["models"].values() for version in model.values()}


def test_whole_http_shell_without_the_fast_lane(image: str) -> None:
    """With the fast lane off everything goes through FastAPI, which works as pruned."""
    with engine.served(image, ("--env", "HTTP_FAST_LANE=off")) as (_, client):
        assert [0] == client.post("/predict", json={"inputs": {"X": [ROW]}}).json()["outputs"]["output_label"]


def test_read_only_root_and_nobodys_user(image: str) -> None:
    """It serves on a read-only root, without capabilities, as a user that the image does not know."""
    with engine.served(image, engine.HARDENED) as (identity, client):
        assert 200 == client.post("/predict", json={"inputs": {"X": [ROW]}}).status_code
        assert 200 == client.get("/docs").status_code
        assert [] == engine.docker("diff", identity).stdout.decode().splitlines()


@pytest.mark.parametrize("signal", ["TERM", "INT"])
def test_stops_when_asked(image: str, signal: str) -> None:
    """SIGTERM and SIGINT end the server within two seconds and with exit code 0, although it is process 1."""
    with engine.served(image) as (identity, client):
        client.get("/health/live")
        started = time.monotonic()
        engine.docker("kill", "--signal", signal, identity)
        code = engine.docker("wait", identity, timeout=10).stdout.strip()

        assert b"0" == code, engine.logs(identity)
        assert time.monotonic() - started < 2


def test_models_of_your_own(image: str, tmp_path: Path) -> None:
    """A folder of models mounted over the image's is served: here one that lower-cases text, in the locale that exporters write."""
    graph = graphs.model(
        [graphs.node("StringNormalizer", ["x"], ["y"], case_change_action="LOWER", locale="en_US.UTF-8")],
        [graphs.tensor("x", TensorProto.STRING, ["n"])],
        [graphs.tensor("y", TensorProto.STRING, ["n"])],
    )
    graphs.put(tmp_path, "lower", graph)
    tmp_path.chmod(0o755)
    answer = engine.run(image, "predict", flags=("-v", f"{tmp_path}:/var/task/models:ro"), stdin=b'{"inputs": ["GR\xc3\x9cN", "A"]}')

    assert ["grün", "a"] == json.loads(answer.stdout)["outputs"]["y"], answer.stderr
