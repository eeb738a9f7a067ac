"""TensorFlow Serving's and KServe v1's interface, through every shell."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import graphs
from tests.problems import check_problem
from tests.shells import in_process

SETOSA = [5.1, 3.5, 1.4, 0.2]
CARD = {"object": "model", "created": 0, "owned_by": "onnx-lambda"}


def predict(http: httpx.Client, model: str, body: Any, **more: Any) -> Any:
    answer = http.post(f"/v1/models/{model}:predict", json=body, **more)
    assert 200 == answer.status_code, answer.text
    assert "application/json" == answer.headers["content-type"]
    return answer.json()


def available(version: str) -> dict[str, Any]:
    return {"version": version, "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}


def test_rows_of_one_input_are_bare_values(http: httpx.Client) -> None:
    """Instances are answered by predictions, one for each, bare where the model has one output."""
    assert {"predictions": [1.5, 2.0]} == predict(http, "identity-float", {"instances": [1.5, 2.0]})


def test_rows_of_several_inputs_are_objects(http: httpx.Client) -> None:
    """Each instance names the inputs."""
    rows = [{"input_ids": [1, 2], "attention_mask": [1, 0]}, {"attention_mask": [0, 1], "input_ids": [3, 4]}]

    assert {"predictions": [[1, 0], [0, 4]]} == predict(http, "two-inputs", {"instances": rows})


def test_rows_of_several_outputs_are_objects(http: httpx.Client) -> None:
    """Each prediction names the outputs; the class labels of a ZipMap, which are no rows, are left out."""
    assert {"predictions": [{"sum": [6.0], "relu": [1.0, 2.0, 3.0]}]} == predict(http, "fixed-batch", {"instances": [[1, 2, 3]]})
    assert {"predictions": [[0.25, 0.75]]} == predict(http, "zipmap-strings", {"instances": [[0.25, 0.75]]})


def test_columns_of_one_tensor_are_bare(http: httpx.Client) -> None:
    """A bare tensor is taken where the model has one input, and answered where it has one output."""
    assert {"outputs": [1.5, 2.0]} == predict(http, "identity-float", {"inputs": [1.5, 2.0]})
    assert {"outputs": 3.5} == predict(http, "scalar", {"inputs": 2.5})
    assert {"outputs": [1.5]} == predict(http, "identity-float", {"inputs": {"x": [1.5]}})


def test_columns_of_several_tensors_are_objects(http: httpx.Client) -> None:
    """Several tensors go by name both ways."""
    body = {"inputs": {"input_ids": [[1, 2]], "attention_mask": [[1, 0]]}}

    assert {"outputs": [[1, 0]]} == predict(http, "two-inputs", body)
    assert {"outputs": {"scores": [[0.25, 0.75]], "scores_labels": ["no", "yes"]}} == predict(
        http, "zipmap-strings", {"inputs": [[0.25, 0.75]]}
    )


def test_same_numbers_as_the_projects_own_dialect(http: httpx.Client) -> None:
    """The predictions are those of /predict."""
    body = {"instances": [SETOSA, [6.3, 3.3, 6.0, 2.5]]}

    assert http.post("/models/iris/predict", json=body).json()["predictions"] == predict(http, "iris", body)["predictions"]


def test_bytes(http: httpx.Client) -> None:
    """{"b64"} stands wherever a string does; an output named for bytes is always in base64, another one where it is no text."""
    text, binary = {"b64": "aGk="}, {"b64": "/wA="}
    expected = [{"copy_bytes": text, "copy": "hi"}, {"copy_bytes": binary, "copy": binary}, {"copy_bytes": text, "copy": "hi"}]

    assert {"predictions": expected} == predict(http, "copied-bytes", {"instances": [text, {"b64": "/wA="}, "hi"]})
    assert {"predictions": expected[:1]} == predict(http, "copied-bytes", {"instances": [{"x": text}]})
    assert {"outputs": {"copy_bytes": [text, binary], "copy": ["hi", binary]}} == predict(http, "copied-bytes", {"inputs": ["hi", binary]})
    assert {"outputs": [["hi", binary]]} == predict(http, "text", {"inputs": {"x": [[text, binary]]}})


@pytest.mark.parametrize("name", ["serving_default", ""])
def test_signature_name(http: httpx.Client, name: str) -> None:
    """The name of the default signature, or an empty one, is what every ONNX model has."""
    assert {"predictions": [1.0]} == predict(http, "identity-float", {"signature_name": name, "instances": [1]})


@pytest.mark.parametrize(
    ("name", "says"), [("classify", 'Serving signature name: "classify" not found in signature def'), (None, "must be a string")]
)
def test_other_signature_names(http: httpx.Client, name: Any, says: str) -> None:
    """Another signature is refused by its name, in TensorFlow Serving's words."""
    answer = http.post("/v1/models/identity-float:predict", json={"signature_name": name, "instances": [1]})

    assert says in check_problem(answer, 422, "invalid-request")["error"]


