"""JSON Lines in and out: an instance a line, a prediction a line, a bad line by its number."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.codecs import json_lines, number_array
from app.codecs.byte_strings import text_of
from app.errors import Invalid, Problem
from app.tensors import BY_NAME, DATATYPES, Signature, TensorSpec
from tests.codecs.tensors import NO_PARAMETERS, TAG, arrays, call_for, echo, mutated, outcome, spec

IRIS = echo(spec("X", "FP32", "n", 2), features=("a", "b"))
SEVERAL = echo(spec("X", "FP32", "n", 2), spec("s", "BYTES"))


@pytest.mark.parametrize(
    "body",
    [
        "[1,2]\n[3,4]\n",
        "\ufeff[1, 2]\r\n\r\n  \n[3, 4]",
        '{"a":1,"b":2}\n{"b":4,"a":3}',
        '{"X":[1,2]}\n{"X":[3,4]}',
    ],
)
def test_lines_are_rows(body: str) -> None:
    """A line is the input's value, or an object by input or feature name; blank lines are none."""
    assert {"X": [[1, 2], [3, 4]]} == outcome(json_lines.decode, body.encode(), IRIS)


def test_several_inputs() -> None:
    """For a model of several inputs a line is an object of them."""
    assert {"X": [[1, 2]], "s": ["ü"]} == outcome(json_lines.decode, '{"s":"ü","X":[1,2]}'.encode(), SEVERAL)
    assert "invalid-request" == outcome(json_lines.decode, b"[1,2]", SEVERAL)


@pytest.mark.parametrize(
    ("body", "code", "words", "pointer"),
    [
        ('[1,2]\n\n[1,"x"]', "wrong-datatype", "line 3: input 'X' at [1][1] is a string", "/1/1"),
        ('{"a":1,"b":2}\n{"a":1,"b":null}', "wrong-datatype", "line 2: input 'X' at [1][1] is null", "/1/b"),
        ('{"a":1,"b":2}\n{"a":1,"c":2}', "unknown-input", "line 2: row 1 has 'c'", "/1/c"),
        ("[1,2]\n[1,2,3]", "wrong-shape", "line 2: input 'X' is ragged", "/1"),
        ("[1,2,3]", "wrong-shape", "got [1, 3], the model expects FP32 [n, 2]", ""),
        ("[1,2]\n\n[1,2", "unreadable-json", "line 3: it is not valid JSON: unexpected end of data at byte 4", None),
        ("[1,2]\n[1,2] 3", "unreadable-json", "line 2: it is not valid JSON", None),
        ("[1,2]\n" + "[" * 65, "nested-too-deeply", "line 2: it nests arrays", None),
        ('{"a":1,"a":2}', "invalid-request", "line 1: An object has the key 'a' twice", None),
        ("1,2\n[3\n4]", "unreadable-json", "line 1", None),
        ("", "wrong-shape", "no line with a value", None),
        (" \n\r\n", "wrong-shape", "no line with a value", None),
        ("[1,2]\n" * 1000 + "[1,x]", "unreadable-json", "line 1001", None),
        ("[1,2]\n" * 1000 + "[1,1e39]", "out-of-range", "line 1001: input 'X' at [1000][1] is 1e+39", "/1000/1"),
        ("[1,2]\n" * 1000 + "[1]", "wrong-shape", "line 1001", "/1000"),
    ],
)
def test_a_bad_line_is_named(body: str, code: str, words: str, pointer: str | None) -> None:
    """What is wrong is named by the number of its line, blank ones counted, and by its place among the rows."""
    with pytest.raises(Problem) as raised:
        json_lines.decode(body.encode(), NO_PARAMETERS, IRIS)

    assert (code, pointer) == (raised.value.code, raised.value.pointer)
    assert words in raised.value.detail


numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.sampled_from([1e39, 0.5])
lines = st.lists(
    st.lists(numbers, min_size=2, max_size=2).map(json.dumps) | st.sampled_from(["[]", "[1]", "1", '"x"', "", "[1,,2]", "1,2"]), max_size=6
)


