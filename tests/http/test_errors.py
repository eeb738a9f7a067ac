"""What is wrong is said: what, where, what was expected, what to do; in the one error shape, through every shell."""

import json

import httpx
import pytest

from tests.problems import check_problem

ROW = [5.1, 3.5, 1.4, 0.2]


def post(http: httpx.Client, body: object, path: str = "/predict", **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body)
    return http.post(path, content=content, headers={"Content-Type": "application/json", **headers})


@pytest.mark.parametrize(
    ("body", "offset"),
    [
        (b"", 0),
        (b'{"inputs"', 9),
        (b'{"inputs": [1,]}', 13),
        (b"\xef\xbb\xbf{}", 0),
        (b'{"inputs": "\xff"}', 12),
        (b'{"inputs": "\\ud800"}', 12),
        ('{"é": [1,]}'.encode(), 9),
        (b'{"inputs": [1], }', 14),
        (b"\x00{}", 0),
    ],
)
def test_unreadable_json(http: httpx.Client, body: bytes, offset: int) -> None:
    """A body that is no JSON is a 400 that names the byte, and echoes nothing of the body."""
    problem = check_problem(post(http, body), 400, "unreadable-json")

    assert f"at byte {offset}." in problem["detail"]


def test_no_echo(http: httpx.Client) -> None:
    """The text of an unreadable body does not come back."""
    assert "hunter2" not in post(http, '{"inputs": hunter2}').text


@pytest.mark.parametrize("levels", [65, 100, 20_000, 250_000])
def test_nesting(http: httpx.Client, levels: int) -> None:
    """Over 64 levels of nesting are a 400, however deep."""
    check_problem(post(http, b'{"inputs": ' + b"[" * levels + b"]" * levels + b"}"), 400, "nested-too-deeply")


def test_nesting_within_the_limit_is_read(http: httpx.Client) -> None:
    """64 levels are read, and refused for their shape alone; brackets inside strings do not count."""
    check_problem(post(http, b'{"inputs": ' + b"[" * 63 + b"]" * 63 + b"}"), 422, "wrong-shape")
    assert 200 == post(http, {"inputs": [ROW], "id": "[" * 200}).status_code


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-protobuf", "multipart/form-data; boundary=x", "image/gif"])
def test_content_type(http: httpx.Client, content_type: str) -> None:
    """Another content type is a 415 that names the accepted ones."""
    answer = http.post("/predict", content=b"1,2", headers={"Content-Type": content_type})

    assert "application/json" in check_problem(answer, 415, "unsupported-content-type")["detail"]


def test_json_with_a_charset(http: httpx.Client) -> None:
    """A charset parameter changes nothing."""
    answer = http.post("/predict", content=json.dumps({"inputs": [ROW]}), headers={"Content-Type": "Application/JSON; charset=utf-8"})

    assert 200 == answer.status_code


def test_accept(http: httpx.Client) -> None:
    """An answer that the caller does not accept is a 406; a wildcard accepts."""
    assert "application/json" in check_problem(post(http, {"inputs": [ROW]}, Accept="text/html"), 406, "not-acceptable")["detail"]
    assert 200 == post(http, {"inputs": [ROW]}, Accept="text/html, */*;q=0.1").status_code


def test_problem_json_for_those_who_ask(http: httpx.Client) -> None:
    """Errors are application/problem+json for callers that accept it, application/json for all others."""
    check_problem(post(http, {}, Accept="application/json, application/problem+json"), 422, "invalid-request", "application/problem+json")
    check_problem(post(http, {}, Accept="application/json"), 422, "invalid-request")


@pytest.mark.parametrize(
    ("path", "code", "names"),
    [
        ("/models/ghost/predict", "unknown-model", "iris"),
        ("/models/iris/versions/9/predict", "unknown-version", "it has 1"),
        ("/models/versioned/versions/latest/predict", "unknown-version", "1, 2, 10"),
        ("/models/..%2Fetc/predict", "unknown-path", "GET /"),
        ("/models/%2e%2e/predict", "unknown-model", "iris"),
        ("/models/iris%00/predict", "unknown-model", "iris"),
        ("/models/" + "x" * 4000 + "/predict", "unknown-model", "iris"),
    ],
)
def test_unknown_model(http: httpx.Client, path: str, code: str, names: str) -> None:
    """An unknown model or version is a 404 with the names that are known."""
    problem = check_problem(post(http, {"inputs": [ROW]}, path), 404, code)

    assert names in problem["detail"]
    assert len(problem["detail"]) < 1000