def test_keys_of_others_are_passed_over(http: httpx.Client) -> None:
    """Top-level keys that the dialect does not know do no harm: KServe's clients send an id and parameters."""
    assert {"predictions": [1.0]} == predict(http, "identity-float", {"id": 7, "parameters": {"top_k": "x"}, "instances": [1]})


@pytest.mark.parametrize(
    "content_type",
    [None, "application/json", "application/json; charset=utf-8", "application/x-www-form-urlencoded", "text/plain; charset=utf-8"],
)
def test_content_type_is_not_needed(http: httpx.Client, content_type: str | None) -> None:
    """`curl -d` says that it sends a form; the body is read as JSON, as TensorFlow Serving reads it."""
    headers = {"content-type": content_type} if content_type else {}
    answer = http.post("/v1/models/identity-float:predict", content=b'{"instances": [1.0, 2.0]}', headers=headers)

    assert (200, {"predictions": [1.0, 2.0]}) == (answer.status_code, answer.json())


def test_other_content_types(http: httpx.Client) -> None:
    """A type that cannot be meant is refused, with the one that is."""
    answer = http.post("/v1/models/identity-float:predict", content=b"1,2", headers={"content-type": "text/csv"})

    assert "application/json" in check_problem(answer, 415, "unsupported-content-type")["error"]


def test_accept_is_not_negotiated(http: httpx.Client) -> None:
    """The answer is JSON, whatever the client says it likes, as TensorFlow Serving's is."""
    assert {"predictions": [1.0]} == predict(http, "identity-float", {"instances": [1]}, headers={"accept": "text/html"})


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"instances": [1], "inputs": [1]}, "only one of 'inputs' or 'instances' keys"),
        ([1], "must be a JSON object"),
        ({"instances": 1}, '"instances" must be an array'),
        ({"instances": [[1, 2], [3]]}, "is ragged"),
        ({"instances": [{"y": 1}]}, "row 0 has 'y', which is no input; expected x."),
        ({"inputs": {"y": [1]}}, "There is no input 'y'"),
        ({"instances": [1e39]}, "input 'x' at [0] is 1e+39"),
        ({"instances": ["1"]}, "input 'x' at [0] is a string"),
    ],
)
def test_wrong_bodies(http: httpx.Client, body: Any, says: str) -> None:
    """What does not fit is refused with the place and what was expected; nothing overflows to infinity."""
    answer = http.post("/v1/models/identity-float:predict", json=body)

    assert 422 == answer.status_code
    assert says in check_problem(answer, 422, answer.json()["code"])["error"]


@pytest.mark.parametrize("body", [b"", b"{", b'{"instances": [1,]}', b"\xff"])
def test_unreadable_bodies(http: httpx.Client, body: bytes) -> None:
    """What is no JSON is refused as such."""
    check_problem(http.post("/v1/models/identity-float:predict", content=body), 400, "unreadable-json")


