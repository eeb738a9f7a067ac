"""What the HTTP contract says, through every shell: uvicorn with FastAPI, uvicorn with the fast lane, Mangum, the fast lane, the emulator."""

import httpx
import numpy as np
import pytest

from tests.problems import check_problem
from training import digits, iris

SETOSA = [5.1, 3.5, 1.4, 0.2]


@pytest.mark.parametrize("example", [iris, digits], ids=["iris", "digits"])
def test_every_row_equals_scikit_learn(http: httpx.Client, example) -> None:
    """A prediction for every row of the data set equals scikit-learn's own within 1e-5."""
    name = example.__name__.rpartition(".")[2]
    samples, estimator = example.samples(), example.estimator()
    expected = estimator.predict_proba(samples)
    tensor, scores = ("X", "output_probability") if name == "iris" else ("image", "probabilities")

    got = []
    for start in range(0, len(samples), 500):
        body = {"inputs": {tensor: samples[start : start + 500].tolist()}}
        answer = http.post(f"/models/{name}/predict", json=body)
        assert 200 == answer.status_code, answer.text
        got += answer.json()["outputs"][scores]

    np.testing.assert_allclose(np.array(got), expected, rtol=0, atol=1e-5)


def test_rows_by_instances(http: httpx.Client) -> None:
    """Instances are answered by predictions, one for each row, in order."""
    answer = http.post("/predict", json={"instances": [SETOSA, [6.3, 3.3, 6.0, 2.5]]})

    assert 200 == answer.status_code
    assert [0, 2] == [row["output_label"] for row in answer.json()["predictions"]]
    assert {"output_label", "output_probability"} == set(answer.json()["predictions"][0])


def test_rows_by_feature_name(http: httpx.Client) -> None:
    """A row may be an object by the feature names of model.toml, in any order."""
    row = {"petal_width": 0.2, "petal_length": 1.4, "sepal_width": 3.5, "sepal_length": 5.1}
    by_name = http.post("/predict", json={"instances": [row]}).json()
    by_position = http.post("/predict", json={"instances": [SETOSA]}).json()

    assert by_position == by_name


def test_rows_by_input_name(http: httpx.Client) -> None:
    """A row may be an object by input name, also for a model of several inputs."""
    rows = [{"input_ids": [1, 2], "attention_mask": [1, 0]}, {"input_ids": [3, 4], "attention_mask": [0, 1]}]
    answer = http.post("/models/two-inputs/predict", json={"instances": rows})

    assert [[1, 0], [0, 4]] == answer.json()["predictions"]


def test_columns(http: httpx.Client) -> None:
    """Inputs by name are answered by outputs by name, with the model that answered."""
    answer = http.post("/models/iris/versions/1/predict", json={"inputs": {"X": [SETOSA]}})
    body = answer.json()

    assert {"name": "iris", "version": "1", "digest": answer.headers["x-model-digest"]} == body["model"]
    assert [0] == body["outputs"]["output_label"]
    assert [0, 1, 2] == body["outputs"]["output_probability_labels"]
    assert "application/json" == answer.headers["content-type"]


def test_bare_tensor(http: httpx.Client) -> None:
    """A model of one input takes the bare tensor."""
    assert http.post("/predict", json={"inputs": {"X": [SETOSA]}}).json() == http.post("/predict", json={"inputs": [SETOSA]}).json()


def test_id_comes_back(http: httpx.Client) -> None:
    """An id comes back as it was sent."""
    assert "grün-7" == http.post("/predict", json={"inputs": [SETOSA], "id": "grün-7"}).json()["id"]


def test_chosen_outputs(http: httpx.Client) -> None:
    """Only the outputs that were asked for are answered."""
    answer = http.post("/predict", json={"inputs": [SETOSA], "outputs": ["output_label"]})

    assert {"output_label": [0]} == answer.json()["outputs"]


def test_top_k(http: httpx.Client) -> None:
    """top_k ranks the classes with their labels, best first."""
    answer = http.post("/predict", json={"instances": [SETOSA], "parameters": {"top_k": 2}, "outputs": ["output_probability"]})
    (ranked,) = answer.json()["predictions"]

    assert [("setosa", 0), ("versicolor", 1)] == [(entry["label"], entry["index"]) for entry in ranked]
    assert 1 >= ranked[0]["score"] > ranked[1]["score"] > 0


def test_top_k_takes_class_labels_from_the_graph(http: httpx.Client) -> None:
    """Without labels in model.toml the class labels of a ZipMap are the labels, also where they were not asked for."""
    body = {"inputs": [[0.25, 0.75]], "parameters": {"top_k": 1}, "outputs": ["scores"]}
    answer = http.post("/models/zipmap-strings/predict", json=body)

    assert {"scores": [[{"label": "yes", "index": 1, "score": 0.75}]]} == answer.json()["outputs"]


def test_headers(http: httpx.Client) -> None:
    """Every prediction names its request, its model and what each phase took."""
    answer = http.post("/predict", json={"inputs": [SETOSA]}, headers={"X-Request-Id": "mine-1"})
    timing = [entry.split(";dur=") for entry in answer.headers["server-timing"].split(", ")]

    assert "mine-1" == answer.headers["x-request-id"]
    assert ("iris", "1") == (answer.headers["x-model-name"], answer.headers["x-model-version"])
    assert answer.headers["x-model-digest"].startswith("sha256:")
    assert {"decode", "run", "encode"} <= {name for name, _ in timing}
    assert all(float(milliseconds) >= 0 for _, milliseconds in timing)


