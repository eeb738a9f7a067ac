"""What a run is counted by: the rows that its parts' names tell of, each once, and never two batch sizes in one folder."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.batches.items import Item, runs_of
from app.batches.machine_errors import BatchRefused
from app.batches.machine_run import run_of
from app.batches.parts import Counted, counted, errors_name, is_whole, part_name, span_of
from tests.machine.conftest import COLUMNS, FLOWERS, Cloud, event, table

ROW = dict(zip(COLUMNS, map(str, FLOWERS[0]), strict=True))


def test_another_batch_size_is_another_run(cloud: Cloud) -> None:
    """Rows that are cut otherwise have a name and a folder of their own; files of a prefix are cut one way only."""
    cut = [run_of(cloud.asked("in.csv", max_items_per_batch=most)) for most in (4, 5)]
    whole = [run_of(cloud.asked("in/", max_items_per_batch=most)) for most in (4, 5)]

    assert (2, 2) == (len({run.name for run in cut}), len({run.output for run in cut}))
    assert whole[0].name == whole[1].name


@pytest.mark.parametrize(
    "names",
    [
        ["parts/000000000000-4-0.csv", "parts/000000000002-4-0.csv"],
        ["parts/000000000000-4-0.csv", "errors/000000000001-4-4.jsonl"],
        ["parts/000000000000-4-0.csv", "parts/000000000000-4-1.csv"],
        ["parts/000000000000-8-0.csv", "parts/000000000003-1-0.csv"],
        ["parts/000000000004-8-0.csv"],
    ],
)
def test_an_overlap_hides_no_hole(cloud: Cloud, names: list[str]) -> None:
    """Parts that tell of a row twice, or of rows that the input has not, are no success, whatever their sum is."""
    cloud.put("in.csv", table(8))
    told = cloud.told("in.csv", tolerated_failure_percentage=100)
    for name in names:
        cloud.put(told["output_prefix"] + name, b"")
    summary = {name: told[name] for name in event(cloud.bucket, [])["BatchInput"]} | {"version": "", "total": 8}

    with pytest.raises(BatchRefused, match="another run"):
        cloud.invoke({"Summary": summary})


def test_a_batch_with_a_gap_is_several_parts(cloud: Cloud) -> None:
    """Rows that do not follow one another are kept in a part for each run of rows, so that names tell exactly which rows are done."""
    asked = event(cloud.bucket, [ROW] * 4)
    for item, index in zip(asked["Items"], (7, 1, 2, 9), strict=True):
        item["index"] = index
    prefix = "out/in.csv/0123456789abcdef/parts/"

    assert {"rows": 4, "failed": 0, "key": f"{prefix}000000000001-2-0.csv"} == cloud.invoke(asked)
    assert [f"{prefix}00000000000{span}-0.csv" for span in ("1-2", "7-1", "9-1")] == list(cloud.objects())


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=20))
def test_rows_are_counted_once(spans: list[tuple[int, int]]) -> None:
    """However parts overlap: the count is that of different rows, and what is told twice is told."""
    found = counted(part_name(span_of(first, count), 0, ".csv") for first, count in spans)
    rows = {row for first, count in spans for row in range(first, first + count)}

    assert Counted(len(rows), 0, len(spans), sum(count for _, count in spans) - len(rows), max(rows, default=-1) + 1) == found


@given(st.sets(st.integers(0, 10**8), min_size=1, max_size=50), st.data())
def test_names_tell_what_was_done(indices: set[int], data: Any) -> None:
    """Runs of rows are all rows; a listing of names tells rows and bad rows, and sorts as the rows do; errors alone count where no row was answered."""
    runs = runs_of([Item(number, None) for number in sorted(indices)])
    names, bad = [], 0
    for run in runs:
        failed = data.draw(st.integers(0, len(run)))
        span = span_of(run[0].number, len(run))
        assert is_whole(part_name(span, failed, ".csv"))
        assert (failed == len(run)) is is_whole(errors_name(span, failed))
        names.append(part_name(span, failed, ".csv"))
        bad += failed

    assert sorted(indices) == [item.number for run in runs for item in run]
    assert (len(indices), bad, len(runs), 0) == counted([*names, "parts/other", "summary.json"])[:4]
    assert names == sorted(names)
