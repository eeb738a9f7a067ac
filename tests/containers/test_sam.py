"""The SAM command line on this machine: `sam build`, `sam local invoke`, `sam local start-api`, `sam local start-lambda`."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from botocore import UNSIGNED
from botocore.config import Config
from tritonclient.utils import InferenceServerException

from tests import lambda_samples
from tests.containers import aws, engine, sam
from tests.problems import check_problem

pytestmark = pytest.mark.containers

ROW = [5.1, 3.5, 1.4, 0.2]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What SAM runs in."""
    return sam.environment(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def template(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`sam build`: the template with the image that it made."""
    folder = tmp_path_factory.mktemp("sam")
    sam.run("build", "--build-dir", folder, env=environment, timeout=900)
    yield folder / "template.yaml"
    # SAM removes its containers itself; this is for the run that was broken off
    for identity in engine.docker("ps", "--all", "--quiet", "--filter", f"ancestor={sam.IMAGE}").stdout.decode().split():
        engine.docker("rm", "--force", identity)


@pytest.fixture(scope="module")
def over_moto(template: Path) -> Iterator[Path]:
    """The same over what the template keeps things in."""
    with aws.reachable(Jobs="on", Inbox="on", Batch="on") as made:
        sam.lay_out(made)
        yield sam.over(template, made)


@pytest.fixture(scope="module")
def api(environment: dict[str, str], template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """`sam local start-api`: a client of the API as the template describes it."""
    log = tmp_path_factory.mktemp("log") / "start-api.log"
    with (
        sam.serving("start-api", "--template", template, env=environment, log=log) as url,
        httpx.Client(base_url=url, timeout=120) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def functions(environment: dict[str, str], template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """`sam local start-lambda`: boto3's client of it."""
    log = tmp_path_factory.mktemp("log") / "start-lambda.log"
    # Nothing is signed, and nothing is sent twice: a failure is the answer.
    settings = Config(signature_version=UNSIGNED, retries={"max_attempts": 0}, read_timeout=120)
    with sam.serving("start-lambda", "--template", template, env=environment, log=log) as url:
        client = boto3.client("lambda", endpoint_url=url, region_name="eu-west-1", config=settings)
        yield client
        client.close()


def test_image_is_lambdas_own_stage(template: Path) -> None:
    """`sam build` makes the stage without a user, as Lambda wants it, with the same entry as everywhere else."""
    config: dict[str, Any] = json.loads(engine.docker("image", "inspect", sam.IMAGE).stdout)[0]["Config"]

    assert template.is_file()
    assert "" == config["User"]
    assert ["/entrypoint.sh"] == config["Entrypoint"]
    assert ["handler.handler"] == config["Cmd"]


@pytest.mark.parametrize("name", lambda_samples.names())
def test_local_invoke(environment: dict[str, str], over_moto: Path, name: str) -> None:
    """`sam local invoke -e events/….json` prints the answer of every sample, by the function that it is for."""
    lambda_samples.check(name, sam.invoke(over_moto, name, environment))


def test_local_invoke_of_no_function_in_particular(environment: dict[str, str], template: Path) -> None:
    """samconfig.toml says which of the functions is meant where none is named, and nothing around it is needed."""
    event = lambda_samples.FOLDER / "http-api-v2-predict.json"
    answer = sam.run("local", "invoke", "--template", template, "--config-file", sam.CONFIG, "--event", event, env=environment)

    lambda_samples.check("http-api-v2-predict", json.loads(answer))


@pytest.mark.parametrize("name", ["direct-invoke-inputs", "http-api-v2-base64", "kinesis"])
def test_lambda_invoke(functions: Any, name: str) -> None:
    """boto3's `lambda.invoke` gets the answer of a sample."""
    answer = functions.invoke(FunctionName="OnnxLambda", Payload=json.dumps(lambda_samples.event(name)))

    assert 200 == answer["StatusCode"]
    assert "FunctionError" not in answer
    lambda_samples.check(name, json.loads(answer["Payload"].read()))


def test_lambda_invoke_of_tensors(functions: Any) -> None:
    """Raw tensors go through an event and its answer in base64, as API Gateway sends them."""
    rows = np.array([ROW, [7.0, 3.2, 4.7, 1.4]], np.float32)
    outputs = [triton.InferRequestedOutput("output_probability", binary_data=True)]
    given = triton.InferInput("X", list(rows.shape), "FP32").set_data_from_numpy(rows)
    body, length = triton.InferenceServerClient.generate_request_body([given], outputs=outputs)
    event = lambda_samples.event("http-api-v2-base64") | {"rawPath": "/v2/models/iris/infer", "body": base64.b64encode(body).decode()}
    event["headers"] = {"inference-header-content-length": str(length)}
    answer = json.loads(functions.invoke(FunctionName="OnnxLambda", Payload=json.dumps(event))["Payload"].read())
    header = int({name.lower(): value for name, value in answer["headers"].items()}["inference-header-content-length"])

    assert 200 == answer["statusCode"], answer
    assert answer["isBase64Encoded"] is True
    assert (2, 3) == np.frombuffer(base64.b64decode(answer["body"])[header:], np.float32).reshape(2, -1).shape


def test_lambda_invoke_that_nobody_waits_for(functions: Any) -> None:
    """An asynchronous invoke is taken at once."""
    answer = functions.invoke(FunctionName="OnnxLambda", InvocationType="Event", Payload=b'{"warmup": true}')

    assert 202 == answer["StatusCode"]


def test_lambda_invoke_that_fails(functions: Any) -> None:
    """An event that nobody knows is answered with the function's error."""
    answer = functions.invoke(FunctionName="OnnxLambda", Payload=json.dumps(lambda_samples.UNKNOWN))

    # Not by FunctionError: SAM guesses, and takes an error with a stack trace for an answer.
    assert "UnknownEvent" == json.loads(answer["Payload"].read())["errorType"]


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
