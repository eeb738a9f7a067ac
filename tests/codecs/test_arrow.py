"""Arrow streams and Parquet in: columns by name, nulls by their place, and nothing unpacked that fills the memory."""

import io
import struct
import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.codecs import arrow_stream, parquet, parquet_pages
from app.codecs.byte_strings import bytes_of
from app.codecs.thrift_compact import Compact
from app.errors import BodyTooLarge, Problem
from app.tensors import DATATYPES, Signature, TensorSpec
from tests.codecs.tensors import NO_PARAMETERS, arrays, echo, mutated, outcome, spec
from tests.shells import ROOT

IRIS = echo(spec("X", "FP32", "n", 2), features=("a", "b"))
UNNAMED = echo(spec("X", "FP32", "n", 2))
TEXT = echo(spec("s", "BYTES"))
SEVERAL = echo(spec("age", "INT64", "n", 1), spec("name", "BYTES"), spec("ok", "BOOL"), spec("v", "FP32", "n", 2))


def stream(table: pa.Table, *, rows: int | None = None, **options: Any) -> bytes:
    """The table as an IPC stream, in record batches of so many rows."""
    body = io.BytesIO()
    with pa.ipc.new_stream(body, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=rows)
    return body.getvalue()


def file(table: pa.Table, **options: Any) -> bytes:
    """The table as a Parquet file."""
    body = io.BytesIO()
    pq.write_table(table, body, **options)
    return body.getvalue()


def both(table: pa.Table, signature: Signature) -> Any:
    """What an Arrow stream and a Parquet file of the table come to, which is the same."""
    found = outcome(arrow_stream.decode, stream(table), signature)
    assert found == outcome(parquet.decode, file(table), signature)
    return found


@pytest.mark.parametrize(
    "table",
    [
        {"b": [2.0, 4.0], "a": [1.0, 3.0]},
        {"a": pa.array([1, 3], pa.int8()), "b": pa.array([2, 4], pa.uint64())},
        {"a": pa.array([1, 3], pa.float16()), "b": pa.array([2.0, 4.0]).dictionary_encode()},
        {"X": pa.array([[1, 2], [3, 4]], pa.list_(pa.float32(), 2))},
        {"X": pa.array([[1, 2], [3, 4]], pa.list_(pa.float64()))},
        {"X": pa.array([[1, 2], [3, 4]], pa.large_list(pa.int16()))},
    ],
)
def test_tables_are_read(table: dict[str, Any]) -> None:
    """A column for each feature in any order, or one of arrays for the input; of any width of numbers."""
    assert {"X": [[1, 2], [3, 4]]} == both(pa.table(table), IRIS)


def test_columns_of_values_and_tensors() -> None:
    """The values of an input may be columns by number, or arrays of arrays, or an extension type's tensors."""
    cube = echo(spec("X", "FP32", "n", 2, 2))
    nested = pa.array([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], pa.list_(pa.list_(pa.float32(), 2), 2))
    flat = pa.array([[1, 2, 3, 4], [5, 6, 7, 8]], pa.list_(pa.float32(), 4))
    tensors = pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.float32(), [2, 2]), flat)
    expected = {"X": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]}

    assert {"X": [[1, 2]]} == both(pa.table({"X[1]": [2], "X[0]": [1]}), UNNAMED)
    for column in (nested, flat, tensors):
        assert expected == outcome(arrow_stream.decode, stream(pa.table({"X": column})), cube)
    assert expected == outcome(parquet.decode, file(pa.table({"X": flat})), cube)
    turned = pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.float32(), [2, 2], permutation=[1, 0]), flat)
    assert "wrong-datatype" == outcome(arrow_stream.decode, stream(pa.table({"X": turned})), cube)
    for column in (nested, tensors):
        assert "wrong-shape" == outcome(arrow_stream.decode, stream(pa.table({"X": column})), echo(spec("X", "FP32", "n", 4, 1)))


STRINGS = ["a", "grüße", "", "a", "x" * 40]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(STRINGS),
        pa.array(STRINGS, pa.large_string()),
        pa.array(STRINGS, pa.string_view()),
        pa.array(STRINGS).dictionary_encode(),
        pa.array([text.encode() for text in STRINGS]),
        pa.array([text.encode() for text in STRINGS], pa.binary_view()),
        pa.array(["before", *STRINGS, "after"], pa.string_view())[1:-1],
        pa.array(["before", *STRINGS, "after"]).dictionary_encode()[1:-1],
    ],
)
def test_strings(column: pa.Array) -> None:
    """Strings come in as every type that Arrow has for them, dictionaries and views too."""
    assert {"s": STRINGS} == both(pa.table({"s": column}), TEXT)


