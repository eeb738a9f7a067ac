"""One batch of a Distributed Map: recognised by its exact shape, answered at once, bad rows told, written once."""

import json
import time
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.batches import items as rows
from app.batches.items import Item
from app.batches.machine_errors import BatchInterrupted, BatchRefused, TooManyFailedRows
from app.batches.machine_run import Batch
from app.errors import DeadlineExceeded, Invalid, StoreUnavailable
from app.prediction import PredictionRequest, PredictionResponse
from app.report import Report
from app.storage.aws_clients import time_left
from app.triggers.distributed_map import RUN_S, WRITE_S, DistributedMapTrigger, is_batch
from app.triggers.records import Times
from app.wiring import event_handler, wire
from tests.jobs import aws_faults
from tests.machine.conftest import COLUMNS, FLOWERS, Cloud, Done, event
from tests.machine.definition import machine
from tests.shells import Context, ThroughMangum

ROW = dict(zip(COLUMNS, map(str, FLOWERS[0]), strict=True))
OTHER = dict(zip(COLUMNS, map(str, FLOWERS[1]), strict=True))
BAD = {**ROW, "petal_width": "wide"}


@pytest.mark.parametrize(
    "change",
    [{"requestContext": {}}, {"Records": []}, {"version": "2.0"}, {"Summary": {}}],
)
def test_nothing_stands_beside_a_batch(change: dict[str, Any]) -> None:
    """A key of another source beside a batch's own makes it nobody's event."""
    assert is_batch({"Items": [], "BatchInput": {}})
    assert not is_batch({"Items": [], "BatchInput": {}, **change})
    assert not is_batch({"Items": []})


def test_rows_of_a_table(cloud: Cloud) -> None:
    """Rows of CSV are answered as the file that they came from is, whatever the order of their columns."""
    found = cloud.invoke(event(cloud.bucket, [ROW, dict(reversed(OTHER.items()))]))

    assert {"rows": 2, "failed": 0, "key": "out/in.csv/0123456789abcdef/parts/000000000000-2-0.csv"} == found
    body = "\n".join([",".join(COLUMNS), *(",".join(map(str, row)) for row in FLOWERS)]).encode()
    assert cloud.answer(body, "text/csv", "text/csv") == cloud.part("-2-0.csv")


def test_json_values(cloud: Cloud) -> None:
    """Values of JSON are answered as JSON Lines."""
    found = cloud.invoke(event(cloud.bucket, [FLOWERS[0], {name: float(ROW[name]) for name in COLUMNS}], input_format="json"))

    assert (2, 0) == (found["rows"], found["failed"])
    assert [0, 0] == [json.loads(line)["output_label"] for line in cloud.part(".jsonl").splitlines()]


@pytest.mark.parametrize("bad", range(11))
def test_bad_rows_are_told_and_the_rest_is_answered(cloud: Cloud, bad: int) -> None:
    """Of 10 rows exactly the bad ones stand in the errors file, by their row, and the others stay in their lines."""
    values = [BAD if number in {(3 * i) % 10 for i in range(bad)} else (ROW, OTHER)[number % 2] for number in range(10)]
    found = cloud.invoke(event(cloud.bucket, values, tolerated_failure_percentage=100))

    assert (10, bad) == (found["rows"], found["failed"])
    objects = cloud.objects()
    lines = [json.loads(line) for key, body in objects.items() if "/errors/" in key for line in body.splitlines()]
    assert [number + 1 for number, value in enumerate(values) if value is BAD] == [line["row"] for line in lines]
    assert bool(bad == 10) is not bool(found["key"])
    if found["key"]:
        labels = [line.split(b",")[0] for line in objects[found["key"]].splitlines()[1:]]
        assert [b"" if value is BAD else b"0" if value is ROW else b"2" for value in values] == labels


def test_more_bad_rows_than_tolerated(cloud: Cloud) -> None:
    """A batch with too many bad rows fails, and its good rows are kept all the same; nothing of a row is in the error."""
    asked = event(cloud.bucket, [ROW, BAD, BAD, OTHER], tolerated_failure_percentage=49)
    for _ in range(2):
        with pytest.raises(TooManyFailedRows, match="2 of 4 rows are bad") as raised:
            cloud.invoke(asked)
        assert "wide" not in str(raised.value)

    assert 5 == len(cloud.part("-4-2.csv").splitlines())
    assert 2 == cloud.invoke({**asked, "BatchInput": {**asked["BatchInput"], "tolerated_failure_percentage": 50}})["failed"]


def test_a_row_of_another_shape_is_bad(cloud: Cloud) -> None:
    """Values that no row is made of fail alone: a number in a table, another length, an unknown name, half a character."""
    tables = [ROW, {**ROW, "petal_width": 2}, "text", {**ROW, "petal_width": "\ud800"}]
    assert 3 == cloud.invoke(event(cloud.bucket, tables, tolerated_failure_percentage=100))["failed"]

    values = [FLOWERS[0], [1.0], {"unknown": 1}, None, 2**70]
    found = cloud.invoke(event(cloud.bucket, values, tolerated_failure_percentage=100, input_format="jsonl"))
    assert 4 == found["failed"]


