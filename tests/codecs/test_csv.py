"""CSV in and out: names in any order, cells strictly and by their place, the same numbers back."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.codecs import csv_input, csv_output, number_array
from app.codecs.call import Call
from app.errors import NotAcceptable, OutputNotFinite, Problem, WrongShape
from app.tensors import BY_NAME, DATATYPES, Signature, TensorSpec
from tests.codecs.tensors import NO_PARAMETERS, TAG, arrays, call_for, echo, mutated, outcome, spec

IRIS = echo(spec("X", "FP32", "n", 4), features=("a", "b", "c", "d"))
UNNAMED = echo(spec("X", "FP32", "n", 4))
MIXED = echo(spec("age", "INT64", "n", 1), spec("name", "BYTES"), spec("ok", "BOOL"))


def read(body: str | bytes, signature: Signature, **parameters: str) -> dict[str, Any]:
    """The inputs in a table, as lists."""
    encoded = body.encode() if isinstance(body, str) else body
    return {name: value.tolist() for name, value in csv_input.decode(encoded, parameters, signature).inputs.items()}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "body",
    [
        "1,2,3,4\n5,6,7,8\n",
        "1,2,3,4\r\n5,6,7,8\r\n",
        "1,2,3,4\r5,6,7,8",
        "\ufeff1,2,3,4\n\n5,6,7,8\n\n\n",
        "\n\na,b,c,d\n1,2,3,4\n5,6,7,8",
        "d,c,b,a\n4,3,2,1\n8,7,6,5\n",
        'd,c,b,"a"\n"4",3,2,1\n8,7, 6 ,\t5\n',
        "\ufeffb,a,d,c\r\n2,1,4,3\r\n6,5,8,7",
        "1.0,+2,.3e1,4.\n05,6E0,7e-0,0.8e+1",
    ],
)
def test_tables_are_read(body: str) -> None:
    """Names in any order or none, any line ends, blank lines, a byte order mark and quotes make no difference."""
    assert {"X": [[1, 2, 3, 4], [5, 6, 7, 8]]} == read(body, IRIS)


def test_several_inputs() -> None:
    """Each input of one value a row is a column of its name; integers are exact, strings keep quotes, commas and line breaks."""
    body = 'name,ok,age\n"grüße, \n ""x""",True,9007199254740993\n,0,3.0\n" y ",TRUE,-9223372036854775808\n'

    assert {
        "age": [[9007199254740993], [3], [-9223372036854775808]],
        "name": ['grüße, \n "x"', "", " y "],
        "ok": [True, False, True],
    } == read(body, MIXED)
    assert {"age": [[1]], "name": ["x"], "ok": [False]} == read("1,x,false", MIXED)


def test_values_of_one_input_by_number() -> None:
    """The values of an input without feature names are its columns by number; more dimensions are filled row by row."""
    assert {"X": [[1, 2, 3, 4]]} == read("X[3],X[0],X[1],X[2]\n4,1,2,3", UNNAMED)
    assert {"X": [[[1, 2, 3], [4, 5, 6]]]} == read("1,2,3,4,5,6", echo(spec("X", "FP32", "n", 2, 3)))
    assert {"X": [[[1, 2], [3, 4], [5, 6]]]} == read("1,2,3,4,5,6", echo(spec("X", "FP32", "n", "k", 2)))
    assert {"X": [[1, 2, 3]]} == read("1,2,3", echo(spec("X", "FP32", "n", "k")))
    assert {"ids": [[1, 2]], "mask": [[1, 0]]} == read(
        "mask[0],ids[0],mask[1],ids[1]\n1,1,0,2", echo(spec("ids", "INT64", "n", "seq"), spec("mask", "INT64", "n", "seq"))
    )


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("d,c,b,a", [[4, 3, 2, 1]]),
        ("a,b,c,nan", "unknown-input"),
        ("a,b,c", "missing-input"),
        ("a,b,c,1", "wrong-datatype"),
        ("true,b,c,d", "wrong-datatype"),
        ("inf,-inf,inf,4", [[math.inf, -math.inf, math.inf, 4], [1, 2, 3, 4]]),
        ("inf,inf,inf,inf", [[math.inf] * 4, [1, 2, 3, 4]]),
    ],
)
def test_header_is_recognised(first: str, expected: Any) -> None:
    """A first line with a number or nothing but missing values is a row; one of words where numbers are expected is a header."""
    found = outcome(csv_input.decode, f"{first}\n1,2,3,4".encode(), echo(*IRIS.inputs, features=IRIS.features, nan_input="allow"))

    assert expected == (found["X"] if isinstance(found, dict) else found)


