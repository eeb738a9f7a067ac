"""Content types on /predict and /invocations, through every shell: tables, arrays, lines and pictures in, tables, arrays and lines out."""

import io
import json
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from app.codecs import writer_of
from tests.problems import check_problem
from training import digits, iris

ROWS = iris.samples()[::50]
FEATURES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
NPY, NPZ, LINES, CSV = "application/x-npy", "application/x-npz", "application/jsonl", "text/csv"
ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"
EVERY_INPUT = ["application/json", CSV, NPY, NPZ, LINES, "application/x-ndjson", "image/png", "image/jpeg", ARROW, PARQUET]
EVERY_OUTPUT = ["application/json", f"{CSV};header=present", f"{CSV};header=absent", NPY, NPZ, LINES, "application/jsonlines"]


def post(http: httpx.Client, path: str, body: bytes, content_type: str, accept: str | None = None) -> httpx.Response:
    """A request; no Accept at all where none is given."""
    request = http.build_request("POST", path, content=body, headers={"Content-Type": content_type})
    del request.headers["Accept"]
    if accept is not None:
        request.headers["Accept"] = accept
    return http.send(request)


def written(save: Any, *args: Any, **more: Any) -> bytes:
    """What a function writes into a file."""
    body = io.BytesIO()
    save(body, *args, **more)
    return body.getvalue()


def stream(table: pa.Table) -> bytes:
    """The table as an Arrow IPC stream."""
    body = io.BytesIO()
    with pa.ipc.new_stream(body, table.schema) as writer:
        writer.write_table(table)
    return body.getvalue()


def table() -> pa.Table:
    """The rows as a table, its columns in another order than the model's."""
    return pa.table({name: ROWS[:, FEATURES.index(name)] for name in reversed(FEATURES)})


def csv(rows: np.ndarray = ROWS, names: list[str] | None = None) -> bytes:
    """The rows as CSV."""
    lines = [",".join(names)] if names else []
    return "\n".join([*lines, *(",".join(map(str, row)) for row in rows.tolist())]).encode()


BODIES = {
    "CSV": (csv(), CSV),
    "CSV with names": (csv(ROWS[:, ::-1], FEATURES[::-1]), "text/csv; charset=utf-8; header=present"),
    "NPY": (written(np.save, ROWS.astype(np.float64)), NPY),
    "NPZ": (written(np.savez_compressed, X=ROWS), NPZ),
    "JSON Lines": ("\n".join(json.dumps(row) for row in ROWS.tolist()).encode(), LINES),
    "JSON Lines by name": (
        "".join(json.dumps(dict(zip(FEATURES, row, strict=True))) + "\n" for row in ROWS.tolist()).encode(),
        "application/x-ndjson",
    ),
    "Arrow": (stream(table()), ARROW),
    "Parquet": (written(lambda body: pq.write_table(table(), body)), PARQUET),
}


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    """Scikit-learn's own probabilities."""
    return iris.estimator().predict_proba(ROWS)


def probabilities(answer: httpx.Response) -> np.ndarray:
    """The probabilities in a JSON answer, of either form."""
    assert 200 == answer.status_code, answer.text
    body = answer.json()
    if "outputs" in body:
        return np.array(body["outputs"]["output_probability"])
    return np.array([row["output_probability"] for row in body["predictions"]])


@pytest.mark.parametrize("path", ["/predict", "/invocations"])
@pytest.mark.parametrize("name", BODIES)
def test_every_format_is_read(http: httpx.Client, expected: np.ndarray, path: str, name: str) -> None:
    """The same rows in every format are answered in JSON with scikit-learn's own probabilities."""
    body, content_type = BODIES[name]
    answer = post(http, path, body, content_type)

    assert "application/json" == answer.headers["content-type"]
    np.testing.assert_allclose(probabilities(answer), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("path", ["/predict", "/invocations"])
def test_csv_comes_out(http: httpx.Client, expected: np.ndarray, path: str) -> None:
    """/predict answers CSV with names, which labels name; /invocations without, as SageMaker's clients read it; Accept overrules both."""
    header = "output_label,output_probability[setosa],output_probability[versicolor],output_probability[virginica]"
    bare = {}
    for accept in (CSV, "text/csv; header=present", 'text/csv;header="absent"'):
        answer = post(http, path, csv(), CSV, accept)
        assert 200 == answer.status_code, answer.text
        lines = answer.text.splitlines()
        named = "present" in accept or (accept == CSV and path == "/predict")
        assert f"text/csv; charset=utf-8; header={'present' if named else 'absent'}" == answer.headers["content-type"]
        assert [header] * named == lines[: len(lines) - 3]
        bare[accept] = lines[-3:]

    assert 1 == len(set(map(tuple, bare.values())))
    found = np.array([line.split(",") for line in bare[CSV]], float)
    assert [0, 1, 2] == found[:, 0].tolist()
    np.testing.assert_allclose(found[:, 1:], expected, rtol=0, atol=1e-5)


def test_arrays_come_out(http: httpx.Client, expected: np.ndarray) -> None:
    """NPY is the one output that was chosen, NPZ are all; NumPy reads both without pickle."""
    answer = post(http, "/predict?outputs=output_probability", *BODIES["NPY"], NPY)
    assert (200, NPY) == (answer.status_code, answer.headers["content-type"])
    found = np.load(io.BytesIO(answer.content), allow_pickle=False)
    assert np.float32 == found.dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)

    answer = post(http, "/invocations", *BODIES["NPY"], NPZ)
    assert (200, NPZ) == (answer.status_code, answer.headers["content-type"])
    archive = np.load(io.BytesIO(answer.content), allow_pickle=False)
    assert {"output_label", "output_probability", "output_probability_labels"} == set(archive)
    assert found.tobytes() == archive["output_probability"].tobytes()