def test_request_id_is_replaced_if_it_is_not_plain(http: httpx.Client) -> None:
    """A request id that could forge a log line is not taken over."""
    answer = http.get("/models", headers={"X-Request-Id": 'a"}{"level":"x'})

    assert answer.headers["x-request-id"]
    assert '"' not in answer.headers["x-request-id"]


def test_models_are_listed(http: httpx.Client) -> None:
    """GET /models lists every model with its versions, oldest first, and which is the default."""
    found = {model["name"]: model for model in http.get("/models").json()["models"]}

    assert found["iris"]["default"]
    assert "petals" in found["iris"]["description"]
    assert found["iris"]["digest"].startswith("sha256:")
    assert not found["digits"]["default"]
    assert ["1", "2", "10"] == found["versioned"]["versions"]


@pytest.mark.parametrize("path", ["/models/iris", "/models/iris/versions/1"])
def test_model_is_described(http: httpx.Client, path: str) -> None:
    """A model's page has its signature, labels, digest, description, and an example that is valid."""
    model = http.get(path).json()

    assert [{"name": "X", "datatype": "FP32", "shape": [None, 4]}] == model["inputs"]
    assert ["setosa", "versicolor", "virginica"] == model["labels"]
    assert ["sepal_length", "sepal_width", "petal_length", "petal_width"] == model["features"]
    assert model["digest"].startswith("sha256:")
    assert "petals" in model["description"]
    assert 200 == http.post(model["links"]["predict"], json=model["example"]).status_code


def test_every_models_example_is_valid(http: httpx.Client) -> None:
    """The example of each model is a request that it answers."""
    names = [model["name"] for model in http.get("/models").json()["models"] if model["name"] not in {"broken", "nan-error"}]

    for name in names:
        model = http.get(f"/models/{name}").json()
        answer = http.post(model["links"]["predict"], json=model["example"])
        assert 200 == answer.status_code, (name, answer.text)


def test_newest_version_answers(http: httpx.Client) -> None:
    """Without a version the newest answers, by number: 10 is newer than 2."""
    assert "10" == http.post("/models/versioned/predict", json={"inputs": [1]}).headers["x-model-version"]
    assert "2" == http.post("/models/versioned/versions/2/predict", json={"inputs": [1]}).headers["x-model-version"]


def test_health(http: httpx.Client) -> None:
    """Liveness needs no model; readiness tells the state of each."""
    assert "live" == http.get("/health/live").json()["status"]
    ready = http.get("/health/ready")

    assert 200 == ready.status_code
    assert "ready" == ready.json()["models"]["iris"]["1"]["state"]


def test_broken_model_leaves_the_others_alone(http: httpx.Client) -> None:
    """A model that cannot be loaded answers 503 with the reason and Retry-After; the others serve."""
    answer = http.post("/models/broken/predict", json={"inputs": [1]})
    problem = check_problem(answer, 503, "model-not-ready")

    assert "ONNX Runtime cannot load" in problem["detail"]
    assert int(answer.headers["retry-after"]) > 0
    assert "failed" == http.get("/health/ready").json()["models"]["broken"]["1"]["state"]
    assert 200 == http.post("/predict", json={"inputs": [SETOSA]}).status_code


def test_front_page(http: httpx.Client) -> None:
    """GET / says what this is and links to everything."""
    page = http.get("/").json()

    assert "onnx-lambda" == page["name"]
    for path in page["links"].values():
        assert (405 if path == "/predict" else 200) == http.get(path).status_code, path


def test_head(http: httpx.Client) -> None:
    """HEAD answers as GET does, without the body."""
    answer = http.head("/models")

    assert (200, b"") == (answer.status_code, answer.content)


def test_openapi_names_the_models_inputs(http: httpx.Client) -> None:
    """The OpenAPI document has a path for each model, with its inputs and an example that is answered."""
    document = http.get("/openapi.json").json()
    operation = document["paths"]["/models/digits/predict"]["post"]
    example = operation["requestBody"]["content"]["application/json"]["example"]

    assert document["openapi"].startswith("3.")
    assert {"image"} == set(example["inputs"])
    assert "Handwritten digits" in operation["summary"]
    assert 200 == http.post("/models/digits/predict", json=example).status_code
    assert "X" in str(document["components"]["schemas"]["irisRequest"])


def test_docs_come_from_this_host_alone(http: httpx.Client) -> None:
    """The documentation page loads its script and style from the same host, and names no other."""
    page = http.get("/docs").text

    assert "://" not in page
    for asset, kind in (("swagger-ui-bundle.js", "text/javascript"), ("swagger-ui.css", "text/css")):
        assert f'"docs/{asset}"' in page
        answer = http.get(f"/docs/{asset}")
        assert 200 == answer.status_code
        assert answer.headers["content-type"].startswith(kind)
        assert len(answer.content) > 10_000
    check_problem(http.get("/docs/handler.py"), 404, "unknown-path")