def test_header_of_strings() -> None:
    """Where every input is text only the columns' own names make a header, and the media type overrules what is recognised."""
    signature = echo(spec("title", "BYTES"), spec("body", "BYTES"))

    assert {"title": ["x"], "body": ["y"]} == read("body,title\ny,x", signature)
    assert {"title": ["body", "y"], "body": ["title", "x"]} == read("body,title\ny,x", signature, header="absent")
    assert {"title": ["name", "y"], "body": ["text", "x"]} == read("name,text\ny,x", signature)
    assert "unknown-input" == outcome(csv_input.decode, b"name,text\ny,x", signature, {"header": "present"})
    assert {"X": [[0, 1, 2, 3]]} == read("0,1,2,3", echo(spec("X", "FP32", "n", 4), features=("3", "2", "1", "0")), header="absent")
    assert {"X": [[4, 3, 2, 1]]} == read("0,1,2,3\n1,2,3,4", echo(spec("X", "FP32", "n", 4), features=("3", "2", "1", "0")))


@pytest.mark.parametrize(
    ("body", "signature", "code", "words"),
    [
        ("1,2,3,x", IRIS, "wrong-datatype", "line 1 (row 1), column 4 is no number; the model expects a number (FP32)"),
        ("a,b,c,d\n1,2,3,4\n\n1,2,oops,4", IRIS, "wrong-datatype", "line 4 (row 2), column 3 'c' is no number"),
        ("d,c,b,a\n1,2,,4", IRIS, "not-finite", "line 2 (row 1), column 3 'b' is empty; the model expects a finite number (FP32)"),
        ("1,NaN,3,4", IRIS, "not-finite", "column 2 is NaN"),
        ("1,-inf,3,4", IRIS, "not-finite", "column 2 is -inf"),
        ("1,2,3,1e39", IRIS, "out-of-range", "column 4 is 1e+39; the model expects a number (FP32) of at most 3.40282e+38"),
        ("1,2,3,1e999", IRIS, "out-of-range", "column 4 is 1e999; the model expects a number (FP32); no datatype holds more"),
        ("1,2,3,1_000", IRIS, "wrong-datatype", "column 4 is no number"),
        ("1,2,3,0x10", IRIS, "wrong-datatype", "column 4 is no number"),
        ("1,2,3,٣", IRIS, "wrong-datatype", "column 4 is no number"),
        ('1,2,3,"1,000"', IRIS, "wrong-datatype", "column 4 is no number"),
        ("1,2,3,4\n1,2,3", IRIS, "wrong-shape", "line 2 (row 2) has 3 cells, and the lines before have 4"),
        ("1,2,3", IRIS, "wrong-shape", "line 1: There are 3 columns; the model expects 4: a, b, c, d."),
        ("5,1;3,5;1,4;0,2", IRIS, "wrong-shape", "There are semicolons in the line"),
        ("1\t2\t3\t4", IRIS, "unknown-input", "There are tabs in the line"),
        ("a;b;c;d\n1;2;3;4", IRIS, "unknown-input", "There are semicolons in the line"),
        ("a,b,c\n1,2,3", IRIS, "missing-input", "line 1: The table has no column 'd'; the model expects a, b, c, d."),
        ("a,b,c,e\n1,2,3,4", IRIS, "unknown-input", "There is no column 'e' in what the model takes: a, b, c, d."),
        ("a,b,c,d,e\n1,2,3,4,5", IRIS, "unknown-input", "There is no column 'e'"),
        ("a,b,a,d\n1,2,3,4", IRIS, "invalid-request", "The column 'a' stands twice"),
        (",a,b,c,d\n0,1,2,3,4", IRIS, "unknown-input", "index=False"),
        ("p,q,r,s\n1,2,3,4", UNNAMED, "unknown-input", '"features" in model.toml'),
        ("p,q,r,s\n1,2,3,4", UNNAMED, "unknown-input", "Content-Type: text/csv; header=absent"),
        ("X[0],X[1],X[3]\n1,2,3", UNNAMED, "missing-input", "no column 'X[2]'"),
        ("X[0],X[1],X[2],X[4]\n1,2,3,4", UNNAMED, "unknown-input", "no column 'X[4]'"),
        ("X[0],X[1],X[2],X[03]\n1,2,3,4", UNNAMED, "unknown-input", "no column 'X[03]'"),
        ("X[0],X[1],X[01],X[3]\n1,2,3,4", UNNAMED, "unknown-input", "no column 'X[01]'"),
        ("X[0],X[1],X[2],X[٣]\n1,2,3,4", UNNAMED, "unknown-input", "no column 'X[٣]'"),
        ("X,X[0]\n1,2", UNNAMED, "invalid-request", "stands beside columns of its values"),
        ("X\n1", UNNAMED, "wrong-shape", "got [1, 1], the model expects FP32 [n, 4]"),
        ("a,b,c,d\n", IRIS, "wrong-shape", "names and no rows"),
        ("", IRIS, "wrong-shape", "empty"),
        ("\n\r\n", IRIS, "wrong-shape", "empty"),
        ('1,2,3,"4', IRIS, "unreadable-request", "line 1: a quote is not closed"),
        ('1,2,3,4\n1,2,"3"x,4', IRIS, "unreadable-request", "line 2: a quote is not closed, or text follows one"),
        (b"\xff\xfe1\x00", IRIS, "unreadable-request", "UTF-16"),
        (b"1,2,3,\xe9", IRIS, "unreadable-request", "byte 6"),
        ("age,name,ok\n1.5,x,1", MIXED, "out-of-range", "line 2 (row 1), column 1 'age' is 1.5; the model expects a whole number (INT64)"),
        ("age,name,ok\n9007199254740993.0,x,1", MIXED, "out-of-range", "written with digits only"),
        ("age,name,ok\n9223372036854775808,x,1", MIXED, "out-of-range", "from -9223372036854775808 to 9223372036854775807"),
        ("age,name,ok\n" + "9" * 5000 + ",x,1", MIXED, "out-of-range", "column 1 'age'"),
        ("age,name,ok\n,x,1", MIXED, "not-finite", "column 1 'age' is empty"),
        ("age,name,ok\nold,x,1", MIXED, "wrong-datatype", "column 1 'age' is no number; the model expects a whole number (INT64)"),
        ("age,name,ok\n1,x,2", MIXED, "wrong-datatype", "column 3 'ok' is no boolean; the model expects true, false, 1 or 0"),
        ("age,name,ok\n1,x,", MIXED, "wrong-datatype", "column 3 'ok' is empty"),
    ],
)
def test_what_is_wrong_is_named(body: str | bytes, signature: Signature, code: str, words: str) -> None:
    """A bad cell is named by its line, row, column and the column's name; a bad table by what it lacks; with what to do."""
    with pytest.raises(Problem) as raised:
        csv_input.decode(body.encode() if isinstance(body, str) else body, NO_PARAMETERS, signature)

    assert (code, True) == (raised.value.code, words in raised.value.detail), raised.value.detail