def test_arrays_are_not_compressed_unasked(http: httpx.Client) -> None:
    """Floats hardly shrink: arrays are compressed only for callers who name one coding, tables and lines for whoever takes one."""
    body = written(np.save, np.random.default_rng(0).normal(size=2000))
    codings = {}
    for accept in (NPY, CSV, LINES):
        answer = http.post(
            "/models/identity-float/predict",
            content=body,
            headers={"Content-Type": NPY, "Accept": accept, "Accept-Encoding": "gzip, deflate"},
        )
        assert 200 == answer.status_code, answer.text
        codings[accept] = answer.headers.get("content-encoding")

    assert {NPY: None, CSV: "gzip", LINES: "gzip"} == codings


@pytest.mark.parametrize("media_type", [LINES, "application/jsonlines", "application/x-jsonlines", "application/x-ndjson"])
def test_lines_come_out(http: httpx.Client, expected: np.ndarray, media_type: str) -> None:
    """JSON Lines are a prediction a line, under the name that was asked for."""
    answer = post(http, "/predict", *BODIES["JSON Lines"], media_type)

    assert (200, media_type) == (answer.status_code, answer.headers["content-type"])
    found = [json.loads(line) for line in answer.text.splitlines()]
    np.testing.assert_allclose([row["output_probability"] for row in found], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("text/*", "text/csv; charset=utf-8; header=present"),
        ("text/html, application/xml;q=0.9, */*;q=0.8", "application/json"),
        ("text/csv;q=0.5, application/jsonl;q=0.9", LINES),
        ("application/json;q=0.1, text/csv", "text/csv; charset=utf-8; header=present"),
        ("application/json;q=0, */*;q=0.1", "text/csv; charset=utf-8; header=present"),
        ("text/csv;header=present;q=0.1, text/csv;header=absent;q=0.2", "text/csv; charset=utf-8; header=absent"),
    ],
)
def test_accept_chooses(http: httpx.Client, accept: str | None, content_type: str) -> None:
    """The answer that is liked best is given; JSON to whoever takes anything."""
    answer = post(http, "/predict", csv(), CSV, accept)

    assert (200, content_type) == (answer.status_code, answer.headers["content-type"])


@pytest.mark.parametrize("path", ["/predict", "/invocations"])
def test_what_is_accepted_is_named(http: httpx.Client, path: str) -> None:
    """An unknown content type is answered 415, an unknown Accept 406, each with everything that there is."""
    problem = check_problem(post(http, path, b"<a/>", "application/xml"), 415, "unsupported-content-type")
    assert [] == [name for name in EVERY_INPUT if name not in problem["detail"]]

    problem = check_problem(post(http, path, csv(), CSV, "application/xml"), 406, "not-acceptable")
    assert [] == [name for name in EVERY_OUTPUT if name not in problem["detail"]]


def test_formats_that_cannot_hold_the_answer(http: httpx.Client) -> None:
    """A table or an array that cannot hold the answer is answered 406, with how to choose."""
    problem = check_problem(post(http, "/predict", csv(), CSV, NPY), 406, "not-acceptable")
    assert "?outputs=output_probability" in problem["detail"]
    body = json.dumps({"inputs": [1, 2, 3]}).encode()
    check_problem(post(http, "/models/sequence-output/predict", body, "application/json", CSV), 406, "not-acceptable")
    ranked = json.dumps({"inputs": ROWS.tolist(), "parameters": {"top_k": 1}, "outputs": ["output_probability"]}).encode()
    check_problem(post(http, "/predict", ranked, "application/json", CSV), 406, "not-acceptable")


