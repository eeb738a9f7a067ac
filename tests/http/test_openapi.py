"""The OpenAPI document: valid, complete, with examples that are answered, and kept by every answer."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.http.routes import ROUTES
from tests.shells import copy_models, server


@pytest.fixture(scope="module")
def document(fast: httpx.Client) -> dict[str, Any]:
    """The document of a repository with a model of each kind."""
    found: dict[str, Any] = fast.get("/openapi.json").json()
    return found


def test_it_is_valid(document: dict[str, Any]) -> None:
    """The document is an OpenAPI document."""
    wrong = [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()]

    assert [] == wrong
    assert document["openapi"].startswith("3.1.")


def test_every_route_is_described(document: dict[str, Any]) -> None:
    """Every row of the route table stands in the document, with its errors; nothing else does but the models' own paths."""
    rows = {(route.path, route.method.lower()) for route in ROUTES if route.endpoint}
    described = {(path, method) for path, operations in document["paths"].items() for method in operations}

    assert rows <= described
    assert all(operation["responses"]["default"] for operations in document["paths"].values() for operation in operations.values())
    assert all(method == "post" for path, method in described - rows)


def test_errors_may_say_when_to_come_again(document: dict[str, Any]) -> None:
    """Every operation's error has the header field that tells when to try again."""
    errors = [operation["responses"]["default"] for operations in document["paths"].values() for operation in operations.values()]

    assert [{"Retry-After"}] * len(errors) == [set(error.get("headers", ())) for error in errors]


def _examples(document: dict[str, Any]) -> dict[str, Any]:
    bodies = {
        path: operations["post"]["requestBody"]["content"]["application/json"].get("example")
        for path, operations in document["paths"].items()
        if "post" in operations and "requestBody" in operations["post"]
    }
    return {path: body for path, body in bodies.items() if body}


def test_every_example_is_answered(http: httpx.Client, document: dict[str, Any]) -> None:
    """Each example of the document, in every dialect, is answered 200."""
    examples = _examples(document)
    # Made up of zeros, whose logarithm this model refuses to answer.
    examples = {path: body for path, body in examples.items() if "nan-error" not in path}
    wrong = {path: answer.text[:300] for path, body in examples.items() if (answer := http.post(path, json=body)).status_code != 200}

    assert {} == wrong
    assert {"instances": [[5.1, 3.5, 1.4, 0.2]]} == examples["/v1/models/iris:predict"]
    for kind in ("/models/iris/predict", "/v2/models/iris/infer", "/v1/models/iris:predict", "/invocations", "/v1/embeddings", "/predict"):
        assert kind in examples


def test_each_model_is_described_in_each_dialect(document: dict[str, Any]) -> None:
    """A model's path in each dialect names its inputs, datatypes and shapes; feature names stand in the rows."""
    schemas = document["components"]["schemas"]

    assert "batch" in str(schemas["digitsRequest"])
    assert {"const": "image"} == schemas["digitsInferenceRequest"]["properties"]["inputs"]["items"]["properties"]["name"]
    assert {"const": "FP32"} == schemas["digitsInferenceRequest"]["properties"]["inputs"]["items"]["properties"]["datatype"]
    assert "petal_width" in str(schemas["irisRequest"])


# A schema cannot say that two dimensions are one number, what a graph refuses, nor that a job has ended.
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 303, 400, 403, 404, 406, 409, 410, 413, 415, 422]
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server with the project's own models."""
    models: Path = copy_models(tmp_path_factory.mktemp("schemathesis") / "models")
    with server(models, fast_lane=True) as client:
        yield str(client.base_url)


def test_every_answer_is_declared(served: str, tmp_path: Path) -> None:
    """Schemathesis, with all its checks: whatever fits the document or does not, no answer is a 5xx or undeclared."""
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    options = ["--checks", "all", "--max-examples", "20", "--seed", "1", "--no-color", "--generation-database", "none"]
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{served}/openapi.json", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)

    assert 0 == done.returncode, done.stdout[-6000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) generated, \1 passed", done.stdout)
    assert passed, done.stdout[-2000:]
    assert int(passed[1]) > 1000
