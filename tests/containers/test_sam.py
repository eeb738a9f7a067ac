"""The SAM command line on this machine: `sam build`, `sam local invoke`, `sam local start-api`."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests import lambda_samples
from tests.containers import engine
from tests.problems import check_problem
from tests.shells import free_port

pytestmark = pytest.mark.containers

SAM = str(engine.ROOT / ".venv-sam" / "bin" / "sam")
# What `sam build` calls the image: the function's name in the template.
IMAGE = "onnxlambda:latest"
ROW = [5.1, 3.5, 1.4, 0.2]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """No account, no telemetry, and a home of its own, where SAM keeps its state. Nothing here reaches AWS."""
    settings = {key: value for key, value in os.environ.items() if key in {"PATH", "DOCKER_HOST"}}
    home = str(tmp_path_factory.mktemp("home"))
    return settings | {"HOME": home, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture(scope="module")
def template(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`sam build`: the template with the image that it made."""
    folder = tmp_path_factory.mktemp("sam")
    done = subprocess.run(
        [SAM, "build", "--build-dir", folder], cwd=engine.ROOT, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert 0 == done.returncode, done.stdout[-3000:] + done.stderr[-3000:]
    yield folder / "template.yaml"
    # SAM removes its containers itself; this is for the run that was broken off
    for identity in engine.docker("ps", "--all", "--quiet", "--filter", f"ancestor={IMAGE}").stdout.decode().split():
        engine.docker("rm", "--force", identity)


@pytest.fixture(scope="module")
def api(environment: dict[str, str], template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """`sam local start-api`: a client of the API as the template describes it."""
    port, log = free_port(), tmp_path_factory.mktemp("log") / "start-api.log"
    # LAZY keeps the container for the next request
    command = [SAM, "local", "start-api", "--template", template, "--port", str(port), "--skip-pull-image", "--warm-containers", "LAZY"]
    with log.open("wb") as stream:
        running = subprocess.Popen(command, cwd=engine.ROOT, env=environment, stdout=stream, stderr=subprocess.STDOUT)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
            ends = time.monotonic() + engine.START_S
            while True:
                assert running.poll() is None, log.read_text()[-3000:]
                assert time.monotonic() < ends, log.read_text()[-3000:]
                try:
                    client.get("/health/live")
                    break
                except httpx.ConnectError:
                    time.sleep(0.1)
            yield client
    finally:
        running.send_signal(signal.SIGINT)
        try:
            running.wait(60)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait(10)


def test_image_is_lambdas_own_stage(template: Path) -> None:
    """`sam build` makes the stage without a user, as Lambda wants it, with the same entry as everywhere else."""
    config: dict[str, Any] = json.loads(engine.docker("image", "inspect", IMAGE).stdout)[0]["Config"]

    assert template.is_file()
    assert "" == config["User"]
    assert ["/entrypoint.sh"] == config["Entrypoint"]
    assert ["handler.handler"] == config["Cmd"]


@pytest.mark.parametrize("name", ["direct-invoke-inputs", "eventbridge-schedule", "http-api-v2-predict", "rest-api-predict"])
def test_local_invoke(environment: dict[str, str], template: Path, name: str) -> None:
    """`sam local invoke -e events/….json` prints the sample's answer: samconfig.toml says which of the functions is meant."""
    event = str(lambda_samples.FOLDER / f"{name}.json")
    done = subprocess.run(
        [SAM, "local", "invoke", "--template", template, "--config-file", engine.ROOT / "samconfig.toml", "--event", event],
        cwd=engine.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )

    assert 0 == done.returncode, done.stderr[-3000:]
    lambda_samples.check(name, json.loads(done.stdout))


def test_api_predicts(api: httpx.Client) -> None:
    """A real HTTP client gets a prediction through SAM's API as JSON, with the headers of the answer."""
    answer = api.post("/models/iris/predict", json={"inputs": {"X": [ROW]}}, headers={"X-Request-Id": "from-the-test"})

    assert 200 == answer.status_code, answer.text
    assert "application/json" == answer.headers["content-type"]
    assert "from-the-test" == answer.headers["x-request-id"]
    assert [0] == answer.json()["outputs"]["output_label"]


def test_api_refuses(api: httpx.Client) -> None:
    """A wrong request comes back with its status and the one error shape."""
    check_problem(api.post("/predict", json={"inputs": {"X": [[1, 2]]}}), 422, "wrong-shape")
    check_problem(api.post("/models/ghost/predict", json={"inputs": 1}), 404, "unknown-model")
    check_problem(api.post("/predict", content=b"{", headers={"content-type": "application/json"}), 400, "unreadable-json")


@pytest.mark.parametrize(
    "path", ["/", "/models", "/models/digits", "/models/iris/versions/1", "/health/live", "/health/ready", "/openapi.json"]
)
def test_api_describes(api: httpx.Client, path: str) -> None:
    """Every document is JSON text, not base64."""
    answer = api.get(path)

    assert 200 == answer.status_code, answer.text
    assert isinstance(answer.json(), dict)


def test_api_has_its_documentation(api: httpx.Client) -> None:
    """The documentation page and its image, which is binary, come through whole."""
    assert "swagger-ui" in api.get("/docs").text
    assert api.get("/docs/favicon-32x32.png").content.startswith(b"\x89PNG")


@pytest.mark.parametrize("binary", [True, False])
def test_api_speaks_to_tritonclient(api: httpx.Client, binary: bool) -> None:
    """Triton's client, which sends no content type, gets its tensors through SAM's API raw and as JSON, and the text of an error."""
    row = triton.InferInput("X", [1, 4], "FP32").set_data_from_numpy(np.array([ROW], np.float32), binary_data=binary)
    # bytes that are no text in any encoding: every value from 0 to 254
    noise = np.frombuffer(bytes(range(255)) + b"\x00", np.float32).reshape(-1, 4)
    outputs = [triton.InferRequestedOutput(name, binary_data=binary) for name in ("output_label", "output_probability")]
    with triton.InferenceServerClient(api.base_url.netloc.decode(), network_timeout=120) as client:
        assert client.is_server_ready()
        assert client.is_model_ready("iris", "1")
        result = client.infer("iris", [row], outputs=outputs, request_id="1")
        many = [triton.InferInput("X", list(noise.shape), "FP32").set_data_from_numpy(noise)]
        assert len(noise) == len(client.infer("iris", many, outputs=outputs).as_numpy("output_label"))
        with pytest.raises(InferenceServerException, match="There is no model 'ghost'"):
            client.infer("ghost", [row])

    assert [0] == result.as_numpy("output_label").tolist()
    assert (1, 3) == result.as_numpy("output_probability").shape
    assert "1" == result.get_response()["id"]


def test_api_has_no_other_route(api: httpx.Client) -> None:
    """What the template does not list never reaches the function: API Gateway answers by itself, without our headers."""
    answer = api.get("/nothing-here")

    assert answer.status_code in {403, 404}
    assert "x-request-id" not in answer.headers