@pytest.mark.parametrize("parameters", [{"charset": "latin-1"}, {"header": "maybe"}])
def test_media_types_parameters_are_checked(parameters: dict[str, str]) -> None:
    """Another charset than UTF-8, and another header than present or absent, are no content types that are taken."""
    assert "unsupported-content-type" == outcome(csv_input.decode, b"1,2,3,4", IRIS, parameters)
    assert {"X": [[1, 2, 3, 4]]} == outcome(csv_input.decode, b"1,2,3,4", IRIS, {"charset": "UTF-8", "label_size": "0"})


@pytest.mark.parametrize("parameters", [{}, {"header": "present"}, {"header": "absent"}])
def test_a_line_far_too_wide_is_refused_before_its_cells_are_read(monkeypatch: pytest.MonkeyPatch, parameters: dict[str, str]) -> None:
    """A line of a million commas is refused by its number of cells, of which none is looked at."""
    looked_at: list[str] = []
    monkeypatch.setattr(csv_input, "is_number", looked_at.append)

    with pytest.raises(WrongShape, match="line 1: There are 1000001 columns; the model expects 4"):
        read("," * 1_000_000, UNNAMED, **parameters)
    assert [] == looked_at


def test_missing_values_where_the_model_allows_them() -> None:
    """An empty cell and every spelling of a missing value are NaN to a model that allows it, in floats alone."""
    signature = echo(spec("X", "FP32", "n", 4), nan_input="allow")
    found = np.array(read("1,,NaN,NA\n-inf,null,Infinity,2", signature)["X"], np.float32)

    np.testing.assert_array_equal(np.array([[1, np.nan, np.nan, np.nan], [-np.inf, np.nan, np.inf, 2]], np.float32), found)
    assert "out-of-range" == outcome(csv_input.decode, b"1,2,3,1e999", signature)
    assert "not-finite" == outcome(csv_input.decode, b"1,,1", echo(spec("i", "INT64", "n", 3), nan_input="allow"))