def test_not_a_number(http: httpx.Client) -> None:
    """NaN comes in where the model allows it, and goes out as its policy says: the answer is JSON in every case."""
    bare = http.post("/v1/models/nan-allowed:predict", content=b'{"instances": [NaN, Infinity, 1]}')
    refused = http.post("/v1/models/identity-float:predict", content=b'{"instances": [NaN]}')

    assert {"predictions": ["NaN", "Infinity", 1.0]} == bare.json()
    check_problem(refused, 422, "not-finite")
    assert {"predictions": [None, 0.0]} == predict(http, "logarithm", {"instances": [-1, 1]})
    check_problem(http.post("/v1/models/nan-error:predict", json={"inputs": [-1]}), 422, "output-not-finite")


def test_inconsistent_batch_size(http: httpx.Client) -> None:
    """Outputs of unequal length are no rows, which is said in the words that users search for; they are columns."""
    answer = http.post("/v1/models/uneven:predict", json={"instances": [1, 2]})

    assert "Tensor name: twice has inconsistent batch size: 4 expecting: 2" in check_problem(answer, 422, "invalid-request")["error"]
    assert {"outputs": {"once": [1.0], "twice": [1.0, 1.0]}} == predict(http, "uneven", {"inputs": [1]})


@pytest.mark.parametrize(
    ("path", "code", "says"),
    [
        (
            "/v1/models/half:predict",
            "unknown-model",
            "Servable not found for request: Latest(half). There is no model 'half'; the models are",
        ),
        ("/v1/models/half/versions/3:predict", "unknown-model", "Servable not found for request: Specific(half, 3)."),
        ("/v1/models/half/labels/stable:predict", "unknown-model", "Servable not found for request: Latest(half)."),
        (
            "/v1/models/versioned/versions/3:predict",
            "unknown-version",
            "Servable not found for request: Specific(versioned, 3). Model 'versioned' has no version '3'; it has 1, 2, 10.",
        ),
        (
            "/v1/models/versioned/labels/canary:predict",
            "unknown-version",
            "Unrecognized servable version label: canary. Model 'versioned' has no such label; its labels are stable.",
        ),
        ("/v1/models/iris/labels/stable:predict", "unknown-version", "it has none: [version_labels] of its model.toml gives them."),
    ],
)
def test_unknown_names(http: httpx.Client, path: str, code: str, says: str) -> None:
    """A model, version or label that there is not is 404, in TensorFlow Serving's words and with the names that there are."""
    answer = http.post(path, json={"instances": [1]})

    assert says in check_problem(answer, 404, code)["error"]


@pytest.mark.parametrize("version", ["latest", "0", "-1", "01", "1e9", "1.0", "\uff11", "%31%30%00", "..", "9" * 300])
def test_versions_that_are_none(http: httpx.Client, version: str) -> None:
    """Only the version's own name is that version: nothing is converted, and no file is looked up by it."""
    for path in (f"/v1/models/versioned/versions/{version}:predict", f"/v1/models/versioned/labels/{version}:predict"):
        assert 404 == http.post(path, json={"instances": [1]}).status_code


@pytest.mark.parametrize("name", ["%2e%2e", "..%2fversioned", "versioned%00", " versioned", "Versioned", "v\u0435rsioned", "x" * 4000])
def test_names_that_are_none(http: httpx.Client, name: str) -> None:
    """A model is found by its exact name alone."""
    assert 404 == http.get(f"/v1/models/{name}").status_code
    assert 404 == http.post(f"/v1/models/{name}:predict", json={"instances": [1]}).status_code


def test_verb_that_is_missing(http: httpx.Client) -> None:
    """A path without :predict is told so, in the words that users search for."""
    problem = check_problem(http.post("/v1/models/iris", json={"instances": [SETOSA]}), 405, "method-not-allowed")

    assert "Malformed request: POST /v1/models/iris. Did you mean /v1/models/iris:predict?" in problem["error"]


