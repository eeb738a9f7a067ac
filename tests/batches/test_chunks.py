"""Files in chunks: put together they are the file, whatever the size of a chunk."""

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.batches import Chunk, formats, lines
from app.batches.files import FilePredictor
from app.codecs import reader_of
from app.errors import Problem
from app.tensors import Signature

SIZES = st.one_of(st.integers(1, 40), st.sampled_from((64, 1000, 10**6)))
CELLS = st.text('ab",\n\r é\x85\u2028', max_size=4)
ENDS = st.sampled_from(("\n", "\r\n", "\r"))


def rows_of(body: bytes, content_type: str, signature: Signature) -> dict[str, list[Any]]:
    reader, parameters = reader_of("predict", content_type)
    return {name: value.tolist() for name, value in reader.decode(body, parameters, signature).inputs.items()}  # type: ignore[union-attr]


def cut(name: str, content: bytes, size: int, signature: Signature, content_type: str = "") -> list[Chunk]:
    return list(formats.format_of(name, content_type, signature).chunks(io.BytesIO(content), size))


def check(name: str, content: bytes, size: int, signature: Signature, content_type: str = "") -> list[Chunk]:
    """The chunks of a file, after each has been read by itself and compared with the whole."""
    whole = rows_of(content, formats.said(name, content_type), signature)
    chunks = cut(name, content, size, signature, content_type)
    found: dict[str, list[Any]] = {key: [] for key in whole}
    for chunk in chunks:
        parts = rows_of(chunk.body, chunk.content_type, signature)
        assert {chunk.rows} == {len(part) for part in parts.values()}
        assert chunk.first_row == len(next(iter(found.values())))
        for key, part in parts.items():
            found[key] += part
    assert whole == found
    return chunks


@pytest.fixture(scope="module")
def signature(predictor: FilePredictor) -> Callable[[str], Signature]:
    return lambda model: predictor.loaded(model, None).signature


@st.composite
def tables(draw: st.DrawFn) -> tuple[bytes, list[int]]:
    """CSV of two columns of text, and the line in which each row begins."""
    end = draw(ENDS)
    text, line, starts = "", 1, list[int]()
    for cells in draw(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=12)):
        for _ in range(draw(st.integers(0, 2)) if draw(st.booleans()) else 0):
            text, line = text + end, line + 1
        out = io.StringIO()
        csv.writer(out, lineterminator="\r\n", quoting=draw(st.sampled_from((csv.QUOTE_ALL, csv.QUOTE_MINIMAL)))).writerow(cells)
        row = out.getvalue().removesuffix("\r\n")
        starts.append(line)
        text += row + end
        line += len(lines._END.findall(row.encode())) + 1
    if draw(st.booleans()):
        text = text.removesuffix(end)
    return draw(st.sampled_from((b"", b"\xef\xbb\xbf"))) + text.encode(), starts


@settings(deadline=None, max_examples=300)
@given(table=tables(), size=SIZES, named=st.booleans())
def test_csv(signature: Callable[[str], Signature], table: tuple[bytes, list[int]], size: int, named: bool) -> None:
    """CSV is cut between records: quoted line ends, every kind of them, blank lines and a byte order mark make no difference."""
    content, starts = table
    if named:
        content = b"x[0],x[1]\n" + content.removeprefix(b"\xef\xbb\xbf")
        starts = [line + 1 for line in starts]
    said = f"text/csv; header={'present' if named else 'absent'}"
    chunks = check("t.csv", content, size, signature("text"), said)
    form = formats.format_of("t.csv", said, signature("text"))
    list(form.chunks(io.BytesIO(content), size))

    assert starts == [form.part(chunk, row, row + 1).first_line for chunk in chunks for row in range(chunk.rows)]


@settings(deadline=None, max_examples=200)
@given(data=st.data(), size=SIZES)
def test_json_lines(signature: Callable[[str], Signature], data: st.DataObject, size: int) -> None:
    """JSON Lines are cut between lines, and blank ones are counted as lines and not as rows."""
    rows = data.draw(st.lists(st.sampled_from(('["a","b"]', '["é\\n",""]', '  ["x","y"] ', '{"x":["p","q"]}')), min_size=1, max_size=12))
    rows = [row for row in rows if row.startswith("{") == rows[0].startswith("{")]
    text, starts, line = "", list[int](), 1
    for row in rows:
        blank = data.draw(st.sampled_from(("", "", "\n", " \n\r\n", "\x0c\n")))
        starts.append(line + blank.count("\n"))
        text += blank + row + data.draw(st.sampled_from(("\n", "\r\n")))
        line = starts[-1] + 1
    content = data.draw(st.sampled_from((b"", b"\xef\xbb\xbf"))) + text.encode()
    chunks = check("t.jsonl", content, size, signature("text"))
    form = formats.format_of("t.jsonl", "", signature("text"))

    assert starts == [form.part(chunk, row, row + 1).first_line for chunk in chunks for row in range(chunk.rows)]