@pytest.mark.parametrize(
    "inputs",
    [
        (spec("x", "FP32", "n", "a", "b"),),
        (TensorSpec("x", BY_NAME["FP32"], None, sequence=True),),
        (TensorSpec("x", BY_NAME["FP32"], ("n",), optional=True),),
    ],
)
def test_inputs_that_no_row_holds(inputs: tuple[TensorSpec, ...]) -> None:
    """Sequences, optionals and inputs with two free dimensions beside the batch are refused, with what to send instead."""
    assert "invalid-request" == outcome(csv_input.decode, b"1,2", echo(*inputs))


def test_which_columns_belong_to_which_input_is_not_guessed() -> None:
    """Two inputs of any number of values need names."""
    assert "invalid-request" == outcome(csv_input.decode, b"1,2", echo(spec("x", "FP32", "n", "a"), spec("y", "FP32", "n", "b")))


SIGNATURES = [
    IRIS,
    UNNAMED,
    MIXED,
    echo(spec("i", "INT64", "n", 2)),
    echo(spec("u", "UINT64", "n", 2)),
    echo(spec("x", "FP16"), spec("i", "INT64")),
    echo(spec("t", "BYTES", "n", "k"), nan_input="allow"),
    echo(TensorSpec("x", BY_NAME["FP64"], None), nan_input="allow"),
]
cells = st.text("0123456789+-.eE \t", max_size=4) | st.sampled_from(
    ["1", "-2.5", "9007199254740993", "1e39", "65520", "nan", "", "true", "x"]
)
tables = st.lists(st.lists(cells, min_size=1, max_size=4).map(",".join), max_size=5).flatmap(
    lambda lines: st.sampled_from(["\n", "\r\n"]).map(lambda end: end.join(lines))
)


