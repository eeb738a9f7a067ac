"""Whole files predicted: the answer of the file at once, bad rows by their place, once for the same bytes."""

import io
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.batches.files import FilePredictor, predict_file
from app.batches.manifest import Manifest
from app.batches.tally import Progress
from app.errors import (
    DeadlineExceeded,
    Invalid,
    MissingInput,
    NotAcceptable,
    Problem,
    StoreUnavailable,
    UnknownInput,
    UnknownModel,
    Unreadable,
    UnsupportedContentType,
    WrongDatatype,
    WrongShape,
)
from app.prediction import PredictionRequest, PredictionResponse
from app.report import Report
from tests.batches.memory import MemoryPlace, MemorySource

NAMES = b"sepal_length,sepal_width,petal_length,petal_width\n"


def iris(rows: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.round(np.random.default_rng(seed).uniform(0.1, 7.9, (rows, 4)), 1).astype(np.float32)


def npy(array: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def csv_of(array: np.ndarray[Any, Any], head: bytes = b"") -> bytes:
    return head + b"".join(b",".join(str(value).encode() for value in row) + b"\n" for row in array.tolist())


def table(array: np.ndarray[Any, Any], kind: str, batch: int = 7) -> bytes:
    columns = NAMES.decode().strip().split(",")
    made = pa.table({name: array[:, i] for i, name in enumerate(columns)})
    file = io.BytesIO()
    if kind == "parquet":
        pq.write_table(made, file, row_group_size=batch)
    else:
        with pa.ipc.new_stream(file, made.schema) as writer:
            writer.write_table(made, batch)
    return file.getvalue()


def read_table(data: bytes, kind: str) -> Any:
    return pq.read_table(pa.BufferReader(data)) if kind == "parquet" else pa.ipc.open_stream(data).read_all()


def predict(predictor: Any, name: str, content: bytes, place: MemoryPlace | None = None, **wanted: Any) -> tuple[Manifest, MemoryPlace]:
    place = place or MemoryPlace()
    asked = PredictionRequest(b"", **{key: wanted.pop(key) for key in ("model", "accept", "outputs", "content_type") if key in wanted})
    asked = asked._replace(model=asked.model or "flowers")
    return predict_file(MemorySource(name, content), place, asked, predictor, **{"deadline": None, **wanted}), place


def errors_of(place: MemoryPlace) -> list[tuple[int, int, str]]:
    """Line, row and code of each failed row."""
    found = [json.loads(line) for line in (place.named("errors.jsonl") or b"").splitlines()]
    return [(error["line"], error["row"], error["code"]) for error in found]


FILES: dict[str, Callable[[np.ndarray[Any, Any]], bytes]] = {
    "t.csv": csv_of,
    "names.csv": lambda array: csv_of(array, NAMES),
    "t.jsonl": lambda array: b"".join(orjson.dumps(row) + b"\n" for row in array.tolist()),
    "t.npz": lambda array: npz(x=array),
}
TYPES = {"t.csv": "text/csv", "names.csv": "text/csv", "t.jsonl": "application/jsonl", "t.npz": "application/x-npz"}
ACCEPTS = {"t.csv": "text/csv;header=absent", "names.csv": "text/csv;header=present"}


@pytest.mark.parametrize("name", FILES)
@settings(deadline=None, max_examples=25)
@given(rows=st.integers(1, 200), size=st.sampled_from((1, 50, 333, 1000, 10**6)), threads=st.sampled_from((1, 3)))
def test_the_answer_of_a_file_is_that_of_one_request(predictor: FilePredictor, name: str, rows: int, size: int, threads: int) -> None:
    """A file in chunks of any size is answered as one request is that has all of it."""
    content = FILES[name](iris(rows))
    made, place = predict(predictor, name, content, chunk_bytes=size, threads=threads)
    accept = ACCEPTS.get(name, TYPES[name])
    whole = predictor.answer(PredictionRequest(content, "flowers", content_type=TYPES[name], accept=accept)).body
    found = place.named("predictions")

    assert (rows, 0) == (made.rows, made.failures)
    assert found is not None
    if name.endswith(".npz"):
        expected, got = np.load(io.BytesIO(whole)), np.load(io.BytesIO(found))
        assert {key: expected[key].tolist() for key in expected} == {key: got[key].tolist() for key in got}
    else:
        assert whole == found


@settings(deadline=None, max_examples=25)
@given(rows=st.integers(1, 60), size=st.sampled_from((1, 50, 10**6)), fortran=st.booleans())
def test_arrays_come_back_as_arrays(predictor: FilePredictor, rows: int, size: int, fortran: bool) -> None:
    """An array is answered with an array where the model answers one, and with an archive where it answers several."""
    array = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
    _, place = predict(predictor, "a.npy", npy(np.asfortranarray(array) if fortran else array), chunk_bytes=size, model="echo")
    _, several = predict(predictor, "a.npy", npy(iris(rows)), chunk_bytes=size, model="iris")

    assert array.tolist() == np.load(io.BytesIO(place.named("predictions.npy") or b"")).tolist()
    assert {"output_label", "output_probability"} <= set(np.load(io.BytesIO(several.named("predictions.npz") or b"")))


@pytest.mark.parametrize("kind", ["arrow", "parquet"])
@settings(deadline=None, max_examples=15)
@given(rows=st.integers(1, 60), size=st.sampled_from((1, 100, 10**6)))
def test_tables_come_back_as_tables(predictor: FilePredictor, kind: str, rows: int, size: int) -> None:
    """Arrow and Parquet are answered with tables: a column for each output, of lists for those of several values."""
    array = iris(rows)
    _, place = predict(predictor, f"t.{kind}", table(array, kind), chunk_bytes=size)
    _, labels = predict(predictor, f"t.{kind}", table(array, kind), chunk_bytes=size, model="iris")
    found = read_table(labels.named(f"predictions.{kind}") or b"", kind)

    assert array.tolist() == read_table(place.named(f"predictions.{kind}") or b"", kind)["y"].to_pylist()
    assert ["output_label", "output_probability"] == found.column_names
    assert [np.argmax(scores) for scores in found["output_probability"].to_pylist()] == found["output_label"].to_pylist()


@settings(deadline=None, max_examples=100)
@given(data=st.data(), size=st.sampled_from((1, 60, 500, 10**6)), threads=st.sampled_from((1, 3)), named=st.booleans())
def test_bad_rows_of_csv(predictor: FilePredictor, data: st.DataObject, size: int, threads: int, named: bool) -> None:
    """Bad rows at any places are exactly those named, by the lines in which they begin; the others are answered as ever."""
    rows = data.draw(st.integers(2, 60))
    array = iris(rows)
    lines, expected, line, content = csv_of(array).splitlines(keepends=True), [], 1 + named, NAMES if named else b""
    for row in range(rows):
        kind = data.draw(st.sampled_from(("good", "good", "good", "word", "short", "lines", "quote")))
        if kind == "good" or (row < 2 and not named and kind in {"short", "lines"}):
            content, line = content + lines[row], line + 1
            continue
        bad = {"word": b"1,x,2,3\n", "short": b"1,2,3\n", "lines": b'"1\r\n\n",2,3,"\n"\n', "quote": b'1,"2"3,4,5\n'}[kind]
        code = {"word": "wrong-datatype", "short": "wrong-shape", "lines": "wrong-datatype", "quote": "unreadable-request"}[kind]
        expected.append((line, row + 1, code))
        content, line = content + bad, line + bad.count(b"\n")
    made, place = predict(predictor, "t.csv", content, chunk_bytes=size, threads=threads)
    good = [row for row in range(rows) if row + 1 not in {row for _, row, _ in expected}]
    found = (place.named("predictions") or b"").splitlines()[named:]

    assert expected == errors_of(place)
    assert (rows, len(expected)) == (made.rows, made.failures)
    if good:
        whole = predictor.answer(
            PredictionRequest(csv_of(array[good]), "flowers", content_type="text/csv", accept="text/csv;header=absent")
        ).body
        assert rows == len(found)
        assert whole.splitlines() == [found[row] for row in good]
        assert {b",,,"} >= {found[row] for row in range(rows) if row not in good}


def test_messages_name_the_place_in_the_file(predictor: FilePredictor) -> None:
    """What is wrong with a row is told with its line, row and column in the file, not with those in a chunk."""
    content = NAMES + csv_of(iris(50)) + b"1,2,oh,4\n" + csv_of(iris(50))
    _, place = predict(predictor, "t.csv", content, chunk_bytes=100)
    _, lines = predict(predictor, "t.jsonl", b"[1,2,3,4]\n\n[1,2,3,4]\n[1,null,3,4]\n", chunk_bytes=1)

    assert b"line 52 (row 51), column 3 'petal_length' is no number" in (place.named("errors.jsonl") or b"")
    assert {"line": 4, "row": 3} == {key: json.loads(lines.named("errors.jsonl") or b"")[key] for key in ("line", "row")}
    assert json.loads(lines.named("errors.jsonl") or b"")["error"].startswith("line 4: ")


@settings(deadline=None, max_examples=40)
@given(bad=st.sets(st.integers(0, 29)), size=st.sampled_from((1, 100, 10**6)))
def test_bad_rows_of_arrays_and_tables(predictor: FilePredictor, bad: set[int], size: int) -> None:
    """A row that is refused is NaN in an array, beside which it is said, and null in JSON Lines: every other row stays where it was."""
    array = np.arange(90, dtype=np.float32).reshape(30, 3)
    array[sorted(bad), 1] = np.nan
    content = {
        "a.npy": npy(array),
        "a.npz": npz(x=array),
        "a.jsonl": b"".join(orjson.dumps(row) + b"\n" for row in array.tolist()),
    }
    named = [(row + 1, row + 1) for row in sorted(bad)]
    for name, body in content.items():
        made, place = predict(predictor, name, body, chunk_bytes=size, model="echo")
        found = place.named("predictions")
        assert named == [(line, row) for line, row, _ in errors_of(place)]
        assert len(bad) == made.failures
        assert found is not None
        if name.endswith(".jsonl"):
            assert [None if row in bad else array[row].tolist() for row in range(30)] == [json.loads(line) for line in found.splitlines()]
        else:
            got = np.load(io.BytesIO(found))
            failed = got["failed"].tolist() if bad else [False] * 30
            assert [row in bad for row in range(30)] == failed
            got = got if name.endswith(".npy") and not bad else got["y"]
            assert [row in bad for row in range(30)] == np.isnan(got).all(axis=1).tolist()
            assert array[~np.isnan(array).any(axis=1)].tolist() == got[~np.isnan(got).any(axis=1)].tolist()


@pytest.mark.parametrize("kind", ["arrow", "parquet"])
def test_bad_rows_of_tables(predictor: FilePredictor, kind: str) -> None:
    """A null among the values of a table fails its row, which is null among the predictions."""
    columns = {f"x[{i}]": pa.array([None if i == 1 and row in {0, 9} else float(row) for row in range(12)]) for i in range(3)}
    file = io.BytesIO()
    made = pa.table(columns)
    if kind == "parquet":
        pq.write_table(made, file)
    else:
        with pa.ipc.new_stream(file, made.schema) as writer:
            writer.write_table(made)
    _, place = predict(predictor, f"t.{kind}", file.getvalue(), model="echo", chunk_bytes=64)
    found = read_table(place.named("predictions") or b"", kind)["y"].to_pylist()

    assert [(1, 1, "not-finite"), (10, 10, "not-finite")] == errors_of(place)
    assert [None if row in {0, 9} else [float(row)] * 3 for row in range(12)] == found
    assert b"row 10 of column" in (place.named("errors.jsonl") or b"")


ALL_BAD: dict[str, tuple[str, bytes, str]] = {
    "csv": ("iris", b"1,2,x,4\n" * 3, ",,,"),
    "names.csv": ("iris", NAMES + b"1,2,x,4\n" * 3, ",,,"),
    "three.csv": ("echo", b"1,x,3\n" * 3, ",,"),
    "jsonl": ("free", b'{"a": 1}\n' * 3, "null"),
}


@pytest.mark.parametrize("case", ALL_BAD)
def test_a_file_of_bad_rows_alone_has_its_rows(predictor: FilePredictor, case: str) -> None:
    """Where every row fails, predictions have a row for each all the same, as wide as the model's answers are."""
    model, content, blank = ALL_BAD[case]
    made, place = predict(predictor, case if "." in case else f"t.{case}", content, model=model)
    found = (place.named("predictions") or b"").decode().splitlines()
    names = (
        ["output_label," + ",".join(f"output_probability[{label}]" for label in ("setosa", "versicolor", "virginica"))]
        if case == "names.csv"
        else []
    )

    assert (3, 3, [*names, *[blank] * 3]) == (made.rows, made.failures, found)
    assert made.predictions_bytes == len(place.files[made.predictions or ""])


def test_tables_of_bad_rows_alone(predictor: FilePredictor) -> None:
    """Arrays and tables of failed rows alone have the rows as well: zeros that are marked as failed, and nulls."""
    content = b"1,2,x,4\n" * 3
    _, arrays = predict(predictor, "t.csv", content, model="iris", accept="application/x-npz")
    _, tables = predict(predictor, "t.csv", content, model="iris", accept="application/vnd.apache.parquet")
    found = np.load(io.BytesIO(arrays.named("predictions.npz") or b""))

    assert ([0, 0, 0], [True] * 3, (3, 3)) == (found["output_label"].tolist(), found["failed"].tolist(), found["output_probability"].shape)
    assert [None] * 3 == read_table(tables.named("predictions") or b"", "parquet")["output_label"].to_pylist()


def test_rows_of_any_width_that_all_fail(predictor: FilePredictor) -> None:
    """Where the width of an answer follows that of the rows, a table of bad rows alone has no predictions."""
    made, place = predict(predictor, "t.csv", b"1,x\n2,y\n", model="free")

    assert (2, None) == (made.failures, made.predictions)
    assert [f"{made.folder}/errors.jsonl", f"{made.folder}/manifest.json"] == place.committed


def test_zeros_are_told_from_failures(predictor: FilePredictor) -> None:
    """An array of whole numbers in which rows failed comes as an archive that says which; one without failures comes alone."""
    good = np.array([[1.0, 2, 3, 4]] * 4, np.float32)
    bad = good.copy()
    bad[2, 0] = np.inf
    wanted: dict[str, Any] = {"model": "strict", "accept": "application/x-npy", "outputs": ("output_label",)}
    _, alone = predict(predictor, "t.npy", npy(good), **wanted)
    made, both = predict(predictor, "t.npy", npy(bad), **wanted)
    found = np.load(io.BytesIO(both.named("predictions.npz") or b""))

    assert (4,) == np.load(io.BytesIO(alone.named("predictions.npy") or b"")).shape
    assert ({"output_label", "failed"}, "application/x-npz") == (set(found), made.content_type)
    assert [False, False, True, False] == found["failed"].tolist()


def test_failed_rows_can_be_left_out(predictor: FilePredictor) -> None:
    """Without failed rows the predictions are those of the good rows alone, in a folder of their own."""
    content = csv_of(iris(3)) + b"1,x,1,1\n" + csv_of(iris(3, 1))
    kept, place = predict(predictor, "t.csv", content)
    made, _ = predict(predictor, "t.csv", content, place, keep_failed=False)

    assert [7, 6] == [len(place.files[each.predictions or ""].splitlines()) for each in (kept, made)]
    assert kept.folder != made.folder


class Counting:
    """Counts the requests, and their rows."""

    def __init__(self, predictor: FilePredictor) -> None:
        self._predictor = predictor
        self.requests = 0
        self.rows = 0
        self.loaded = predictor.loaded

    def answer(self, request: PredictionRequest, report: Report | None = None) -> PredictionResponse:
        self.requests += 1
        self.rows += request.body.count(b"\n")
        return self._predictor.answer(request, report)


def test_one_bad_row_costs_few_runs(predictor: FilePredictor) -> None:
    """One bad row of a chunk of thousands is found in as many runs as the chunk can be halved, not in one for each row."""
    counting = Counting(predictor)
    predict(counting, "t.csv", csv_of(iris(3000)) + b"1,x,1,1\n" + csv_of(iris(1095)), chunk_bytes=10**6)

    assert counting.requests <= 2 * 12 + 1
    assert counting.rows <= 3 * 4096


def test_the_same_file_is_predicted_once(predictor: FilePredictor) -> None:
    """Asked again, nothing is run and nothing written: the manifest of the first time is answered."""
    counting, content = Counting(predictor), csv_of(iris(10))
    first, place = predict(counting, "in/t.csv", content)
    files, runs = dict(place.files), counting.requests
    second, _ = predict(counting, "in/t.csv", content, place)

    assert (runs, files) == (counting.requests, place.files)
    assert first._replace(found=True) == second._replace(timings=first.timings)
    assert [f"{first.folder}/predictions.csv", f"{first.folder}/manifest.json"] == place.committed
    assert first.folder.startswith("t/")
    assert first.folder != predict(counting, "in/t.csv", content + b"1,2,3,4\n")[0].folder


@pytest.mark.parametrize("gone", ["predictions.csv", "errors.jsonl"])
@pytest.mark.parametrize("damaged", [True, False])
def test_a_manifest_alone_is_not_done(predictor: FilePredictor, gone: str, damaged: bool) -> None:
    """What a manifest tells of is looked for, with its size: where it is not there, the file is predicted again."""
    content = csv_of(iris(20)) + b"1,x,1,1\n"
    made, place = predict(predictor, "t.csv", content)
    before = dict(place.files)
    name = f"{made.folder}/{gone}"
    if damaged:
        place.files[name] = before[name][:-1]
    else:
        del place.files[name]
    again, _ = predict(predictor, "t.csv", content, place)

    assert (False, before[name]) == (again.found, place.files[name])
    assert predict(predictor, "t.csv", content, place)[0].found


def test_somebody_else_was_faster(predictor: FilePredictor) -> None:
    """Two workers with one file write each object once, and both answer the same manifest."""
    place, content = MemoryPlace(), csv_of(iris(200))
    inner: list[Manifest] = []

    def meanwhile(_: Progress) -> None:
        if not inner:
            inner.append(predict(predictor, "t.csv", content, place)[0])

    outer, _ = predict(predictor, "t.csv", content, place, progress=meanwhile)

    assert len(place.committed) == len(set(place.committed)) == 2
    assert inner[0].started == outer.started
    assert outer.found


def test_what_a_crash_left_is_completed(predictor: FilePredictor) -> None:
    """Predictions without a manifest are no end: the rest is written beside them, and they stay as they are."""
    content = csv_of(iris(20)) + b"1,x,1,1\n"
    made, place = predict(predictor, "t.csv", content)
    del place.files[f"{made.folder}/manifest.json"]
    del place.files[made.errors or ""]
    place.committed.clear()
    again, _ = predict(predictor, "t.csv", content, place)

    assert [made.errors, f"{made.folder}/manifest.json"] == place.committed
    assert (made.rows, made.failures, made.predictions) == (again.rows, again.failures, again.predictions)


@pytest.mark.parametrize(
    ("name", "content", "model", "kind", "says"),
    [
        ("t.csv", b"a,b,c,d\n1,2,3,4\n", "iris", UnknownInput, "line 1: There is no column 'a'"),
        ("t.csv", b"\n\nsepal_length,sepal_width\n1,2\n", "iris", MissingInput, "line 3: "),
        ("t.csv", b"1,2,3,4,5\n1,2,3,4,5\n", "iris", WrongShape, "line 1: There are 5 columns"),
        ("t.csv", b"1;2;3;4\n", "iris", UnknownInput, "semicolons"),
        ("t.csv", b"", "iris", WrongShape, "empty"),
        ("t.csv", NAMES, "iris", WrongShape, "no rows"),
        ("t.csv", NAMES + b'1,2,3,4\n1,2,"3,4\n1,2,3,4\n', "iris", Unreadable, "line 3: a quote is not closed"),
        ("t.csv", "1,2,3,4".encode("utf-16"), "iris", Unreadable, "UTF-16"),
        ("t.csv", b"1,2\n", "fixed", WrongShape, "columns"),
        ("t.jsonl", b"\n\n", "iris", WrongShape, "no line"),
        ("t.jsonl", b"\xff\xfe[\x001\x00]\x00", "iris", Unreadable, "UTF-16"),
        ("t.npy", b"PK", "iris", Unreadable, ".npy"),
        ("t.npy", npy(iris(5))[:-1], "iris", Unreadable, "follow"),
        ("t.npy", npy(iris(5)) + b"x", "iris", Unreadable, "follow"),
        ("t.npy", npy(iris(5)[:, :3]), "iris", WrongShape, "dimension 1 must be 4"),
        ("t.npy", npy(iris(5) > 1), "iris", WrongDatatype, "bool"),
        ("t.npy", npy(np.float32(1)), "iris", WrongShape, "no row"),
        ("t.npy", npy(np.array([{}], object)), "iris", WrongDatatype, "never unpickled"),
        ("t.npy", npy(np.zeros((3,), np.float32)), "fixed", Invalid, "no rows"),
        ("t.npy", npy(iris(5)), "pair", Invalid, "one array"),
        ("t.npz", b"nothing", "iris", Unreadable, ".npz"),
        ("t.npz", npz(Y=iris(5)), "iris", UnknownInput, "'Y'"),
        ("t.npz", npz(input_ids=np.ones((2, 3), int), attention_mask=np.ones((3, 3), int)), "pair", WrongShape, "2 to 3 rows"),
        ("t.arrow", b"nothing", "iris", Unreadable, "Arrow"),
        ("t.arrow", table(iris(5), "arrow")[:-200], "iris", Unreadable, "Arrow"),
        ("t.parquet", b"PAR1 nothing PAR1", "iris", Unreadable, "Parquet"),
        ("t.parquet", table(iris(5), "parquet"), "echo", UnknownInput, "sepal_length"),
        ("t.png", b"nothing", "digits", Unreadable, "PNG"),
        ("t.txt", b"", "iris", UnsupportedContentType, "t.txt"),
        ("t.csv", csv_of(iris(5)), "ghost", UnknownModel, "ghost"),
    ],
)
def test_files_that_are_wrong_as_a_whole(
    predictor: FilePredictor, name: str, content: bytes, model: str, kind: type[Problem], says: str
) -> None:
    """A file that no row of can be answered is refused at once, with the place, and nothing is written."""
    place = MemoryPlace()
    with pytest.raises(kind, match=says.replace("[", r"\[").replace(".", r"\.")):
        predict(predictor, name, content, place, model=model, chunk_bytes=16)

    assert {} == place.files


def test_a_bad_first_row_is_a_bad_row(predictor: FilePredictor) -> None:
    """A first row of another width than the rest is one bad row, and not a file of another width."""
    _, place = predict(predictor, "t.csv", b"1,2,3\n" + csv_of(iris(5)), chunk_bytes=1)

    assert [(1, 1, "wrong-shape")] == errors_of(place)


def test_rows_of_any_width_are_held_to_the_first(predictor: FilePredictor) -> None:
    """Where the model takes rows of any width, those of one file have the width of its first, in whatever chunk they are."""
    for size in (1, 10**6):
        _, place = predict(predictor, "t.csv", b"1,2,3\n4,5,6\n7,8\n9,10,11\n", model="free", chunk_bytes=size)
        assert [(3, 3, "wrong-shape")] == errors_of(place)
        assert b"1.0,2.0,3.0\n4.0,5.0,6.0\n,,\n9.0,10.0,11.0\n" == place.named("predictions")


def test_answers_that_are_not_one_for_each_row(predictor: FilePredictor) -> None:
    """A model whose answers are not one for each row cannot answer a file."""
    with pytest.raises(NotAcceptable):
        predict(predictor, "t.npy", npy(np.ones(5, np.float32)), model="uneven")


def test_pictures_answer_json(predictor: FilePredictor) -> None:
    """A picture is one request and answers JSON, or whatever else is accepted."""
    import PIL.Image

    file = io.BytesIO()
    PIL.Image.new("L", (8, 8), 255).save(file, "PNG")
    _, place = predict(predictor, "digit.png", file.getvalue(), model="digits")
    _, lines = predict(predictor, "digit.png", file.getvalue(), model="digits", accept="application/jsonl")

    assert "outputs" in json.loads(place.named("predictions.json") or b"")
    assert 1 == len((lines.named("predictions.jsonl") or b"").splitlines())


@pytest.mark.parametrize(("accept", "suffix"), [("application/jsonl", "jsonl"), ("text/csv", "csv"), ("application/x-npz", "npz")])
def test_other_formats_can_be_asked_for(predictor: FilePredictor, accept: str, suffix: str) -> None:
    """Predictions come in another format than the file's where it is asked for; JSON is none, as it has no rows to add to."""
    _, place = predict(predictor, "t.parquet", table(iris(9), "parquet"), accept=accept)

    assert place.named(f"predictions.{suffix}")
    with pytest.raises(NotAcceptable, match="text/csv"):
        predict(predictor, "t.csv", csv_of(iris(9)), accept="application/json")


@pytest.mark.parametrize(("most", "fails"), [(0, True), (1, True), (2, False), (0.1, True), (0.2, False), (None, False)])
def test_failures_have_a_limit(predictor: FilePredictor, most: float | None, fails: bool) -> None:
    """More failed rows than may be, by number or by share, end the file without a trace, and the first is told."""
    content, place = csv_of(iris(4)) + b"1,x,1,1\n" * 2 + csv_of(iris(6)), MemoryPlace()
    if not fails:
        assert 2 == predict(predictor, "t.csv", content, place, max_failures=most)[0].failures
        return
    with pytest.raises(Invalid, match=r"nothing was written. The first: line 5 \(row 5\), column 2"):
        predict(predictor, "t.csv", content, place, max_failures=most)
    assert {} == place.files


def test_a_deadline_in_the_middle_leaves_nothing(predictor: FilePredictor) -> None:
    """When the time is up in the middle of a file, that is said and nothing of it is there."""
    place = MemoryPlace()

    def until_then(_: Progress) -> None:
        while time.monotonic() < deadline:
            time.sleep(0.01)

    deadline = time.monotonic() + 1
    with pytest.raises(DeadlineExceeded):
        predict(predictor, "t.csv", csv_of(iris(500)), place, deadline=deadline, progress=until_then, chunk_bytes=1000)

    assert {} == place.files


@pytest.mark.parametrize("threads", [1, 3])
def test_what_may_succeed_later_is_no_bad_row(predictor: FilePredictor, threads: int) -> None:
    """A store or a model that is away for a moment fails the file, never its rows."""

    class Away(Counting):
        def answer(self, request: PredictionRequest, report: Report | None = None) -> PredictionResponse:
            if self.requests == 3:
                raise StoreUnavailable("It is away.")
            return super().answer(request, report)

    place = MemoryPlace()
    with pytest.raises(StoreUnavailable):
        predict(Away(predictor), "t.csv", csv_of(iris(500)), place, chunk_bytes=1000, threads=threads)

    assert {} == place.files


def test_chunks_are_no_larger_than_asked(predictor: FilePredictor) -> None:
    """A chunk has about the bytes that were asked for, whatever the file's size."""
    sizes: list[int] = []

    class Seeing(Counting):
        def answer(self, request: PredictionRequest, report: Report | None = None) -> PredictionResponse:
            sizes.append(len(request.body))
            return super().answer(request, report)

    for name, content in {
        "t.csv": csv_of(iris(5000), NAMES),
        "t.npy": npy(iris(5000)),
        "t.parquet": table(iris(5000), "parquet", 5000),
    }.items():
        sizes.clear()
        predict(Seeing(predictor), name, content, chunk_bytes=4096)
        assert max(sizes) < 8192, name
        assert len(sizes) > 5, name
