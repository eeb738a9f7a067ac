"""boto3's SageMaker runtime client, through a stand-in for SageMaker that does to requests and errors what SageMaker does."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import numpy as np
import orjson
import pytest
from botocore.exceptions import ClientError

from tests.clients.fronts import REGION, SageMaker, before
from tests.shells import server

SETOSA = [5.1, 3.5, 1.4, 0.2]


@pytest.fixture(scope="module")
def runtime(models: Path) -> Iterator[Any]:
    """A client of SageMaker's runtime whose endpoint "onnx" is `onnx-lambda serve`."""
    with server(models, fast_lane=True) as container, before(container, SageMaker) as address:
        client = boto3.client(
            "sagemaker-runtime",
            endpoint_url=address,
            region_name=REGION,
            aws_access_key_id="none",
            aws_secret_access_key="none",
            config=botocore.config.Config(retries={"total_max_attempts": 1}),
        )
        yield client
        client.close()


def invoke(runtime: Any, body: bytes, **more: Any) -> tuple[bytes, dict[str, Any]]:
    found = runtime.invoke_endpoint(EndpointName="onnx", Body=body, **more)
    return found["Body"].read(), found


def test_json(runtime: Any) -> None:
    """Rows in JSON are answered by predictions in JSON."""
    body, found = invoke(runtime, orjson.dumps({"instances": [SETOSA]}), ContentType="application/json")
    bare, _ = invoke(runtime, orjson.dumps([SETOSA]), ContentType="application/json", Accept="application/json")

    assert "application/json" == found["ContentType"]
    assert 0 == orjson.loads(body)["predictions"][0]["output_label"]
    assert orjson.loads(body)["predictions"] == orjson.loads(bare)


def test_csv(runtime: Any) -> None:
    """A CSV without a header is answered in CSV, if that is accepted."""
    body, found = invoke(runtime, b"5.1,3.5,1.4,0.2\n", ContentType="text/csv", Accept="text/csv")

    assert found["ContentType"].startswith("text/csv")
    assert "0" == body.decode().strip().splitlines()[-1].split(",")[0]


def test_npy(runtime: Any) -> None:
    """An array as NumPy writes it goes through unchanged."""
    array = np.array([1.5, -2.25], np.float32)
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    body, found = invoke(
        runtime, buffer.getvalue(), ContentType="application/x-npy", Accept="application/x-npy", TargetModel="identity-float.tar.gz"
    )

    assert "application/x-npy" == found["ContentType"]
    np.testing.assert_array_equal(array, np.load(io.BytesIO(body), allow_pickle=False), strict=True)


def test_triton_binary(runtime: Any) -> None:
    """Triton's media type for SageMaker works through an endpoint that strips all other headers."""
    tensor = np.array([1.5, -2.25], "<f4").tobytes()
    parameters = {"binary_data_size": len(tensor)}
    header = orjson.dumps(
        {
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "parameters": parameters}],
            "outputs": [{"name": "y", "parameters": {"binary_data": True}}],
        }
    )
    media_type = "application/vnd.sagemaker-triton.binary+json;json-header-size="
    body, found = invoke(runtime, header + tensor, ContentType=f"{media_type}{len(header)}", TargetModel="identity-float")
    size = int(found["ContentType"].removeprefix(media_type))

    assert tensor == body[size:]
    assert [{"name": "y", "datatype": "FP32", "shape": [2], "parameters": parameters}] == orjson.loads(body[:size])["outputs"]


def test_what_is_sent_along(runtime: Any) -> None:
    """Custom attributes come back, and a target model and an inference id are taken."""
    body, found = invoke(
        runtime,
        orjson.dumps([1.5]),
        ContentType="application/json",
        TargetModel="identity-float.tar.gz",
        CustomAttributes="trace=7, who=me",
        InferenceId="call-1",
    )

    assert ([1.5], "trace=7, who=me") == (orjson.loads(body), found["CustomAttributes"])
    assert "call-1" == found["ResponseMetadata"]["HTTPHeaders"]["x-amzn-sagemaker-inference-id"]


@pytest.mark.parametrize(
    ("body", "more", "status", "says"),
    [
        ([[1, 2]], {}, 422, "dimension 1 must be 4, not 2"),
        ([SETOSA], {"TargetModel": "nothing.tar.gz"}, 404, "There is no model 'nothing'"),
        ([SETOSA], {"Accept": "image/gif"}, 406, "The answer can be application/json"),
    ],
)
def test_errors(runtime: Any, body: Any, more: dict[str, str], status: int, says: str) -> None:
    """The client's exception carries the container's status and our sentence."""
    with pytest.raises(ClientError) as raised:
        invoke(runtime, orjson.dumps(body), ContentType="application/json", **more)
    response = raised.value.response

    assert ("ModelError", status) == (response["Error"]["Code"], response["OriginalStatusCode"])  # type: ignore[typeddict-item]
    assert says in orjson.loads(response["OriginalMessage"])["error"]  # type: ignore[typeddict-item]


def test_body_without_a_content_type(runtime: Any) -> None:
    """boto3 sends no type where none is given; the body is read as JSON."""
    body, found = invoke(runtime, orjson.dumps([SETOSA]))

    assert (0, "application/json") == (orjson.loads(body)[0]["output_label"], found["ContentType"])
