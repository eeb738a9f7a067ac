"""Every kind of tensor a model may have, through every shell."""

from pathlib import Path

import httpx
import numpy as np
import pytest
from onnx import TensorProto as T

from tests import graphs
from tests.problems import check_problem
from tests.shells import in_process


def run(http: httpx.Client, model: str, inputs: object, **more: object) -> dict[str, object]:
    answer = http.post(f"/models/{model}/predict", json={"inputs": inputs, **more})
    assert 200 == answer.status_code, answer.text
    return answer.json()["outputs"]


@pytest.mark.parametrize(
    ("datatype", "values"),
    [
        ("bool", [True, False]),
        *((f"uint{bits}", [0, 2**bits - 1]) for bits in (8, 16, 32, 64)),
        *((f"int{bits}", [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1]) for bits in (8, 16, 32, 64)),
        ("float16", [1.5, -65504.0, 5.960464477539063e-08]),
        ("bfloat16", [1.0, -3.3895313892515355e38, 0.0078125]),
        ("float", [1.5, -3.4028235e38, 1e-45]),
        ("double", [0.1, -1.7976931348623157e308, 5e-324]),
    ],
)
def test_every_datatype_comes_back_exactly(http: httpx.Client, datatype: str, values: list[object]) -> None:
    """The extremes of each datatype go through a model unchanged."""
    kind = {"bool": np.bool_, "bfloat16": np.float32, "float": np.float32, "double": np.float64}.get(datatype, datatype)

    np.testing.assert_array_equal(np.array(values, kind), np.array(run(http, f"identity-{datatype}", values)["y"], kind), strict=True)


def test_bfloat16_rounds_to_nearest_even(http: httpx.Client) -> None:
    """A number between two BF16 values becomes the nearer one, a tie the even one."""
    assert [1.0, 1.0078125, 1.015625] == run(http, "identity-bfloat16", [1.00390625, 1.004, 1.01171875])["y"]


def test_whole_floats_are_integers(http: httpx.Client) -> None:
    """1.0 and 1e3 are whole numbers: JSON does not tell them from integers."""
    assert [1, 1000] == run(http, "identity-int64", [1.0, 1e3])["y"]


@pytest.mark.parametrize("datatype", ["bool", "int64", "float", "bfloat16", "double"])
def test_empty_tensor(http: httpx.Client, datatype: str) -> None:
    """A tensor without elements goes through."""
    assert [] == run(http, f"identity-{datatype}", [])["y"]


def test_scalar(http: httpx.Client) -> None:
    """A scalar is a plain number both ways."""
    assert 3.5 == run(http, "scalar", {"x": 2.5})["y"]


def test_strings(http: httpx.Client) -> None:
    """Strings go through as UTF-8, empty ones and any script among them."""
    rows = [["", "grüße"], ["日本語", 'quote " and \\ and \n']]
    assert rows == run(http, "text", rows)["y"]


def test_sequence_of_tensors(http: httpx.Client) -> None:
    """A sequence of tensors of unequal length is a list of tensors both ways."""
    assert [[1.0], [2.0, 3.0]] == run(http, "sequence-output", [1, 2, 3])["parts"]
    assert [1.0, 2.0, 3.0] == run(http, "sequence-input", {"parts": [[1], [2, 3]]})["y"]


def test_optional(http: httpx.Client) -> None:
    """An optional input may be null or left out; an empty optional output is null."""
    assert run(http, "optional-input", {"x": [1]})["given"] is True
    assert run(http, "optional-input", {"x": None})["given"] is False
    assert run(http, "optional-input", {})["given"] is False
    assert {"full": [1.0], "empty": None} == run(http, "optional-output", {"x": [1]})


def test_string_classes(http: httpx.Client) -> None:
    """A ZipMap of strings becomes a tensor of scores and its class labels."""
    outputs = run(http, "zipmap-strings", [[0.25, 0.75], [1, 0]])

    assert {"scores": [[0.25, 0.75], [1.0, 0.0]], "scores_labels": ["no", "yes"]} == outputs


def test_batch_fixed_at_one(http: httpx.Client) -> None:
    """A graph whose batch is fixed at 1 takes many rows, one after the other; its description says so."""
    assert {"sum": [[6.0], [-3.0], [0.0]], "relu": [[1.0, 2.0, 3.0], [0.0] * 3, [0.0] * 3]} == run(
        http, "fixed-batch", [[1, 2, 3], [-1, -1, -1], [0, 0, 0]]
    )
    assert {"sum": [[6.0]], "relu": [[1.0, 2.0, 3.0]]} == run(http, "fixed-batch", [[1, 2, 3]])
    assert "looped" == http.get("/models/fixed-batch").json()["batch"]["kind"]
    assert "native" == http.get("/models/iris").json()["batch"]["kind"]


