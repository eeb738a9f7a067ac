"""KServe's REST client, protocols v1 and v2, in its own environment against a real server in both lanes."""

import functools
import json
import math
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.shells import ROOT, server

PYTHON = ROOT / ".venv-kserve" / "bin" / "python"
SCRIPT = Path(__file__).with_name("kserve_calls.py")
ROW = [5.1, 3.5, 1.4, 0.2]


Called = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def kserve() -> Iterator[subprocess.Popen[str]]:
    """The process that makes the calls: importing the client takes seconds."""
    assert PYTHON.exists(), "kserve's client is in .venv-kserve: run make .venv-kserve/ready"
    with subprocess.Popen([PYTHON, SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        yield running
        assert running.stdin is not None
        running.stdin.close()


def call(kserve: subprocess.Popen[str], url: str, protocol: str, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    assert kserve.stdin is not None
    assert kserve.stdout is not None
    kserve.stdin.write(json.dumps({"url": url, "protocol": protocol, "calls": calls}) + "\n")
    kserve.stdin.flush()
    found: list[Any] = json.loads(kserve.stdout.readline())
    return found


@pytest.fixture
def called(kserve: subprocess.Popen[str], address: str) -> Called:
    """Makes calls under a protocol; what each came back with: its value, or the text of its exception under "error"."""
    return functools.partial(call, kserve, f"http://{address}")


def given(name: str, values: Any, datatype: str, dtype: str) -> dict[str, Any]:
    return {"name": name, "values": values, "datatype": datatype, "dtype": dtype}


IRIS = [given("X", [ROW], "FP32", "float32")]


def infer(model: str, inputs: list[dict[str, Any]], *, binary: bool, outputs: Any = (), **parameters: Any) -> tuple[str, dict[str, Any]]:
    return "infer", {"model_name": model, "inputs": inputs, "how": {"binary": binary, "outputs": outputs, "parameters": parameters}}


def test_v2_health(called: Called) -> None:
    """The server is live and ready, a model is ready or not, as the client reads that."""
    calls = [("is_server_live", {}), ("is_server_ready", {})]
    calls += [("is_model_ready", {"model_name": name}) for name in ("iris", "broken", "ghost")]

    assert [True, True, True, False, False] == [found["value"] for found in called("v2", *calls)]


def test_v2_inference(called: Called) -> None:
    """Tensors go in raw and as JSON and come out either way, with the id of the request."""
    ways = [(binary, {"binary_data_output": out}) for binary in (False, True) for out in (False, True)]
    found = called("v2", *(infer("iris", IRIS, binary=binary, **parameters) for binary, parameters in ways))

    for answer in found:
        assert ("of-the-test", "iris") == (answer["value"]["id"], answer["value"]["model"])
        assert {"datatype": "INT64", "shape": [1], "values": [0]} == answer["value"]["outputs"]["output_label"]
        assert pytest.approx(1) == sum(answer["value"]["outputs"]["output_probability"]["values"])


DATATYPES = {
    "BOOL": ("identity-bool", "bool", [True, False]),
    **{f"UINT{bits}": (f"identity-uint{bits}", f"uint{bits}", [0, 2**bits - 1]) for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": (f"identity-int{bits}", f"int{bits}", [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1]) for bits in (8, 16, 32, 64)},
    "FP16": ("identity-float16", "float16", [1.5, -65504.0]),
    "FP32": ("identity-float", "float32", [1.5, 2.0**-149]),
    "FP64": ("identity-double", "float64", [0.1, 5e-324]),
    "BYTES": ("copied-bytes", "object", ["67722e", "6100", ""]),
}


def test_v2_datatypes(called: Called) -> None:
    """Every datatype that the client has comes back to the last bit, raw and as JSON (of FP16, which it refuses to write, raw only)."""
    cases = [(datatype, binary) for datatype in DATATYPES for binary in (False, True) if binary or datatype != "FP16"]
    calls = []
    for datatype, binary in cases:
        model, dtype, values = DATATYPES[datatype]
        calls.append(infer(model, [given("x", values, datatype, dtype)], binary=binary, binary_data_output=binary))
    found = called("v2", *calls)

    for (datatype, _), answer in zip(cases, found, strict=True):
        output = answer["value"]["outputs"]["copy" if datatype == "BYTES" else "y"]
        assert (datatype, DATATYPES[datatype][2]) == (output["datatype"], output["values"])


def test_v2_outputs(called: Called) -> None:
    """Chosen outputs with flags of their own, empty tensors, and NaN, which is null in JSON and itself in binary."""
    chosen, empty, *logarithms = called(
        "v2",
        infer("iris", IRIS, binary=True, outputs=[["output_label", {"binary_data": True}]]),
        infer("identity-float", [given("x", [], "FP32", "float32")], binary=True),
        *(infer("logarithm", [given("x", [-1.0], "FP32", "float32")], binary=True, binary_data_output=raw) for raw in (False, True)),
    )

    assert {"output_label": {"datatype": "INT64", "shape": [1], "values": [0]}} == chosen["value"]["outputs"]
    assert {"y": {"datatype": "FP32", "shape": [0], "values": []}} == empty["value"]["outputs"]
    assert all(math.isnan(answer["value"]["outputs"]["y"]["values"][0]) for answer in logarithms)


def test_v2_errors(called: Called) -> None:
    """The client shows our text, which it does for plain application/json alone."""
    found = called(
        "v2",
        infer("ghost", IRIS, binary=False),
        infer("broken", IRIS, binary=False),
        infer("identity-float", [given("x", [1.0], "FP64", "float64")], binary=True),
        ("infer", {"model_name": "iris", "data": {"inputs": []}}),
    )
    texts = [answer["error"] for answer in found]

    assert texts[0].startswith("There is no model 'ghost'")
    assert texts[1].startswith("Model 'broken' version '1' could not be loaded")
    assert texts[2].startswith("inference input 'x' data-type is 'FP64', model expects 'FP32'.")
    assert texts[3].startswith("expected 1 inputs but got 0: missing required input(s) X")
    assert ["404", "503", "422", "422"] == [text.split(", '")[1][:3] for text in texts]


def test_v1_health(called: Called) -> None:
    """Under protocol v1 the server is alive and a model ready; one that cannot be loaded is not."""
    calls = [("is_server_live", {}), *(("is_model_ready", {"model_name": name}) for name in ("iris", "broken"))]

    assert [True, True, False] == [found["value"] for found in called("v1", *calls)]


def test_v1_predictions(called: Called) -> None:
    """Rows are answered by predictions, and the client shows the text of an error."""
    rows, one, wrong, unknown = called(
        "v1",
        ("infer", {"model_name": "iris", "data": {"instances": [ROW, ROW]}}),
        ("infer", {"model_name": "identity-float", "data": {"instances": [1.5]}}),
        ("infer", {"model_name": "iris", "data": {"instances": []}}),
        ("infer", {"model_name": "ghost", "data": {"instances": [ROW]}}),
    )

    assert 2 == len(rows["value"]["predictions"])
    assert {"predictions": [1.5]} == one["value"]
    assert wrong["error"]
    assert "ghost" in unknown["error"]
    assert "'404 Not Found'" in unknown["error"]


def test_v1_explanations(called: Called) -> None:
    """There are none, and the client is told what there is."""
    (found,) = called("v1", ("explain", {"model_name": "iris", "data": {"instances": [ROW]}}))

    assert ":predict" in found["error"]


def test_base_path(kserve: subprocess.Popen[str], models: Path) -> None:
    """A base URL with a path, as a stage or a custom domain puts it there, works under both protocols."""
    with server(models, fast_lane=True, BASE_PATH="/prod") as client:
        url = f"{client.base_url}/prod"
        (v1,) = call(kserve, url, "v1", ("infer", {"model_name": "iris", "data": {"instances": [ROW]}}))
        live, v2 = call(kserve, url, "v2", ("is_server_live", {}), infer("iris", IRIS, binary=True))

    assert 0 == v1["value"]["predictions"][0]["output_label"]
    assert live["value"]
    assert [0] == v2["value"]["outputs"]["output_label"]["values"]