@pytest.mark.parametrize("path", ["/nothing", "/models/iris/", "/predict/", "/x//predict", "/models//predict", "/v2/health/live/x"])
def test_unknown_path(http: httpx.Client, path: str) -> None:
    """An unknown path is a 404 in the same shape; a slash too many is pointed out."""
    problem = check_problem(http.get(path), 404, "unknown-path")

    if path == "/models/iris/":
        assert "/models/iris?" in problem["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/predict", "POST"),
        ("POST", "/models", "GET, HEAD"),
        ("DELETE", "/models/iris", "GET, HEAD"),
        ("PUT", "/docs", "GET, HEAD"),
        ("OPTIONS", "/predict", "POST"),
    ],
)
def test_wrong_method(http: httpx.Client, method: str, path: str, allow: str) -> None:
    """A wrong method is a 405 that says which are right."""
    answer = http.request(method, path)

    check_problem(answer, 405, "method-not-allowed")
    assert allow == answer.headers["allow"]


@pytest.mark.parametrize(
    ("body", "code", "pointer", "says"),
    [
        ([], "invalid-request", "", "JSON object"),
        ({}, "invalid-request", "", "exactly one of"),
        ({"inputs": [ROW], "instances": [ROW]}, "invalid-request", "", "exactly one of"),
        ({"inputs": [ROW], "signature_name": "x"}, "invalid-request", "/signature_name", "unknown key"),
        ({"inputs": {}}, "missing-input", "/inputs", "missing required input(s) X"),
        ({"inputs": {"X": [ROW], "Y": 1}}, "unknown-input", "/inputs/Y", "'X' FP32 [?, 4]"),
        ({"inputs": {"X": [[1, 2, 3]]}}, "wrong-shape", "/inputs/X", "dimension 1 must be 4, not 3"),
        ({"inputs": {"X": [1, 2, 3, 4]}}, "wrong-shape", "/inputs/X", "rank 1"),
        ({"inputs": {"X": [[1, 2, 3, 4], [1, 2]]}}, "wrong-shape", "/inputs/X/1", "ragged"),
        ({"inputs": {"X": [[1, 2, 3, 4], 5]}}, "wrong-shape", "/inputs/X/1", "ragged"),
        ({"inputs": {"X": [5, [1, 2, 3, 4]]}}, "wrong-shape", "/inputs/X/1", "ragged"),
        ({"inputs": {"X": [[1, 2, 3, "4"]]}}, "wrong-datatype", "/inputs/X/0/3", "is a string"),
        ({"inputs": {"X": [[1, 2, 3, None]]}}, "wrong-datatype", "/inputs/X/0/3", "is null"),
        ({"inputs": {"X": [[1, 2, True, 4]]}}, "wrong-datatype", "/inputs/X/0/2", "is a boolean"),
        ({"inputs": {"X": [[1, 2, {}, 4]]}}, "wrong-datatype", "/inputs/X/0/2", "is an object"),
        ({"inputs": {"X": [[1, 2, 1e39, 4]]}}, "out-of-range", "/inputs/X/0/2", "1e+39"),
        ({"inputs": {"X": [[1, 2, float("nan"), 4]]}}, "not-finite", "/inputs/X/0/2", "NaN"),
        ({"inputs": {"X": [[1, 2, float("-inf"), 4]]}}, "not-finite", "/inputs/X/0/2", "-Infinity"),
        ({"inputs": {"X": [[1, 2, "NaN", 4]]}}, "not-finite", "/inputs/X/0/2", "NaN"),
        ({"instances": []}, "wrong-shape", "/instances", "at least one row"),
        ({"instances": 5}, "invalid-request", "/instances", "array of rows"),
        ({"instances": [{"sepal_length": 1}]}, "missing-input", "/instances/0", "sepal_width"),
        ({"instances": [{"X": ROW, "Z": 1}]}, "unknown-input", "/instances/0/Z", "expected X"),
        ({"instances": [{"X": ROW}, ROW]}, "invalid-request", "/instances/1", "rows of one kind"),
        (
            {"instances": [{"sepal_length": "a", "sepal_width": 1, "petal_length": 1, "petal_width": 1}]},
            "wrong-datatype",
            "/instances/0/sepal_length",
            "string",
        ),
        ({"inputs": [ROW], "outputs": ["nope"]}, "unknown-output", "/outputs/0", "output_label"),
        ({"inputs": [ROW], "outputs": []}, "invalid-request", "/outputs", "array of output names"),
        ({"instances": [ROW], "outputs": ["output_probability_labels"]}, "invalid-request", "/outputs", "does not vary by row"),
        ({"inputs": [ROW], "outputs": ["output_label", "output_label"]}, "invalid-request", "/outputs/1", "already exists"),
        ({"inputs": [ROW], "parameters": {"top_k": 0}}, "invalid-request", "/parameters/top_k", "whole number"),
        ({"inputs": [ROW], "parameters": {"top_k": True}}, "invalid-request", "/parameters/top_k", "whole number"),
        ({"inputs": [ROW], "parameters": {"k": 1}}, "invalid-request", "/parameters/k", "known are top_k"),
        ({"inputs": [ROW], "outputs": ["output_label"], "parameters": {"top_k": 1}}, "invalid-request", "/parameters/top_k", "scores"),
        ({"inputs": [ROW], "id": 7}, "invalid-request", "/id", "string"),
    ],
)
def test_invalid(http: httpx.Client, body: object, code: str, pointer: str, says: str) -> None:
    """What does not fit the model is a 422 that points at the place and says what was expected."""
    problem = check_problem(post(http, body), 422, code)

    assert pointer == problem["pointer"]
    assert says in problem["detail"]


