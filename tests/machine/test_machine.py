"""Whole runs: the state machine's definition executed with the function behind it, from S3 to S3."""

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.batches.machine_run import Batch
from app.errors import DeadlineExceeded
from app.triggers.distributed_map import DistributedMapTrigger
from app.triggers.records import Times
from tests.machine import definition, map_runner
from tests.machine.conftest import COLUMNS, FLOWERS, Cloud, Done, table
from tests.machine.map_runner import PAYLOAD_BYTES, Execution, Failed, batches, size_of
from tests.shells import Context

SMALL = {"max_items_per_batch": 4, "tolerated_failure_percentage": 20}


def run(cloud: Cloud, key: str, **more: Any) -> tuple[dict[str, Any], Execution]:
    """Execute; the answer and the execution."""
    execution = Execution(cloud.invoke, cloud.told(key, **{**SMALL, **more}))
    return execution.run(), execution


def rows_of(cloud: Cloud) -> list[str]:
    """The rows of all parts in their order, without the names of columns."""
    lines = [line for key, body in sorted(cloud.objects().items()) if "/parts/" in key for line in body.decode().splitlines()]
    return [line for line in lines if not line.startswith("output_")]


@pytest.mark.parametrize("count", [1, 4, 5, 11])
def test_a_table(cloud: Cloud, count: int) -> None:
    """The parts of a CSV together are the file's answers in their order, with quoted cells and CRLF in it."""
    body = table(count).replace("5.1,", '"5.1",')
    cloud.put("in.csv", body)
    found, execution = run(cloud, "in.csv")

    assert (count, count, 0, 0) == (found["rows"], found["answered"], found["failed"], found["missing"])
    # By batches: one row alone may be rounded otherwise than it is among others.
    names, *lines = body.splitlines()
    bodies = ["\n".join([names, *lines[start : start + 4]]).encode() for start in range(0, count, 4)]
    assert b"".join(cloud.answer(part, "text/csv", "text/csv; header=absent") for part in bodies).decode().splitlines() == rows_of(cloud)
    assert -(-count // 4) + 1 == len(execution.invokes)
    summary = json.loads(cloud.part("summary.json"))
    assert found == {**{name: summary[name] for name in found if name != "key"}, "key": found["key"]}


@pytest.mark.parametrize("kind", ["json", "jsonl", "parquet"])
def test_other_rows(cloud: Cloud, kind: str) -> None:
    """Rows of JSON, JSON Lines and Parquet are answered as JSON Lines."""
    values: list[Any] = [dict(zip(COLUMNS, FLOWERS[n % 2], strict=True)) for n in range(6)]
    written = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(values), written)
    lines = "".join(json.dumps(value) + "\n" for value in values)
    cloud.put(f"in.{kind}", {"json": json.dumps(values), "jsonl": lines, "parquet": written.getvalue()}[kind])
    found, _ = run(cloud, f"in.{kind}")

    assert 6 == found["answered"]
    assert cloud.answer(lines.encode(), "application/jsonl", "application/jsonl").decode().splitlines() == rows_of(cloud)


def test_a_prefix(cloud: Cloud) -> None:
    """All files under a prefix are predicted, each once."""
    for number in range(3):
        cloud.put(f"in/{number}.csv", table(number + 1))
    found, _ = run(cloud, "in/", tolerated_failure_percentage=0)

    assert (3, 3) == (found["rows"], found["answered"])
    assert [1, 2, 3] == [json.loads(line)["rows"] for line in rows_of(cloud)]


def test_a_file_that_takes_all_the_time_is_alone(cloud: Cloud) -> None:
    """A file that eats an invocation's time at each try is missing, and its neighbours are not."""
    for name in "abcd":
        cloud.put(f"in/{name}.csv", table(2))

    def predict_object(key: str, batch: Batch, times: Times) -> Done:
        if key == "in/b.csv":
            spent.append(key)
        if spent:
            raise DeadlineExceeded("the time is up")
        return cloud.predict_object(key, batch, times)

    trigger = DistributedMapTrigger(cloud.program.predictor, cloud.program.observer, predict_object)
    spent: list[str] = []

    def invoke(event: Any) -> Any:
        spent.clear()
        return trigger(event, Context()) if "Items" in event else cloud.invoke(event)

    found = Execution(invoke, cloud.told("in/", tolerated_failure_percentage=25)).run()
    assert (4, 3, 1) == tuple(found[name] for name in ("rows", "answered", "missing"))
    assert ["in/a.csv", "in/c.csv", "in/d.csv"] == cloud.predicted