@example(body="0,0,-0", signature=SIGNATURES[0])
@settings(max_examples=500, deadline=None)
@given(body=tables | st.text('0123456789.,-e\n\r"ab', max_size=40), signature=st.sampled_from(SIGNATURES))
def test_the_quick_way_reads_what_the_plain_way_reads(body: str, signature: Signature) -> None:
    """Whatever goes through simdjson gives the values, or the complaint, that the plain way gives."""
    found = []
    for smallest in (10**9, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(number_array, "CUT_FROM", smallest)
            try:
                call = csv_input.decode(body.encode(), NO_PARAMETERS, signature)
                found.append([(v.dtype, v.shape, v.tobytes()) if v.dtype != object else v.tolist() for v in call.inputs.values()])  # type: ignore[union-attr]
            except Problem as problem:
                found.append([problem.detail])

    assert found[0] == found[1]


def test_a_large_table_is_read_quickly_and_refused_precisely(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large table goes the quick way to the same numbers; its one bad cell is named."""
    rows = np.random.default_rng(0).normal(size=(3000, 4)).astype(np.float32)
    lines = ["d,c,b,a", *(",".join(map(repr, row)) for row in rows[:, ::-1].tolist())]
    found = csv_input.decode("\n".join(lines).encode(), NO_PARAMETERS, IRIS).inputs["X"]
    np.testing.assert_array_equal(rows, found)
    monkeypatch.setattr(csv_input, "_plain", None)
    np.testing.assert_array_equal(rows, csv_input.decode("\n".join(lines).encode(), NO_PARAMETERS, IRIS).inputs["X"])
    monkeypatch.undo()

    lines[2001] = "1,x,3,4"
    with pytest.raises(Problem, match=r"line 2002 \(row 2001\), column 2 'c' is no number"):
        csv_input.decode("\n".join(lines).encode(), NO_PARAMETERS, IRIS)


@settings(max_examples=500, deadline=None)
@given(
    body=st.binary(max_size=80) | mutated([b'a,b,c,d\n1,2,3,"4"\n', b'name,ok,age\n"a\nb",true,1\r\n', b"1,2\n" * 4]),
    signature=st.sampled_from(SIGNATURES),
    parameters=st.sampled_from([{}, {"header": "present"}, {"header": "absent"}]),
)
def test_any_bytes_are_a_table_or_a_problem_of_ours(body: bytes, signature: Signature, parameters: dict[str, str]) -> None:
    """Arbitrary bytes and damaged tables never raise anything but our errors."""
    assert outcome(csv_input.decode, body, signature, parameters)


@settings(max_examples=400, deadline=None)
@given(data=st.data(), datatype=st.sampled_from(DATATYPES), inner=st.lists(st.integers(1, 3), max_size=3), rows=st.integers(1, 4))
def test_what_is_written_is_read_back(data: st.DataObject, datatype: Any, inner: list[int], rows: int) -> None:
    """decode(encode(x)) == x to the last bit for every datatype and shape that has rows, with names and without."""
    signature = echo(TensorSpec("x", datatype, ("n", *inner)), nan_input="allow")
    values = data.draw(arrays(datatype, (rows, *inner)))
    call = call_for({"x": values}, signature)

    for writer in (csv_output, csv_output.bare):
        body, content_type = writer.encode(call, signature, TAG, {"x": values})
        parameters = {"header": content_type.rpartition("=")[2]}
        found: Any = csv_input.decode(body, parameters, signature).inputs["x"]
        assert (values.dtype, values.shape, values.tolist()) == (found.dtype, found.shape, found.tolist())


@pytest.mark.parametrize("policy", ["null", "string"])
def test_nan_and_infinity_come_out_by_the_policy(policy: str) -> None:
    """Policy null leaves the cell empty, and string writes a name; other digits of the row stay the shortest."""
    signature = Signature((spec("x"),), (spec("y", "FP32", "n", 3), spec("z")), nan_output=policy)  # type: ignore[arg-type]
    outputs = {"y": np.array([[0.1, np.nan, np.inf], [1, 2, -np.inf]], np.float32), "z": np.array([1, np.nan], np.float32)}
    found = csv_output.bare.encode(call_for({"x": np.zeros(2)}, signature), signature, TAG, outputs).body

    assert {"null": b"0.1,,,1.0\n1.0,2.0,,\n", "string": b"0.1,NaN,Infinity,1.0\n1.0,2.0,-Infinity,NaN\n"}[policy] == found
    alone = csv_output.bare.encode(Call({"x": np.zeros(2)}, ("z",)), signature, TAG, outputs).body
    assert {"null": b'1.0\n""\n', "string": b"1.0\nNaN\n"}[policy] == alone


def test_policy_error_refuses_nan() -> None:
    """Policy error names the output and the place, also where the request alone asks for it."""
    signature = Signature((spec("x"),), (spec("y"),))

    with pytest.raises(OutputNotFinite, match="output 'y' is NaN"):
        csv_output.encode(call_for({"x": np.zeros(1)}, signature, nan_output="error"), signature, TAG, {"y": np.array([math.nan])})


def test_columns_are_named() -> None:
    """An output of one value a row is a column of its name; of more, one for each label, or number where there are no labels."""
    signature = Signature(
        (spec("x"),),
        (spec("label", "BYTES"), spec("p", "FP32", "n", 3), spec("p_labels", "BYTES", 3), spec("q", "FP32", "n", 2, 1)),
        labels=("red", 'light, "blue"', "green"),
        constant_outputs=frozenset({"p_labels"}),
    )
    outputs = {
        "label": np.array(["red", "a\nb"], object),
        "p": np.array([[0.5, 0.25, 0.25], [1, 0, 0]]),
        "p_labels": np.array(["r", "b", "g"], object),
        "q": np.zeros((2, 2, 1), np.int8),
    }
    answer = csv_output.encode(call_for({"x": np.zeros(2)}, signature), signature, TAG, outputs)

    assert "text/csv; charset=utf-8; header=present" == answer.content_type
    assert 'label,p[red],"p[light, ""blue""]",p[green],q[0],q[1]\nred,0.5,0.25,0.25,0,0\n"a\nb",1.0,0.0,0.0,0,0\n' == answer.body.decode()


@pytest.mark.parametrize(
    ("outputs", "more"),
    [
        ({"y": [np.zeros(1)]}, {}),
        ({"y": None}, {}),
        ({"y": np.zeros(3)}, {"form": "rows"}),
        ({"y": np.array(["\U0010ffff"], object)}, {}),
        ({"y": np.zeros((1, 2))}, {"top_k": 1}),
    ],
    ids=["sequence", "nothing", "other rows", "bytes", "top_k"],
)
def test_answers_that_are_no_table(outputs: dict[str, Any], more: dict[str, Any]) -> None:
    """Sequences, empty optionals, outputs without a row for each row, bytes that are no text and rankings are refused."""
    signature = Signature((spec("x"),), (spec("y"),))

    with pytest.raises(NotAcceptable):
        csv_output.encode(call_for({"x": np.zeros(2)}, signature, **more), signature, TAG, outputs)


def test_a_table_of_one_scalar_and_one_without_rows() -> None:
    """A scalar is a table of one row, and an answer to no rows has names alone."""
    signature = Signature((spec("x"),), (spec("y"),))

    assert b"y\n3.5\n" == csv_output.encode(call_for({"x": np.float32(1)}, signature), signature, TAG, {"y": np.array(3.5)}).body
    assert b"y\n" == csv_output.encode(call_for({"x": np.zeros(0)}, signature), signature, TAG, {"y": np.zeros(0)}).body