@pytest.mark.parametrize("body", ['{"inputs": [1], "inputs": [2]}', '{"inputs": {"X": [[1,2,3,4]], "X": [[1,2,3,4]]}}'])
def test_duplicate_keys(http: httpx.Client, body: str) -> None:
    """An object that has a key twice is refused: which one is meant cannot be known."""
    assert "twice" in check_problem(post(http, body), 422, "invalid-request")["detail"]


@pytest.mark.parametrize(
    ("model", "value", "code"),
    [
        ("int8", 128, "out-of-range"),
        ("int8", -129, "out-of-range"),
        ("uint8", -1, "out-of-range"),
        ("int32", 2**31, "out-of-range"),
        ("int64", 2**63, "out-of-range"),
        ("uint64", 2**64, "out-of-range"),
        ("uint64", -1, "out-of-range"),
        ("int64", 1.5, "out-of-range"),
        ("int64", 1e18, "out-of-range"),
        pytest.param("int64", 10**400, "out-of-range", id="int64-huge"),
        ("int64", True, "wrong-datatype"),
        ("bool", 1, "wrong-datatype"),
        ("float16", 65520, "out-of-range"),
        ("bfloat16", 3.4e38, "out-of-range"),
        pytest.param("double", 10**400, "out-of-range", id="double-huge"),
        ("float", "1.5", "wrong-datatype"),
    ],
)
def test_strict_numbers(http: httpx.Client, model: str, value: object, code: str) -> None:
    """A number that the datatype cannot hold exactly as meant is refused with its position, never wrapped or cut."""
    problem = check_problem(
        post(http, {"inputs": [0 if model != "bool" else False, value]}, f"/models/identity-{model}/predict"), 422, code
    )

    assert "[1]" in problem["detail"]
    assert "/inputs/1" == problem["pointer"]


def test_symbolic_dimension_is_bound_once(http: httpx.Client) -> None:
    """Two inputs that share a symbolic dimension must agree on it; the message names both."""
    body = {"inputs": {"input_ids": [[1] * 13], "attention_mask": [[1] * 12]}}
    detail = check_problem(post(http, body, "/models/two-inputs/predict"), 422, "wrong-shape")["detail"]

    for word in ("'attention_mask'", "'seq'", "'input_ids'", "13", "12"):
        assert word in detail


def test_run_that_the_input_made_fail(http: httpx.Client) -> None:
    """Values that are impossible for the graph are a 422, and the next request is answered."""
    check_problem(post(http, {"inputs": [11]}, "/models/pick/predict"), 422, "input-refused-by-model")
    assert [3.0] == post(http, {"inputs": [3]}, "/models/pick/predict").json()["outputs"]["row"]


def test_run_that_failed(http: httpx.Client) -> None:
    """A run that fails for another reason is a 500 that tells nothing of the library, and the next request is answered."""
    check_problem(post(http, {"inputs": {"parts": [1.0, 2.0]}}, "/models/sequence-input/predict"), 500, "run-failed")
    assert [1.0] == post(http, {"inputs": {"parts": [[1.0]]}}, "/models/sequence-input/predict").json()["outputs"]["y"]


def test_output_that_is_not_finite(http: httpx.Client) -> None:
    """NaN and infinity come out as null by default, as strings or as an error if model.toml says so; never as bad JSON."""
    assert [None, None, 0.0] == post(http, {"inputs": [-1, 0, 1]}, "/models/logarithm/predict").json()["outputs"]["y"]
    body = '{"inputs": [NaN, "Infinity", -Infinity, null, 1.5]}'
    allowed = post(http, body, "/models/nan-allowed/predict").json()["outputs"]["y"]
    assert ["NaN", "Infinity", "-Infinity", "NaN", 1.5] == allowed
    assert "'y'" in check_problem(post(http, {"inputs": [-1]}, "/models/nan-error/predict"), 422, "output-not-finite")["detail"]


def test_next_request_is_right_after_every_error(http: httpx.Client) -> None:
    """After an error the next good request gets the right numbers."""
    post(http, b"{")
    answer = post(http, {"inputs": [ROW]}).json()

    assert [0] == answer["outputs"]["output_label"]