@settings(max_examples=500, deadline=None)
@given(body=lines.map("\n".join) | st.text("[]0123456789,.-e\n\r ", max_size=30))
def test_the_quick_way_reads_what_the_plain_way_reads(body: str) -> None:
    """Lines that go through simdjson at once give the values, or the complaint, that they give one by one."""
    signatures = [IRIS, echo(spec("x", "INT64", "n", 2)), echo(TensorSpec("x", BY_NAME["FP64"], None))]
    for signature in signatures:
        found: list[Any] = []
        for smallest in (10**9, 1):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(number_array, "CUT_FROM", smallest)
                try:
                    (value,) = json_lines.decode(body.encode(), NO_PARAMETERS, signature).inputs.values()
                    assert isinstance(value, np.ndarray)
                    found.append((value.dtype, value.tolist()))
                except Problem as problem:
                    found.append(problem.detail)
        assert found[0] == found[1]


def test_a_large_body_goes_the_quick_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large body of equal lines is read without a Python object for each line."""
    monkeypatch.setattr(json_lines, "_rows", None)
    rows = np.random.default_rng(0).normal(size=(3000, 2)).astype(np.float32)
    body = "".join(f"{row}\n" for row in rows.tolist()).encode()

    np.testing.assert_array_equal(rows, json_lines.decode(body, NO_PARAMETERS, IRIS).inputs["X"])


@settings(max_examples=400, deadline=None)
@given(body=st.binary(max_size=60) | mutated([b"[1,2]\n[3,4]\n", b'{"X":[1,2],"s":"x"}\n']), signature=st.sampled_from([IRIS, SEVERAL]))
def test_any_bytes_are_rows_or_a_problem_of_ours(body: bytes, signature: Signature) -> None:
    """Arbitrary bytes and damaged lines never raise anything but our errors."""
    assert outcome(json_lines.decode, body, signature)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), datatype=st.sampled_from(DATATYPES), inner=st.lists(st.integers(1, 3), max_size=3), rows=st.integers(1, 4))
def test_what_is_written_is_read_back(data: st.DataObject, datatype: Any, inner: list[int], rows: int) -> None:
    """decode(encode(x)) == x to the last bit for every datatype and shape that has rows."""
    signature = echo(TensorSpec("x", datatype, ("n", *inner)))
    values = data.draw(arrays(datatype, (rows, *inner), text=st.binary(max_size=4).map(text_of)))
    body = json_lines.encode(call_for({"x": values}, signature), signature, TAG, {"x": values}).body
    found: Any = json_lines.decode(body, NO_PARAMETERS, signature).inputs["x"]

    assert rows == body.count(b"\n")
    assert (values.dtype, values.shape, values.tolist()) == (found.dtype, found.shape, found.tolist())


def test_predictions_are_lines() -> None:
    """Several outputs are an object a line; the rank of classes is answered too; NaN by the policy."""
    signature = Signature((spec("x"),), (spec("label", "INT64"), spec("p", "FP32", "n", 2)), labels=("no", "yes"))
    outputs = {"label": np.array([0, 1]), "p": np.array([[0.75, 0.25], [np.nan, 1]], np.float32)}
    call = call_for({"x": np.zeros(2)}, signature)

    assert b'{"label":0,"p":[0.75,0.25]}\n{"label":1,"p":[null,1.0]}\n' == json_lines.encode(call, signature, TAG, outputs).body
    ranked = json_lines.encode(call._replace(outputs=("p",), top_k=1), signature, TAG, outputs).body
    assert b'[{"label":"no","index":0,"score":0.75}]\n' == ranked.splitlines(keepends=True)[0]


def test_an_output_without_rows_is_refused() -> None:
    """An output that does not have one value for each row is no line's."""
    signature = Signature((spec("x"),), (spec("y"),))

    with pytest.raises(Invalid):
        json_lines.encode(call_for({"x": np.zeros(2)}, signature), signature, TAG, {"y": np.zeros(3)})