def test_a_batch_that_comes_again_is_not_predicted_again(cloud: Cloud) -> None:
    """A retry answers the same from what is there, and writes nothing."""
    asked = event(cloud.bucket, [ROW, BAD, OTHER])
    first = cloud.invoke(asked)
    before = cloud.objects()
    cloud.server.requests.clear()

    assert first == cloud.invoke(asked)
    assert 0 == cloud.server.asked("PUT")
    assert before == cloud.objects()


def test_a_crash_between_errors_and_answers(cloud: Cloud) -> None:
    """Errors without the answers do not count as done: the retry writes both, the same."""
    asked = event(cloud.bucket, [ROW, BAD, OTHER])
    cloud.server.fail("PUT", lambda go_on, environ, start: go_on(environ, start), *[aws_faults.refusal(400, "AccessDenied")])
    with pytest.raises(BatchInterrupted):
        cloud.invoke(asked)
    assert ["out/in.csv/0123456789abcdef/errors/000000000000-3-1.jsonl"] == list(cloud.objects())

    assert (3, 1) == (cloud.invoke(asked)["rows"], cloud.invoke(asked)["failed"])
    assert 2 == len(cloud.objects())


def test_a_lost_answer_of_s3(cloud: Cloud) -> None:
    """Where S3 kept the part and its answer was lost, the next attempt finds it there: done."""
    cloud.server.fail("PUT", aws_faults.lost)

    assert 1 == cloud.invoke(event(cloud.bucket, [ROW]))["rows"]
    assert 1 == len(cloud.objects())


def test_what_passes_is_interrupted(cloud: Cloud) -> None:
    """A store that does not answer, and a deadline that has come, are errors that the machine tries again; nothing is half there."""
    cloud.server.fail("GET?list-type", *[aws_faults.refusal(503, "SlowDown")] * 9)
    with pytest.raises(BatchInterrupted, match="store-unavailable"):
        cloud.invoke(event(cloud.bucket, [ROW]))
    cloud.server.faults.clear()
    cloud.context = lambda: Context(1)
    with pytest.raises(BatchInterrupted):
        cloud.invoke(event(cloud.bucket, [ROW]))

    assert {} == cloud.objects()