def test_bytes_that_are_no_text() -> None:
    """Bytes that are no UTF-8 come in as they are."""
    found: Any = arrow_stream.decode(stream(pa.table({"s": [b"a\xff\x00"]})), NO_PARAMETERS, TEXT).inputs["s"]

    assert [b"a\xff\x00"] == [bytes_of(item) for item in found]


@pytest.mark.parametrize("rows", [1, 2, None])
def test_several_inputs_in_several_batches(rows: int | None) -> None:
    """Every kind of input in one table, whatever batches or row groups it is in."""
    table = pa.table(
        {
            "name": pa.array(["x", "y", "x"]).dictionary_encode(),
            "ok": [True, False, True],
            "age": [2**63 - 1, -(2**63), 0],
            "v": pa.array([[1, 2], [3, 4], [5, 6]], pa.list_(pa.float32(), 2)),
        }
    )
    expected = {"age": [[2**63 - 1], [-(2**63)], [0]], "name": ["x", "y", "x"], "ok": [True, False, True], "v": [[1, 2], [3, 4], [5, 6]]}

    assert expected == outcome(arrow_stream.decode, stream(table, rows=rows), SEVERAL)
    assert expected == outcome(parquet.decode, file(table, row_group_size=rows), SEVERAL)


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "lz4", "brotli"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_every_compression_of_parquet(codec: str, version: str, dictionary: bool) -> None:
    """Files are read however they are compressed, in pages of both versions, with dictionaries and without."""
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 5, 5000)
    table = pa.table({"age": numbers, "name": [f"name {i}" for i in numbers], "ok": numbers > 2, "v": list(rng.normal(size=(5000, 2)))})
    body = file(table, compression=codec, data_page_version=version, use_dictionary=dictionary, data_page_size=2000)
    found = outcome(parquet.decode, body, SEVERAL)

    assert (numbers.tolist(), [f"name {i}" for i in numbers]) == ([row[0] for row in found["age"]], found["name"])


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_compressed_streams(codec: str) -> None:
    """Streams are read compressed too; a buffer that is larger when it is compressed stays as it is."""
    table = pa.table({"age": [1, 2], "name": ["x", "y" * 1000], "ok": [True, False], "v": [[1.0, 2.0], [3.0, 4.0]]})
    expected = {"age": [[1], [2]], "name": ["x", "y" * 1000], "ok": [True, False], "v": [[1, 2], [3, 4]]}

    assert expected == outcome(arrow_stream.decode, stream(table, compression=codec), SEVERAL)


@pytest.mark.parametrize(
    ("table", "code", "words"),
    [
        ({"a": [1.0, None], "b": [1.0, 2.0]}, "not-finite", "row 2 of column 'a' is null; the model expects FP32"),
        ({"X": [[1.0, 2.0], [3.0, None]]}, "not-finite", "row 2 of column 'X' at [1] is null"),
        ({"X": [[1.0, 2.0], None]}, "not-finite", "row 2 of column 'X' is null"),
        ({"X": [[1.0, 2.0], [3.0]]}, "wrong-shape", "column 'X' holds arrays of 1 to 2 values"),
        ({"X": [[1.0, 2.0, 3.0]]}, "wrong-shape", "got [1, 3], the model expects FP32 [n, 2]"),
        ({"a": [1.0], "b": [1e39]}, "out-of-range", "row 1 of column 'b' is 1e+39"),
        ({"a": [1.0], "b": [True]}, "wrong-datatype", "column 'b' has the datatype bool; the model expects a number (FP32)"),
        ({"a": [1.0], "b": ["x"]}, "wrong-datatype", "column 'b' holds strings; the model expects FP32"),
        ({"a": [1.0], "b": pa.array([0], pa.timestamp("ms"))}, "wrong-datatype", "column 'b' has the type timestamp[ms]"),
        ({"a": [1.0], "b": pa.nulls(1)}, "wrong-datatype", "column 'b' has the type null"),
        ({"a": [1.0], "b": pa.array([{"c": 1}])}, "wrong-datatype", "column 'b' has the type struct"),
        ({"a": [1.0]}, "missing-input", "no column 'b'"),
        ({"a": [1.0], "b": [1.0], "__index_level_0__": [0]}, "unknown-input", "index=False"),
        ({"a": [1.0], "b": [[1.0, 2.0]]}, "wrong-shape", "hold arrays; send one column of arrays"),
        ({"a": pa.array([], pa.float32()), "b": pa.array([], pa.float32())}, "wrong-shape", "no rows"),
    ],
)
def test_what_is_wrong_is_named(table: dict[str, Any], code: str, words: str) -> None:
    """A bad value is named by its row and column, a bad column by its name and type, in both formats alike."""
    for module, body in ((arrow_stream, stream(pa.table(table))), (parquet, file(pa.table(table)))):
        with pytest.raises(Problem) as raised:
            module.decode(body, NO_PARAMETERS, IRIS)
        assert (code, True) == (raised.value.code, words in raised.value.detail), raised.value.detail