@pytest.mark.parametrize("share", [25, 25.5])
def test_bad_rows_within_the_share(cloud: Cloud, share: float) -> None:
    """Bad rows are told by their number over the whole file, and the run is done."""
    cloud.put("in.csv", table(20, bad=(2, 9)))
    found, _ = run(cloud, "in.csv", tolerated_failure_percentage=share)

    assert (18, 2, 0) == (found["answered"], found["failed"], found["missing"])
    errors = sorted(json.loads(line)["row"] for key, body in cloud.objects().items() if "/errors/" in key for line in body.splitlines())
    assert [3, 10] == errors


def test_a_batch_over_the_share_is_tolerated_by_the_map(cloud: Cloud) -> None:
    """One batch with too many bad rows does not end a run whose share over all rows is kept, and its good rows are there."""
    cloud.put("in.csv", table(40, bad=(0, 1)))
    found, execution = run(cloud, "in.csv")

    assert (38, 2, 0) == (found["answered"], found["failed"], found["missing"])
    assert 9 == len(execution.children), "one failed"


def test_too_many_bad_rows_end_the_map(cloud: Cloud) -> None:
    """A run stops early where more than the share of its rows stands in batches that failed."""
    cloud.put("in.csv", table(40, bad=tuple(range(40))))
    execution = Execution(cloud.invoke, cloud.told("in.csv", **SMALL))

    with pytest.raises(Failed, match="ExceedToleratedFailureThreshold"):
        execution.run()
    assert 3 == len(execution.invokes)


def test_too_many_over_all_end_the_run(cloud: Cloud) -> None:
    """Batches below the share whose missing neighbours push the whole over it: the summary is written, and the run has failed."""
    cloud.put("in.csv", table(20, bad=(4, 8, 12, 16)))
    lost: list[Any] = []

    def invoke(event: Any) -> Any:
        if "Items" in event and event["Items"][0]["index"] == 0:
            lost.append(event)
            raise ValueError("a fault of the function")
        return cloud.invoke(event)

    with pytest.raises(Failed, match="TooManyFailedRows"):
        Execution(invoke, cloud.told("in.csv", max_items_per_batch=4, tolerated_failure_percentage=25)).run()
    assert 1 == len(lost)
    assert (12, 4, 4) == tuple(json.loads(cloud.part("summary.json"))[name] for name in ("answered", "failed", "missing"))


def test_what_passes_is_tried_again(cloud: Cloud) -> None:
    """Throttling by Lambda, a time-out and a store that is away cost pauses and no rows."""
    cloud.put("in.csv", table(4))
    faults = [Failed("Lambda.TooManyRequestsException"), Failed("Sandbox.Timedout"), None]

    def invoke(event: Any) -> Any:
        fault = faults.pop(0) if faults else None
        if fault:
            raise fault
        return cloud.invoke(event)

    execution = Execution(invoke, cloud.told("in.csv", **SMALL))
    assert 4 == execution.run()["answered"]
    assert [2, 2] == execution.waits


def test_what_does_not_pass_is_not_tried_again(cloud: Cloud) -> None:
    """A model that is not there ends the run at its first batch."""
    cloud.put("in.csv", table(4))
    execution = Execution(cloud.invoke, cloud.told("in.csv", model="nobody", **SMALL))

    with pytest.raises(Failed, match="unknown-model"):
        execution.run()
    assert 1 == len(execution.invokes)
    assert [] == execution.waits


def test_a_run_again_writes_the_same_objects(cloud: Cloud) -> None:
    """Another execution of the same run finds its parts there, predicts nothing, and leaves every object as it is."""
    cloud.put("in.csv", table(11, bad=(3,)))
    first, _ = run(cloud, "in.csv", tolerated_failure_percentage=30)
    before = cloud.objects()
    cloud.server.requests.clear()
    second, _ = run(cloud, "in.csv", tolerated_failure_percentage=30)

    assert first == second
    assert before == cloud.objects()
    assert 1 + 2 == cloud.server.asked("PUT"), "the summary and what Step Functions writes itself"


@pytest.mark.parametrize("error", ["States.Timeout", "Sandbox.Timedout", "Lambda.ClientExecutionTimeoutException"])
def test_a_batch_that_hung_is_tried_again(cloud: Cloud, error: str) -> None:
    """A task whose time was up once is done by the next try, which finds the part where the first one went on and wrote it."""
    cloud.put("in.csv", table(4))
    hung: list[Any] = []

    def invoke(event: Any) -> Any:
        found = cloud.invoke(event)
        if not hung:
            hung.append(event)
            raise Failed(error)
        return found

    execution = Execution(invoke, cloud.told("in.csv", **SMALL))
    assert (4, 0) == tuple(execution.run()[name] for name in ("answered", "missing"))
    assert [2] == execution.waits