def test_rows_end_before_their_task_does(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the function's own time is, rows are answered and written within the task's, and one that ran out of it says what helps."""
    asked: list[float] = []

    def answer(request: PredictionRequest, report: Report | None = None) -> PredictionResponse:
        assert request.deadline is not None
        asked.extend((request.deadline - time.monotonic(), time_left()))
        raise DeadlineExceeded("The time for the prediction was up.")

    monkeypatch.setattr(cloud.program.predictor, "answer", answer)
    cloud.context = lambda: Context(900_000)
    with pytest.raises(BatchInterrupted, match="max_items_per_batch"):
        cloud.invoke(event(cloud.bucket, [ROW]))

    run_s, write_s = asked
    assert 0 < run_s <= RUN_S < write_s + 1 <= WRITE_S + 1
    assert WRITE_S < machine()["States"]["CsvRows"]["ItemProcessor"]["States"]["PredictCsvRows"]["TimeoutSeconds"]


def test_the_deadline_is_no_bad_row() -> None:
    """A problem that passes ends the batch, in whichever half it comes."""

    def predict(body: bytes, content_type: str, accept: str) -> bytes:
        if body.count(b"\n") > 2:
            raise Invalid("bad")
        raise DeadlineExceeded("too late")

    with pytest.raises(DeadlineExceeded):
        rows.answer([Item(0, [1]), Item(1, [2]), Item(2, [3])], predict, table=False, output_format="jsonl")


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"model": "nobody"}, "unknown-model"),
        ({"model_version": "99"}, "unknown-version"),
        ({"output_prefix": "elsewhere/"}, "out/"),
        ({"output_prefix": "out"}, "end with '/'"),
        ({"input_format": "xml"}, "input_format"),
        ({"output_format": "parquet"}, "output_format"),
        ({"key": 5}, "key"),
        ({"digest": "0" * 64}, "another run"),
    ],
)
def test_what_is_wrong_with_all_rows_is_refused(cloud: Cloud, told: dict[str, Any], says: str) -> None:
    """A batch that cannot be done fails at once under a name that is not tried again, and writes nothing."""
    with pytest.raises(BatchRefused, match=says):
        cloud.invoke(event(cloud.bucket, [ROW], **told))

    assert {} == cloud.objects("elsewhere/") | cloud.objects()


def test_a_table_without_names_is_refused(cloud: Cloud) -> None:
    """A file whose first line is a row loses no row silently: its values are no names of columns."""
    with pytest.raises(BatchRefused, match="unknown-input"):
        cloud.invoke(event(cloud.bucket, [dict(zip(map(str, FLOWERS[0]), map(str, FLOWERS[1]), strict=True))]))


@pytest.mark.parametrize("listed", [[], None, [{"index": 0}], [{"index": "0", "value": 1}], [{"index": True, "value": 1}], [1]])
def test_items_have_an_index(cloud: Cloud, listed: Any) -> None:
    """Items that the machine did not make are refused."""
    with pytest.raises(BatchRefused, match="Items"):
        cloud.invoke({**event(cloud.bucket, []), "Items": listed})


def test_the_same_index_twice_is_refused(cloud: Cloud) -> None:
    """Two rows with one index would be told of by one number."""
    with pytest.raises(BatchRefused, match="same index"):
        cloud.invoke({**event(cloud.bucket, []), "Items": [{"index": 1, "value": ROW}] * 2})


def test_listed_files(cloud: Cloud) -> None:
    """Files of a listing are predicted as wholes; folders' marks and the run's own results are passed over, and others are told."""
    cloud.put("in/a.csv", ",".join(COLUMNS) + "\n5.1,3.5,1.4,0.2\n")
    own = "out/in.csv/0123456789abcdef/parts/000000000000-1-0.jsonl"
    keys = ["in/", "in/a.csv", "in/b.bin", own]
    listed = [{"Key": key, "Size": 50, "Etag": '"0a"', "LastModified": 1, "StorageClass": "STANDARD"} for key in keys]
    found = cloud.invoke(event(cloud.bucket, [*listed, {"Size": 5}], input_format="objects", key="in/"))

    assert (5, 2) == (found["rows"], found["failed"])
    assert ["in/a.csv", "in/b.bin"] == cloud.predicted
    errors = [json.loads(line) for key, body in cloud.objects().items() if "/errors/" in key for line in body.splitlines()]
    assert ["unsupported-content-type"] == [line["code"] for line in errors if line["key"] == "in/b.bin"]


def test_a_file_that_may_pass_later_keeps_none_from_being_predicted(cloud: Cloud) -> None:
    """A batch of files is interrupted for one that S3 does not give now, after all others were predicted."""

    def predict_object(key: str, batch: Batch, times: Times) -> Done:
        if key == "in/b.csv":
            raise StoreUnavailable("not now")
        return cloud.predict_object(key, batch, times)

    trigger = DistributedMapTrigger(cloud.program.predictor, cloud.program.observer, predict_object)
    for name in "ac":
        cloud.put(f"in/{name}.csv", ",".join(COLUMNS) + "\n5.1,3.5,1.4,0.2\n")
    listed = [{"Key": f"in/{name}.csv"} for name in "abc"]
    with pytest.raises(BatchInterrupted, match="not now"):
        trigger(event(cloud.bucket, listed, input_format="objects", key="in/"), Context())

    assert ["in/a.csv", "in/c.csv"] == cloud.predicted
    assert {} == cloud.objects()


def test_the_output_prefix_is_a_folder(cloud: Cloud) -> None:
    """Results may be written below the folder that the setting names, with its slash or without, and not beside it."""
    for prefix in ("out", "out/"):
        named = {"INBOX_BUCKET": cloud.bucket, "OUTPUT_PREFIX": prefix, "MODEL_DIR": cloud.program.settings.model_dir, "JOBS": "off"}
        program = wire(named)
        handle = event_handler(program, ThroughMangum(program))
        assert 1 == handle(event(cloud.bucket, [ROW]), Context())["rows"]
        with pytest.raises(BatchRefused, match="may not be written there"):
            handle(event(cloud.bucket, [ROW], output_prefix="out-of-others/"), Context())


def test_an_object_by_its_name_alone(cloud: Cloud) -> None:
    """Where one object is asked for, others whose names begin like it are passed over."""
    cloud.put("in/a.npy.csv", ",".join(COLUMNS) + "\n5.1,3.5,1.4,0.2\n")
    listed = [{"Key": key, "Size": 50, "ETag": '"0a"'} for key in ("in/a.npy", "in/a.npy.csv")]
    cloud.invoke(event(cloud.bucket, listed, input_format="objects", key="in/a.npy"))

    assert ["in/a.npy"] == cloud.predicted


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.booleans(), min_size=1, max_size=60), st.sampled_from(["csv", "jsonl"]))
def test_any_bad_rows_are_exactly_those_told(good: list[bool], output_format: str) -> None:
    """Whichever rows are bad: these are told, and all others answered in their lines."""
    asked: list[int] = []

    def predict(body: bytes, content_type: str, accept: str) -> bytes:
        values = [orjson.loads(line) for line in body.splitlines()]
        asked.append(len(values))
        if not all(value["good"] for value in values):
            raise Invalid("bad")
        named = b"n\n" if accept.endswith("present") else b""
        return named + b"".join(b"%d\n" % value["n"] for value in values)

    listed = [Item(n, {"n": n, "good": is_good}) for n, is_good in enumerate(good)]
    found = rows.answer(listed, predict, table=False, output_format=output_format)

    assert [n for n, is_good in enumerate(good) if not is_good] == [item.number for item, _ in found.bad]
    bad = '""' if output_format == "csv" else "null"
    expected = [str(n) if is_good else bad for n, is_good in enumerate(good)] if any(good) else []
    named = ["n"] if output_format == "csv" and expected else []
    assert [*named, *expected] == found.body.decode().split()
    assert sum(asked) <= len(good) * (2 + len(found.bad) * len(good).bit_length())