@pytest.mark.parametrize("verb", ["explain", "classify", "regress"])
def test_verbs_that_are_not_offered(http: httpx.Client, verb: str) -> None:
    """Other verbs of TensorFlow Serving and KServe are refused by name."""
    assert f"':{verb}' is not offered" in check_problem(http.post(f"/v1/models/iris:{verb}", json={}), 404, "unknown-path")["error"]


def test_versions_and_labels(http: httpx.Client) -> None:
    """The newest version answers, or the one that the path names by itself or by its label."""
    for path, version in (("", "10"), ("/versions/1", "1"), ("/labels/stable", "2")):
        answer = http.post(f"/v1/models/versioned{path}:predict", json={"instances": [1]})

        assert (200, version) == (answer.status_code, answer.headers["x-model-version"])


def test_status_is_for_three_clients(http: httpx.Client) -> None:
    """One body has the state that TensorFlow Serving's clients read, KServe's readiness, and OpenAI's model."""
    answer = http.get("/v1/models/iris")

    assert (200, "application/json") == (answer.status_code, answer.headers["content-type"])
    assert {"model_version_status": [available("1")], "name": "iris", "ready": True, "id": "iris", **CARD} == answer.json()


def test_status_of_every_version(http: httpx.Client) -> None:
    """Without a version in the path all are listed, newest first; the newest is loaded for it, and the others say that they are not."""
    states = {"1": "AVAILABLE", "2": "AVAILABLE"}
    for path, version in (("/versions/1", "1"), ("/labels/stable", "2")):
        assert [available(version)] == http.get(f"/v1/models/versioned{path}").json()["model_version_status"]
    found = http.get("/v1/models/versioned").json()["model_version_status"]

    assert ["10", "2", "1"] == [one["version"] for one in found]
    assert {"10": "AVAILABLE", **states} == {one["version"]: one["state"] for one in found}


def test_status_of_versions_that_are_not_loaded(tmp_path: Path) -> None:
    """What was not asked for yet has not started; the one that is asked for is loaded by that."""
    for version in ("1", "2"):
        graphs.put(tmp_path, "m", graphs.scalar(), version=version)
    with in_process(tmp_path, fast_lane=True, PRELOAD_MODELS="none") as client:
        states = [
            [one["state"] for one in client.get(path).json()["model_version_status"]]
            for path in ("/v1/models/m", "/v1/models/m/versions/1")
        ]

        assert [["AVAILABLE", "START"], ["AVAILABLE"]] == states


def test_labels_of_a_manifest_that_cannot_be_read(tmp_path: Path) -> None:
    """Which version has a label is not guessed: 503 with what is wrong with model.toml."""
    graphs.put(tmp_path, "m", graphs.scalar(), toml='[version_labels]\nstable = "2"\n')
    with in_process(tmp_path, fast_lane=True) as client:
        problem = check_problem(client.get("/v1/models/m/labels/stable"), 503, "model-not-ready")

        assert "'version_labels.stable' names the version '2', but the versions are 1." in problem["error"]


def test_status_of_a_model_that_cannot_be_loaded(http: httpx.Client) -> None:
    """KServe's clients see 503, TensorFlow Serving's the state of the version and why, everybody the one error shape."""
    answer = http.get("/v1/models/broken")
    body = answer.json()
    (version,) = body["model_version_status"]

    assert (503, "30") == (answer.status_code, answer.headers["retry-after"])
    assert ("broken", False, 503, "model-not-ready") == (body["name"], body["ready"], body["status"], body["code"])
    assert ("END", "FAILED_PRECONDITION") == (version["state"], version["status"]["error_code"])
    assert version["status"]["error_message"] in body["error"]
    check_problem(http.post("/v1/models/broken:predict", json={"instances": [1]}), 503, "model-not-ready")
    check_problem(http.get("/v1/models/broken/metadata"), 503, "model-not-ready")