def test_rows_are_counted_over_batches() -> None:
    """The row of a bad value is that of the table, not of its batch."""
    with pytest.raises(Problem, match="row 4 of column 'a' is null"):
        arrow_stream.decode(stream(pa.table({"a": [1.0, 2.0, 3.0, None], "b": [1.0] * 4}), rows=2), NO_PARAMETERS, IRIS)


def test_nulls_and_nan_where_the_model_allows_them() -> None:
    """A null is NaN to a model that allows missing values; a NaN comes in, unless model.toml refuses it in every format."""
    nulls, nan = pa.table({"a": pa.array([1, None]), "b": [1.0, None]}), pa.table({"a": [1.0], "b": [float("nan")]})
    found: Any = arrow_stream.decode(stream(nulls), NO_PARAMETERS, echo(*IRIS.inputs, features=("a", "b"), nan_input="allow")).inputs["X"]

    np.testing.assert_array_equal(np.array([[1, 1], [np.nan, np.nan]], np.float32), found)
    assert "not-finite" == outcome(arrow_stream.decode, stream(nulls), IRIS)
    assert isinstance(outcome(arrow_stream.decode, stream(nan), IRIS), dict)
    assert "not-finite" == both(nan, echo(*IRIS.inputs, features=("a", "b"), nan_input="refuse"))
    assert "wrong-datatype" == both(pa.table({"s": ["a", None]}), TEXT)
    assert "wrong-datatype" == both(pa.table({"s": pa.array(["a", None]).dictionary_encode()}), TEXT)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), datatype=st.sampled_from(DATATYPES), size=st.integers(0, 3), rows=st.integers(1, 4))