def test_looped_rows_of_unequal_answers(http: httpx.Client) -> None:
    """Rows whose answers cannot be put together are refused with what to do, not failed."""
    assert [[0, 2]] == run(http, "looped-nonzero", [[1, 0, 1, 0]])["where"]
    answer = http.post("/models/looped-nonzero/predict", json={"inputs": [[1, 0, 1, 0], [1, 0, 0, 0]]})
    assert (422, "input-refused-by-model") == (answer.status_code, answer.json()["code"])
    assert "one by one" in answer.json()["detail"]


@pytest.mark.parametrize("layout", ["flat-rows", "deep"])
def test_large_tensors_take_the_quick_way_to_the_same_numbers(http: httpx.Client, layout: str) -> None:
    """A large body's numbers, read straight into a buffer, are those that were sent."""
    values = np.linspace(-5, 5, 30_000).astype(np.float32).tolist()
    assert values == np.array(run(http, "identity-float", values)["y"], np.float32).tolist()
    counts = list(range(-15_000, 15_000))
    assert counts == run(http, "identity-int64", counts)["y"]
    rows = np.random.default_rng(0).normal(size=(4_000, 4)).round(2).tolist()
    assert 4_000 == len(run(http, "iris", {"X": rows} if layout == "deep" else rows)["output_label"])


def test_large_tensors_are_refused_as_precisely_as_small_ones(http: httpx.Client) -> None:
    """In a large body too, the one bad value is named with its place."""
    rows: list[list[object]] = [[1.0, 2.0, 3.0, 4.0] for _ in range(3_000)]
    for bad, code in ((None, "wrong-datatype"), ("x", "wrong-datatype"), (1e39, "out-of-range"), (True, "wrong-datatype")):
        rows[2_345][1] = bad
        problem = http.post("/predict", json={"inputs": rows}).json()
        assert (code, "/inputs/2345/1") == (problem["code"], problem["pointer"]), problem
    rows[2_345] = [1.0]
    problem = http.post("/predict", json={"inputs": rows}).json()
    assert ("wrong-shape", "/inputs/2345") == (problem["code"], problem["pointer"])


def test_bad_base64_is_named(fast: httpx.Client) -> None:
    """Base64 that is none is called that, with its place."""
    problem = check_problem(fast.post("/models/text/predict", json={"inputs": [["a", {"b64": "/w"}]]}), 422, "wrong-datatype")

    assert "/inputs/0/1" == problem["pointer"]
    assert "base64" in problem["detail"]


def test_query_chooses_outputs_of_this_dialect_alone(fast: httpx.Client) -> None:
    """?outputs= names what /predict answers, is refused for what there is not, and means nothing to other dialects."""
    row = [[5.1, 3.5, 1.4, 0.2]]
    chosen = fast.post("/predict?outputs=output_label", json={"inputs": row}).json()
    tensor = {"name": "X", "shape": [1, 4], "datatype": "FP32", "data": row}

    assert ["output_label"] == list(chosen["outputs"])
    assert "pointer" not in check_problem(fast.post("/predict?outputs=ghost", json={"inputs": row}), 422, "unknown-output")
    assert 3 == len(fast.post("/v2/models/iris/infer?outputs=output_label", json={"inputs": [tensor]}).json()["outputs"])


def test_no_example_of_what_a_graph_refuses(tmp_path: Path) -> None:
    """A model that refuses zeros shows no example, rather than one that fails."""
    graphs.put(
        tmp_path,
        "divide",
        graphs.model(
            [graphs.node("Div", ["one", "x"], ["y"])],
            [graphs.tensor("x", T.INT32, ["n"])],
            [graphs.tensor("y", T.INT32, ["n"])],
            one=np.ones(1, np.int32),
        ),
    )
    with in_process(tmp_path, fast_lane=True) as client:
        shown = client.get("/models/divide").json()["example"]
        document = client.get("/openapi.json").json()

    assert shown is None
    assert "example" not in document["paths"]["/models/divide/predict"]["post"]["requestBody"]["content"]["application/json"]