@st.composite
def matrices(draw: st.DrawFn, shapes: Sequence[tuple[int, ...]]) -> np.ndarray[Any, Any]:
    rows = draw(st.integers(1, 30))
    dtype = draw(st.sampled_from(("<f4", ">f8", "<i2", "|u1", "<f2")))
    array = np.arange(rows * int(np.prod(draw(st.just(shapes[0]))))).reshape(rows, *shapes[0]).astype(dtype)
    return np.asfortranarray(array) if draw(st.booleans()) else array


@settings(deadline=None, max_examples=150)
@given(array=matrices([(3,)]), size=SIZES)
def test_npy(signature: Callable[[str], Signature], array: np.ndarray[Any, Any], size: int) -> None:
    """Arrays are cut by rows, in either order of their values."""
    file = io.BytesIO()
    np.save(file, array)

    assert len(check("a.npy", file.getvalue(), size, signature("echo"))) <= len(array)


@settings(deadline=None, max_examples=100)
@given(array=matrices([(8, 8)]), size=SIZES, packed=st.booleans())
def test_npz(signature: Callable[[str], Signature], array: np.ndarray[Any, Any], size: int, packed: bool) -> None:
    """Archives are cut by the rows of all their arrays, packed or not."""
    file = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(file, array)

    assert len(check("a.npz", file.getvalue(), size, signature("digits"))) <= len(array)


def test_several_arrays(signature: Callable[[str], Signature]) -> None:
    """The arrays of an archive are cut at the same rows."""
    file = io.BytesIO()
    ids, mask = np.arange(40).reshape(10, 4), np.asfortranarray(np.ones((10, 4), np.int64))
    np.savez(file, attention_mask=mask, input_ids=ids)

    assert 10 == len(check("a.npz", file.getvalue(), 1, signature("pair")))
    assert 5 == len(check("a.npz", file.getvalue(), 128, signature("pair")))


@settings(deadline=None, max_examples=60)
@given(rows=st.integers(1, 40), batch=st.integers(1, 20), size=SIZES, dictionary=st.booleans(), kind=st.sampled_from(("arrow", "parquet")))
def test_tables(signature: Callable[[str], Signature], rows: int, batch: int, size: int, dictionary: bool, kind: str) -> None:
    """Arrow streams and Parquet are cut in record batches, pages and row groups."""
    words = pa.array([f"wörd {i % 3}" for i in range(rows)])
    first = words.dictionary_encode() if dictionary else words
    table = pa.table({"x[0]": first, "x[1]": [str(i) for i in range(rows)]})
    file = io.BytesIO()
    if kind == "parquet":
        pq.write_table(table, file, row_group_size=batch)
    else:
        with pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table, batch)
    check(f"t.{kind}", file.getvalue(), size, signature("text"))


@settings(deadline=None, max_examples=300)
@given(content=st.binary(max_size=60) | st.text('"a,\n\r1', max_size=30).map(str.encode), size=SIZES)
def test_any_bytes_are_cut_or_refused(signature: Callable[[str], Signature], content: bytes, size: int) -> None:
    """Whatever is in a file, it is cut or refused with a problem, and no row is lost or seen twice."""
    for name in ("t.csv", "t.jsonl", "t.npy", "t.npz", "t.arrow", "t.parquet"):
        try:
            chunks = cut(name, content, size, signature("text"))
        except Problem:
            continue
        assert [chunk.first_row for chunk in chunks] == [sum(c.rows for c in chunks[:i]) for i in range(len(chunks))]


@settings(deadline=None, max_examples=300)
@given(text=st.text('"a,\n\r', max_size=24), size=st.integers(1, 12))
def test_records_end_where_the_codec_says(text: str, size: int) -> None:
    """Blocks of records, of any size, are the records of the whole: also where quotes stand in the middle of a cell."""
    data = text.encode()
    try:
        found = [start.offset for start in lines.records(data)]
        blocks = list(lines.blocks(io.BytesIO(data), size, lines.end_of_records))
    except lines.Broken:
        return
    begins = [sum(map(len, blocks[:i])) for i in range(len(blocks))]

    assert data == b"".join(blocks)
    assert found == [begin + start.offset for begin, block in zip(begins, blocks, strict=True) for start in lines.records(block)]
    assert len(found) == sum(map(lines.count_records, blocks))


@pytest.mark.parametrize("before", [0, 10, 900_000])
@pytest.mark.parametrize("name", ["t.jsonl", "t.csv"])
def test_the_longest_row_is_the_same_in_every_file(
    signature: Callable[[str], Signature], monkeypatch: pytest.MonkeyPatch, name: str, before: int
) -> None:
    """Whether a row is too long depends on the row alone: not on what is before and after it in the file."""
    monkeypatch.setattr(lines, "MOST_ROW_BYTES", 100_000)
    row, filler = b"1" + b" " * 99_999, b"1\n" * (before // 2)

    for after in (b"", b"1\n" * 300_000):
        assert before // 2 + 1 + len(after) // 2 == sum(
            chunk.rows for chunk in cut(name, filler + row + b"\n" + after, 1000, signature("lone"))
        )
        with pytest.raises(Problem, match=f"line {before // 2 + 1}: a row of over 100000 bytes"):
            cut(name, filler + row + b" \n" + after, 1000, signature("lone"))