def test_every_datatype_is_read_as_it_was_written(data: st.DataObject, datatype: Any, size: int, rows: int) -> None:
    """What pyarrow writes of a tensor is read to the last bit, as single values and as arrays, NaN and infinity too."""
    shape = (rows, size) if size else (rows,)
    values = data.draw(arrays(datatype, shape, finite=False))
    column = pa.array(values.reshape(-1).tolist() if datatype.kind == "string" else values.reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(column, size) if size else column
    signature = echo(TensorSpec("x", datatype, ("n", size) if size else ("n",)))
    table = pa.table({"x": column})
    found: Any = arrow_stream.decode(stream(table), NO_PARAMETERS, signature).inputs["x"]

    assert (values.dtype, shape, list(map(repr, values.reshape(-1).tolist()))) == (
        found.dtype,
        found.shape,
        list(map(repr, found.reshape(-1).tolist())),
    )
    if not (size and datatype.kind == "string"):
        again: Any = parquet.decode(file(table), NO_PARAMETERS, signature).inputs["x"]
        assert list(map(repr, values.reshape(-1).tolist())) == list(map(repr, again.reshape(-1).tolist()))


BIG = "x" * 1_000_000


@pytest.mark.parametrize(
    "body",
    [
        stream(pa.table({"s": [BIG] * 100}), compression="zstd"),
        file(pa.table({"s": [BIG] * 100}), compression="zstd", use_dictionary=False),
        stream(pa.table({"s": pa.DictionaryArray.from_arrays(pa.array([0] * 10_000, pa.int8()), [BIG])}), compression="zstd"),
        file(pa.table({"s": pa.DictionaryArray.from_arrays(pa.array([0] * 10_000, pa.int8()), [BIG])}), compression="zstd"),
        file(pa.table({"s": [""] * 9_000_000}), compression="zstd"),
    ],
    ids=["stream", "file", "stream's dictionary", "file's dictionary", "file of nothing"],
)
def test_bombs_are_refused(body: bytes) -> None:
    """A table that would take more than is taken once it is unpacked is refused by what it says of itself."""
    assert len(body) < 100_000
    with pytest.raises(BodyTooLarge):
        (arrow_stream if body[:1] == b"\xff" else parquet).decode(body, NO_PARAMETERS, TEXT)


def test_views_of_the_same_bytes_are_counted() -> None:
    """Views that show one long text again and again are refused: few bytes may be any number."""
    long = b"x" * 1_000_000
    view = struct.pack("<i4sii", len(long), long[:4], 0, 0)
    array = pa.Array.from_buffers(pa.string_view(), 1000, [None, pa.py_buffer(view * 1000), pa.py_buffer(long)])
    array.validate(full=True)

    with pytest.raises(BodyTooLarge):
        arrow_stream.decode(stream(pa.table({"s": array})), NO_PARAMETERS, TEXT)


def sharing(columns: int, rows: int) -> bytes:
    """A stream whose columns of zeros all say that they are the bytes of the first, and there are no others."""
    table = pa.table({f"X[{i}]": np.zeros(rows, np.float32) for i in range(columns)})
    schema, batch = pa.ipc.MessageReader.open_stream(stream(table))
    metadata, size = batch.metadata.to_pybytes(), 4 * rows
    for length in (0, size):
        for i in range(1, columns):
            metadata = metadata.replace(struct.pack("<qq", i * size, length), struct.pack("<qq", 0, length))
    metadata = metadata.replace(struct.pack("<q", columns * size), struct.pack("<q", size))
    body = bytearray()
    for head, tail in ((schema.metadata.to_pybytes(), b""), (metadata, bytes(size))):
        body += struct.pack("<II", 0xFFFFFFFF, len(head)) + head + tail
    return bytes(body) + struct.pack("<II", 0xFFFFFFFF, 0)


def test_columns_that_share_their_bytes_are_counted() -> None:
    """Columns that say they are the same bytes count each for itself: a small body may be any number of values."""
    assert {"X"} == set(outcome(arrow_stream.decode, sharing(3, 1000), echo(spec("X", "FP32", "n", 3))))
    body = sharing(98, 200_000)
    assert len(body) < 900_000

    with pytest.raises(BodyTooLarge, match="holds 78400000 bytes"):
        arrow_stream.decode(body, NO_PARAMETERS, echo(spec("X", "FP32", "n", 98)))


def test_numbers_are_counted_in_the_models_datatype() -> None:
    """What is small in the file and large in the model is counted by what it takes there, in columns of arrays too."""
    zeros = pa.array(np.zeros(10_000_000, np.int8))
    for column, sizes in ((zeros, ()), (pa.FixedSizeListArray.from_arrays(zeros, 10), (10,))):
        body = stream(pa.table({"X": column}), compression="zstd")
        with pytest.raises(BodyTooLarge, match="take 80000000 bytes as the model's inputs"):
            arrow_stream.decode(body, NO_PARAMETERS, echo(spec("X", "FP64", "n", *sizes)))


def test_strings_of_unknown_size_are_refused() -> None:
    """An encoding in which each string may repeat the one before is not taken, nor are arrays of strings in Parquet."""
    repeated = file(pa.table({"s": [BIG] * 5}), use_dictionary=False, column_encoding="DELTA_BYTE_ARRAY")
    lists = pa.table({"s": pa.array([["a", "b"]])})
    signature = echo(spec("s", "BYTES", "n", 2))

    assert "wrong-datatype" == outcome(parquet.decode, repeated, TEXT)
    assert "wrong-datatype" == outcome(parquet.decode, file(lists), signature)
    assert {"s": [["a", "b"]]} == outcome(arrow_stream.decode, stream(lists), signature)


def test_fields_that_share_their_inner_fields_are_counted() -> None:
    """A schema whose few bytes are more columns than a table has is refused before they are made."""
    schema = pa.schema([pa.field("a", pa.list_(pa.list_(pa.int8()))), *(pa.field(f"b{i}", pa.int8()) for i in range(200))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrow_stream, "_MOST_FIELDS", 203)
        arrow_stream.check_messages(pa, schema.serialize().to_pybytes(), b"")
        patch.setattr(arrow_stream, "_MOST_FIELDS", 202)
        with pytest.raises(Problem, match="over 202 columns"):
            arrow_stream.check_messages(pa, schema.serialize().to_pybytes(), b"")


def test_a_footer_is_read_as_pyarrow_reads_it() -> None:
    """The columns' parts that the footer names, and the pages in them, are those that pyarrow tells of."""
    table = pa.table({"a.b": [1.5, None] * 1000, "s": ["x", "y"] * 1000, "v": [[1, 2]] * 2000})
    body = file(table, row_group_size=700, data_page_size=500)
    metadata = pq.ParquetFile(io.BytesIO(body)).metadata
    footer = parquet_pages.footer(body)
    chunks = [metadata.row_group(group).column(column) for group in range(3) for column in range(3)]

    assert [(chunk.path_in_schema, chunk.num_values) for chunk in chunks] == [(chunk.path, chunk.values) for chunk in footer.chunks]
    sizes: dict[parquet_pages.Chunk, int] = {}
    for chunk, page in parquet_pages.pages(body, footer.chunks):
        sizes[chunk] = sizes.get(chunk, 0) + page.size
    # pyarrow counts the headers of pages in, and here each value's place in memory is counted too
    assert all(sizes[chunk] >= chunk.values * 4 for chunk in footer.chunks)
    assert len(set(footer.chunks)) == len(sizes)


@pytest.mark.parametrize(
    "body", [b"", b"\x15", b"\x1c" * 40, b"\x19\xff\xff\xff\xff\xff\x7f", b"\x18\x7fabc", b"\x1b\x01", b"\x15" + b"\xff" * 20]
)
def test_thrift_that_is_none(body: bytes) -> None:
    """A struct that ends too early, nests too deeply, or claims more than is there is an error, at once."""
    with pytest.raises((ValueError, IndexError, KeyError)):
        Compact(body, most_values=1000).struct()


TABLES = [
    pa.table({"a": [1.0, 2.0, 3.0], "b": pa.array([1, 2, 3], pa.int16())}),
    pa.table({"age": [1, 2], "name": pa.array(["x", "y"]).dictionary_encode(), "ok": [True, False], "v": [[1.0, 2.0], [3.0, 4.0]]}),
    pa.table({"s": pa.array(["a", "b" * 20], pa.string_view())}),
]
STREAMS = [stream(table, rows=2, compression=codec) for table in TABLES for codec in (None, "zstd", "lz4")]
FILES = [
    file(table, compression=codec, data_page_version=version) for table in TABLES for codec, version in (("none", "1.0"), ("zstd", "2.0"))
]


@settings(max_examples=500, deadline=None)
@given(body=mutated(STREAMS) | mutated(FILES) | st.binary(max_size=40), signature=st.sampled_from([IRIS, SEVERAL, TEXT]))
def test_any_bytes_are_a_table_or_a_problem_of_ours(body: bytes, signature: Signature) -> None:
    """Arbitrary bytes and damaged files never raise anything but our errors, and never end the process."""
    assert outcome(arrow_stream.decode, body, signature)
    assert outcome(parquet.decode, body, signature)


@pytest.mark.parametrize("media_type", ["application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"])
def test_without_the_library(media_type: str) -> None:
    """Where pyarrow is not installed the answer says so, and what to install; nothing else needs it."""
    script = (
        "import sys\n"
        "sys.modules['pyarrow'] = None\n"
        "from app.codecs import reader_of\n"
        "from app.errors import UnsupportedContentType\n"
        "from tests.codecs.tensors import echo, spec\n"
        f"reader, parameters = reader_of('predict', '{media_type}')\n"
        "try:\n"
        "    reader.decode(b'', parameters, echo(spec('x')))\n"
        "except UnsupportedContentType as problem:\n"
        "    print(problem.detail)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)

    assert "pyarrow, which is not installed here" in ended.stdout
    assert "EXTRAS=arrow" in ended.stdout
    assert (ROOT / "requirements/arrow.lock").exists()