def test_outputs_are_chosen_in_the_query(http: httpx.Client) -> None:
    """?outputs= chooses for formats whose bodies cannot say it; an unknown one is refused."""
    answer = post(http, "/predict?outputs=output_label", csv(), CSV, "text/csv;header=absent")
    assert "0\n1\n2\n" == answer.text
    check_problem(post(http, "/predict?outputs=nothing", csv(), CSV), 422, "unknown-output")


def test_a_bad_cell_is_named(http: httpx.Client) -> None:
    """A bad cell is named by its line, row and column over HTTP too; other formats by their own places."""
    problem = check_problem(post(http, "/predict", csv(ROWS, FEATURES) + b"\n1,2,x,4", CSV), 422, "wrong-datatype")
    assert "line 5 (row 4), column 3 'petal_length' is no number" in problem["detail"]
    problem = check_problem(post(http, "/predict", b"[1,2,3,4]\n[1,2,null,4]", LINES), 422, "wrong-datatype")
    assert "line 2: input 'X' at [1][2] is null" in problem["detail"]
    problem = check_problem(
        post(http, "/predict", stream(table().slice(0, 1).set_column(0, "petal_width", pa.array([None], pa.float32()))), ARROW),
        422,
        "not-finite",
    )
    assert "row 1 of column 'petal_width' is null" in problem["detail"]


@pytest.mark.parametrize("content_type", [CSV, NPY, NPZ, LINES, "image/png", "image/jpeg", ARROW, PARQUET])
@pytest.mark.parametrize("body", [b"", b"\x00\xff\xfe", b"PK\x03\x04"])
def test_bodies_that_are_something_else(http: httpx.Client, content_type: str, body: bytes) -> None:
    """A body that is not of its content type is the caller's mistake, in the one error shape."""
    answer = post(http, "/models/digits/predict", body, content_type)

    assert answer.status_code in {400, 422}
    check_problem(answer, answer.status_code, answer.json()["code"])


def drawing(image: np.ndarray, size: int = 160) -> Image.Image:
    """A digit of the data set as it would be on paper: dark ink on white, enlarged."""
    return Image.fromarray((255 - image * 255 / 16).round().astype(np.uint8)).resize((size, size), Image.Resampling.NEAREST)


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("JPEG", {"quality": 90})])
def test_pictures_of_digits_are_recognised(fast: httpx.Client, kind: str, options: dict[str, Any]) -> None:
    """Every tenth digit of the data set, enlarged to a picture, is what scikit-learn says it is; a PNG to the same probabilities."""
    samples = digits.samples()[::10]
    estimator = digits.estimator()
    answers = [
        post(fast, "/models/digits/predict", written(drawing(image).save, kind, **options), f"image/{kind.lower()}").json()
        for image in samples
    ]

    assert estimator.predict(samples).tolist() == [answer["outputs"]["label"][0] for answer in answers]
    if kind == "PNG":
        found = [answer["outputs"]["probabilities"][0] for answer in answers]
        np.testing.assert_allclose(found, estimator.predict_proba(samples), rtol=0, atol=0.02)


@pytest.mark.parametrize("path", ["/models/digits/predict", "/models/digits/versions/1/predict"])
def test_a_picture_through_every_shell(http: httpx.Client, path: str) -> None:
    """A picture reaches the model unharmed through every shell, and its answer comes in the format that was asked for."""
    sample = digits.samples()[3]
    answer = post(http, f"{path}?outputs=label", written(drawing(sample, 97).save, "PNG"), "image/png", "text/csv;header=absent")

    assert f"{digits.labels()[3]}\n" == answer.text


def test_a_picture_to_a_model_without_pictures(http: httpx.Client) -> None:
    """A model whose model.toml has no [image] says that it lacks one."""
    problem = check_problem(
        post(http, "/predict", written(drawing(digits.samples()[0]).save, "PNG"), "image/png"), 415, "unsupported-content-type"
    )

    assert "[image]" in problem["detail"]


def test_every_offer_is_a_writer() -> None:
    """Whatever a 406 offers is given when it is asked for by that name."""
    for dialect in ("predict", "sagemaker"):
        for offer in EVERY_OUTPUT:
            writer, media_type = writer_of(dialect, offer)
            assert offer == media_type
            assert callable(writer.encode)