@pytest.mark.parametrize("after", range(6))
def test_killed_in_the_middle_and_redriven(cloud: Cloud, after: int) -> None:
    """Wherever a run is ended: redriven it goes on with what is left, and comes to the same objects as one that was not."""
    cloud.put("in.csv", table(18))
    run(cloud, "in.csv", mark="whole")
    whole = [body for key, body in sorted(cloud.objects().items()) if "/parts/" in key]
    told = cloud.told("in.csv", **SMALL)
    execution = Execution(cloud.invoke, told, die_after=after)
    with pytest.raises(KeyboardInterrupt):
        execution.run()
    done = len(execution.invokes)
    execution.die_after = None

    assert 18 == execution.run()["answered"]
    assert 6 == len(execution.invokes), f"{done} before and the rest after"
    assert whole == [body for key, body in sorted(cloud.objects(told["output_prefix"]).items()) if "/parts/" in key]


def test_killed_in_the_middle_and_started_again(cloud: Cloud) -> None:
    """Where nothing can be redriven another execution over the same folder does what is left."""
    cloud.put("in.csv", table(18))
    told = cloud.told("in.csv", **SMALL)
    with pytest.raises(KeyboardInterrupt):
        Execution(cloud.invoke, told, die_after=3).run()
    kept = cloud.objects()

    assert 18 == Execution(cloud.invoke, told).run()["answered"]
    assert kept.items() <= cloud.objects().items()


def test_an_input_that_was_written_again(cloud: Cloud) -> None:
    """A file that is overwritten while it is read ends the run with an error, not with rows of two files."""
    cloud.put("in.csv", table(8))
    told = cloud.told("in.csv", input_version="0" * 32, **SMALL)

    with pytest.raises(Failed, match="InputChanged"):
        Execution(cloud.invoke, told).run()


def test_parts_of_another_run(cloud: Cloud) -> None:
    """Parts that overlap are noticed: more rows than the input has are no success."""
    cloud.put("in.csv", table(8))
    told = cloud.told("in.csv", **SMALL)
    cloud.put(f"{told['output_prefix']}parts/000000000001-5-0.csv", b"")

    with pytest.raises(Failed, match="another run"):
        Execution(cloud.invoke, told).run()


def test_started_by_hand(cloud: Cloud) -> None:
    """An execution needs where to read and where to write; all else has a default."""
    cloud.put("in.csv", table(3))
    told = {"bucket": cloud.bucket, "key": "in.csv", "output_bucket": cloud.bucket, "output_prefix": "out/by-hand/"}

    assert 3 == Execution(cloud.invoke, told).run()["answered"]
    with pytest.raises(Failed, match="input_format"):
        Execution(cloud.invoke, {**told, "input_format": "xml"}).run()


def test_batches_keep_both_limits() -> None:
    """A batch ends before the 256 KiB that may go between states, with the longest addresses that S3 has beside it."""
    state = definition.machine()["States"]["JsonLinesRows"]
    told = {"bucket": "b" * 63, "key": "é" * 512, "output_bucket": "b" * 63, "output_prefix": "é" * 512, "model": "m" * 100}
    data = {**told, "model_version": "9" * 100, "digest": "0" * 64, "input_format": "jsonl", "output_format": "jsonl"}
    data |= {"tolerated_failure_percentage": 5, "max_items_per_batch": 1000}
    value = {"text": "é" * 1000}
    found = _batched(state, data, [value] * 3000)

    sizes = [size_of({"Items": items, "BatchInput": {**data}}) for items in found]
    assert 3000 == sum(map(len, found))
    assert max(map(len, found)) < 1000
    assert max(sizes) + 4 * 1024 < PAYLOAD_BYTES
    assert 1000 == len(_batched(state, data, [1] * 3000)[0])


def test_an_item_that_is_too_large() -> None:
    """A row that no batch holds ends the run; it is never cut or left out."""
    state = definition.machine()["States"]["JsonLinesRows"]
    with pytest.raises(Failed, match="DataLimitExceeded"):
        _batched(state, {"max_items_per_batch": 10}, ["a" * 250_000])


def test_a_store_that_is_away_is_told_apart(cloud: Cloud) -> None:
    """What S3 does not say leaves the summary unwritten and the step tried again."""
    cloud.put("in.csv", table(4))
    calls: list[str] = []

    def invoke(event: Any) -> Any:
        calls.append(next(iter(event)))
        if calls == ["Items", "Summary"]:
            cloud.server.fail("GET?list-type", *[_away] * 9)
        try:
            return cloud.invoke(event)
        finally:
            cloud.server.faults.clear()

    execution = Execution(invoke, cloud.told("in.csv", **SMALL))
    assert 4 == execution.run()["answered"]
    assert [2] == execution.waits
    assert ["Items", "Summary", "Summary"] == calls


def _away(go_on: Any, environ: Any, start_response: Any) -> list[bytes]:
    start_response("503 Slow Down", [("content-length", "0")])
    return [b""]


def _batched(state: dict[str, Any], data: dict[str, Any], values: list[Any]) -> list[list[Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(map_runner, "values", lambda reader, data: iter(values))
        return list(batches(state, data))