@pytest.mark.parametrize(
    ("path", "code", "says"),
    [
        ("/v1/models/half", "unknown-model", "Could not find any versions of model half."),
        ("/v1/models/versioned/versions/3", "unknown-version", "Could not find version 3 of model versioned."),
        ("/v1/models/versioned/labels/canary", "unknown-version", "Unrecognized servable version label: canary."),
        ("/v1/models/half/metadata", "unknown-model", "Servable not found for request: Latest(half)."),
        ("/v1/models/versioned/versions/3/metadata", "unknown-version", "Servable not found for request: Specific(versioned, 3)."),
        ("/v1/models/versioned/labels/canary/metadata", "unknown-version", "Unrecognized servable version label: canary."),
    ],
)
def test_status_and_metadata_of_unknown_names(http: httpx.Client, path: str, code: str, says: str) -> None:
    """These are 404 too, each in the words that TensorFlow Serving has for it."""
    assert says in check_problem(http.get(path), 404, code)["error"]


def test_models_are_listed(http: httpx.Client) -> None:
    """GET /v1/models has the names for KServe and the objects for OpenAI."""
    body = http.get("/v1/models").json()

    assert {"models", "object", "data"} == set(body)
    assert "list" == body["object"]
    assert {"iris", "digits", "versioned"} <= set(body["models"])
    assert [{"id": name, **CARD} for name in body["models"]] == body["data"]


def test_metadata(http: httpx.Client) -> None:
    """The signature is a TensorFlow model's: datatypes by its names, free dimensions -1, sizes as strings."""
    body = http.get("/v1/models/two-inputs/metadata").json()
    shape = {"dim": [{"size": "-1", "name": "batch"}, {"size": "-1", "name": "seq"}], "unknown_rank": False}
    infos = {name: {"dtype": "DT_INT64", "tensor_shape": shape, "name": name} for name in ("input_ids", "attention_mask", "masked")}
    signature = {"inputs": {name: infos[name] for name in ("input_ids", "attention_mask")}, "outputs": {"masked": infos["masked"]}}

    assert {"name": "two-inputs", "signature_name": "", "version": "1"} == body["model_spec"]
    assert {"serving_default": {**signature, "method_name": "tensorflow/serving/predict"}} == body["metadata"]["signature_def"][
        "signature_def"
    ]


def signature_of(http: httpx.Client, model: str) -> Any:
    return http.get(f"/v1/models/{model}/metadata").json()["metadata"]["signature_def"]["signature_def"]["serving_default"]


def test_metadata_of_every_kind(http: httpx.Client) -> None:
    """Fixed dimensions, strings, unknown ranks (ONNX Runtime tells a scalar's as one) and lists of tensors are told as TensorFlow tells them."""
    assert [{"size": "-1", "name": "n"}, {"size": "2", "name": ""}] == signature_of(http, "text")["inputs"]["x"]["tensor_shape"]["dim"]
    assert "DT_STRING" == signature_of(http, "text")["inputs"]["x"]["dtype"]
    assert {"dim": [], "unknown_rank": True} == signature_of(http, "scalar")["inputs"]["x"]["tensor_shape"]
    assert {"dtype": "DT_VARIANT", "tensor_shape": {"dim": [], "unknown_rank": True}, "name": "parts"} == signature_of(
        http, "sequence-output"
    )["outputs"]["parts"]


def test_metadata_of_every_datatype(http: httpx.Client) -> None:
    """Each datatype has the name that it has in TensorFlow."""
    names = {
        **{name: f"DT_{name.upper()}" for name in ("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")},
        "float16": "DT_HALF",
        "bfloat16": "DT_BFLOAT16",
        "float": "DT_FLOAT",
        "double": "DT_DOUBLE",
    }

    assert names == {name: signature_of(http, f"identity-{name}")["inputs"]["x"]["dtype"] for name in names}


def test_metadata_of_a_version(http: httpx.Client) -> None:
    """The version in the path, by itself or by its label, is the one that is told."""
    for path, version in (("", "10"), ("/versions/1", "1"), ("/labels/stable", "2")):
        assert version == http.get(f"/v1/models/versioned{path}/metadata").json()["model_spec"]["version"]
