"""JSON bodies: the quick way through large arrays gives what the plain way gives, for every body."""

import contextlib
import json
import math
import time
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.codecs import json_document, json_tensor, number_array, predict_json
from app.codecs.byte_strings import from_text
from app.codecs.call import ModelTag
from app.codecs.json_output import dumps, jsonable
from app.codecs.number_array import NumberArray
from app.errors import Invalid, OutOfRange, Problem, Unreadable
from app.tensors import BY_NAME, DATATYPES, Signature, TensorSpec, bfloat16_bits, bfloat16_values

TAG = ModelTag("m", "1", "sha256:0")
shapes = st.lists(st.integers(0, 5), min_size=0, max_size=4).map(tuple)


@pytest.fixture(autouse=True)
def cut_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut arrays out of bodies of any size, so that small examples go the quick way."""
    monkeypatch.setattr(number_array, "CUT_FROM", 8)


def plain(value: Any) -> Any:
    """The document with the arrays that were cut out put back."""
    if isinstance(value, NumberArray):
        return value.values()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
documents = st.recursive(
    st.none()
    | st.booleans()
    | numbers
    | st.text(max_size=12)
    | st.lists(numbers, max_size=12)
    | st.lists(st.lists(numbers, max_size=4), max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(document=documents, indent=st.sampled_from([None, 1]), ascii_only=st.booleans())
def test_every_document_is_read_as_orjson_reads_it(document: Any, indent: int | None, ascii_only: bool) -> None:
    """Cutting arrays out and putting them back changes nothing."""
    body = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode()

    assert orjson.loads(body) == plain(json_document.loads(body))


@settings(max_examples=600, deadline=None)
@given(body=st.binary(max_size=200) | st.text(alphabet='{}[]",:0123456789.eE-+ntrufalse\\ \n', max_size=200).map(str.encode))
def test_any_bytes_are_a_document_or_a_problem_of_ours(body: bytes) -> None:
    """Arbitrary bytes never raise anything but our errors, and what orjson reads is read the same."""
    try:
        expected = orjson.loads(body)
    except orjson.JSONDecodeError:
        expected = NotImplemented
    try:
        found = plain(json_document.loads(body))
    except (Unreadable, Invalid):
        # duplicate keys are refused, NaN is passed on to be refused where it stands
        return
    if expected is not NotImplemented:
        assert expected == found


def outcome(body: bytes, signature: Signature) -> str | int:
    """Whether a body is a call, or the status of the problem that it is; anything else that is raised goes on."""
    try:
        predict_json.decode(body, {}, signature)
    except Problem as problem:
        return problem.status
    return "a call"


@settings(max_examples=400, deadline=None)
@given(
    body=st.binary(max_size=120)
    | documents.map(lambda d: json.dumps({"inputs": d}).encode())
    | documents.map(lambda d: json.dumps({"instances": d}).encode())
)
def test_any_body_is_a_call_or_a_problem_of_ours(body: bytes) -> None:
    """Arbitrary bytes into the decoder never raise anything but our errors."""
    specs = (TensorSpec("x", BY_NAME["FP32"], ("n", 2)), TensorSpec("t", BY_NAME["BYTES"], None, optional=True))
    for signature in (Signature(specs[:1], specs[:1], features=("a", "b")), Signature(specs, specs)):
        assert outcome(body, signature) in {"a call", 400, 422}


@settings(max_examples=300, deadline=None)
@given(data=st.data(), datatype=st.sampled_from(DATATYPES), shape=shapes)
def test_what_is_written_is_read_back(data: st.DataObject, datatype: Any, shape: tuple[int, ...]) -> None:
    """decode(encode(x)) == x for every datatype and shape, to the last bit."""
    size = math.prod(shape)
    kind = datatype.numpy
    if datatype.kind == "string":
        texts = data.draw(st.lists(st.text(alphabet=st.characters(codec="utf-8"), max_size=5), min_size=size, max_size=size))
        items: list[Any] = [from_text(text) for text in texts]
    elif datatype.kind == "bool":
        items = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
    elif datatype.kind == "integer":
        limits = np.iinfo(kind)
        items = data.draw(st.lists(st.integers(int(limits.min), int(limits.max)), min_size=size, max_size=size))
    else:
        width = 16 if datatype.name == "FP16" else 64 if datatype.name == "FP64" else 32
        items = data.draw(st.lists(st.floats(width=width, allow_nan=False, allow_infinity=False), min_size=size, max_size=size))
        if datatype.name == "BF16":
            items = [x if abs(x) < 3.3e38 else 1.0 for x in items]
    array = np.empty(size, kind)
    array[:] = items
    array = array.reshape(shape)
    if datatype.name == "BF16":
        array = bfloat16_values(bfloat16_bits(array)).reshape(shape)
    # Zero-size dimensions after the first empty one cannot be told from nested brackets.
    spec = TensorSpec("x", datatype, None)
    body = dumps({"inputs": {"x": jsonable("x", array, "null")}})

    (found,) = predict_json.decode(body, {}, Signature((spec,), (spec,))).inputs.values()

    assert found.dtype == array.dtype
    if size:
        assert found.shape == array.shape
        assert found.tolist() == array.tolist()
    else:
        assert found.size == 0


def test_rows_and_columns_are_written() -> None:
    """Rows are answered by predictions, columns by outputs; ids come back."""
    spec = TensorSpec("x", BY_NAME["FP32"], ("n", 2))
    signature = Signature((spec,), (TensorSpec("y", BY_NAME["FP32"], ("n", 2)),))
    call = predict_json.decode(b'{"instances": [[1, 2], [3, 4]], "id": "7"}', {}, signature)
    found = orjson.loads(predict_json.encode(call, signature, TAG, {"y": np.array([[1, 2], [3, 4]], np.float32)}).body)

    assert {"model": {"name": "m", "version": "1", "digest": "sha256:0"}, "predictions": [[1.0, 2.0], [3.0, 4.0]], "id": "7"} == found


@pytest.mark.parametrize(
    "body",
    [
        b"[1.5, 2.5, 3.5",
        b"[[1,2,3,4],[5,6,7,8]",
        b"[1,2,3,,4,5,6]",
        b"[1 2 3 4 5 6 7]",
        b"[01,02,03,04]",
        b"[+1,+2,+3,+4,+5]",
        b"[1.,2.,3.,4.,5.]",
        b"[1e,2e,3e,4e,5e]",
        b"[[1,2],[3,4]]]]]]",
    ],
)
def test_malformed_arrays_are_not_json(body: bytes) -> None:
    """An array that only looks like numbers is refused, also on the quick way."""
    spec = TensorSpec("x", BY_NAME["FP32"], None)

    with pytest.raises(Problem) as raised:
        predict_json.decode(b'{"inputs": ' + body + b"}", {}, Signature((spec,), (spec,)))
    assert raised.value.status == 400


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_bfloat16_is_the_nearest(value: float) -> None:
    """A BF16 is the nearest there is, as ml_dtypes rounds too."""
    import ml_dtypes

    array = np.array([value], np.float32)
    with np.errstate(over="ignore"):
        expected = array.astype(ml_dtypes.bfloat16).view(np.uint16)
    assert expected.tolist() == bfloat16_bits(array).tolist()


@settings(max_examples=100, deadline=None)
@given(rows=st.integers(2, 9), columns=st.integers(1, 6), bad=st.sampled_from([None, "x", True, {}, [1.0], 1e39]), data=st.data())
def test_the_one_bad_value_is_named(rows: int, columns: int, bad: Any, data: st.DataObject) -> None:
    """Wherever one value is wrong, the pointer says where."""
    matrix: list[list[Any]] = [[1.0] * columns for _ in range(rows)]
    row, column = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    matrix[row][column] = bad
    spec = TensorSpec("x", BY_NAME["FP32"], ("n", columns))

    with pytest.raises(Problem) as raised:
        json_tensor.decode(json_document.loads(json.dumps(matrix).encode()), spec, "/inputs/x", allow_nan=False)
    pointer = raised.value.pointer or ""
    # an array among numbers may be told from either side
    assert pointer == f"/inputs/x/{row}/{column}" or isinstance(bad, list)


@pytest.mark.parametrize(("wrong", "at"), [(b"1,,2", 2), (b"1 2", 2), (b"1.,2", 2)])
def test_offsets_are_those_of_the_body(wrong: bytes, at: int) -> None:
    """In a large body too, the offset of what is wrong counts from the body's start."""
    head = b'{"inputs": [' + b"1.5," * 5000
    spec = TensorSpec("x", BY_NAME["FP32"], None)

    with pytest.raises(Problem, match=rf"at byte {len(head) + at}\b"):
        predict_json.decode(head + wrong + b"]}", {}, Signature((spec,), (spec,)))


@pytest.mark.parametrize("unit", ['\\\\"', "\\\\\\\\", '\\\\\\\\\\\\"', '"a",'])
def test_escapes_take_time_in_proportion(unit: str) -> None:
    """A string of a million escaped quotes or backslashes is read at once: eight times the text takes about eight times as long."""

    def seconds(count: int) -> float:
        body = ('{"inputs": ["' + unit * count + '"]}').encode()
        best = math.inf
        for _ in range(3):
            started = time.perf_counter()
            with contextlib.suppress(Unreadable, Invalid):
                json_document.loads(body)
            best = min(best, time.perf_counter() - started)
        return best

    # A quadratic scan would take 64 times as long; the ratio is taken in one run, with room for noise.
    assert seconds(160_000) < 30 * seconds(20_000) + 0.05


@pytest.mark.parametrize("big", [10**20, -(10**20), 2**64])
def test_integers_over_64_bits(big: int) -> None:
    """An integer over 64 bits is a float to a float model and out of range to an integer one, in a body of any size."""
    body = json.dumps({"inputs": [1] * 3000 + [big]}).encode()
    floats, integers = TensorSpec("x", BY_NAME["FP64"], None), TensorSpec("x", BY_NAME["UINT64"], None)

    (found,) = predict_json.decode(body, {}, Signature((floats,), (floats,))).inputs.values()
    assert float(big) == found[-1]  # type: ignore[index]
    with pytest.raises(OutOfRange):
        predict_json.decode(body, {}, Signature((integers,), (integers,)))


def test_overflow_is_not_the_infinity_that_a_model_may_allow() -> None:
    """1e400 is out of range, also for a model that allows infinity."""
    spec = TensorSpec("x", BY_NAME["FP64"], None)

    with pytest.raises(OutOfRange, match=r"input 'x' at \[1\] is 1e400") as raised:
        predict_json.decode(b'{"inputs": [1, 1e400]}', {}, Signature((spec,), (spec,), nan_input="allow"))
    assert "/inputs/1" == raised.value.pointer


def test_the_overflowing_number_is_blamed() -> None:
    """65519 rounds down to the largest float16 and is taken; beside it 65520 is refused, by its own place."""
    spec = TensorSpec("x", BY_NAME["FP16"], None)

    with pytest.raises(OutOfRange) as raised:
        predict_json.decode(b'{"inputs": [65519, 65520]}', {}, Signature((spec,), (spec,)))
    assert "/inputs/1" == raised.value.pointer


def test_an_array_among_strings_is_an_array() -> None:
    """A long array of numbers among strings is told as an array, whatever it was read into."""
    spec = TensorSpec("x", BY_NAME["BYTES"], None)

    with pytest.raises(Problem, match="stands an array where"):
        predict_json.decode(json.dumps({"inputs": ["a", [1.5] * 4000, "b"]}).encode(), {}, Signature((spec,), (spec,)))


def test_pointers_are_places_of_the_body() -> None:
    """Names are escaped, rows and bare tensors have no name in their pointer."""
    spec = TensorSpec("serving/x:0", BY_NAME["FP32"], ("n", 2))
    signature = Signature((spec,), (spec,))
    for body, pointer in (
        ({"instances": [[1, 2, 3]]}, "/instances"),
        ({"inputs": [[1, 2, 3]]}, "/inputs"),
        ({"inputs": [["a", 2]]}, "/inputs/0/0"),
        ({"inputs": {"serving/x:0": [[1, 2, 3]]}}, "/inputs/serving~1x:0"),
        ({"inputs": {"serving/x:0": [[1, "a"]]}}, "/inputs/serving~1x:0/0/1"),
        ({"instances": [{"serving/x:0": ["a", 1]}]}, "/instances/0/serving~1x:0/0"),
    ):
        with pytest.raises(Problem) as raised:
            predict_json.decode(json.dumps(body).encode(), {}, signature)
        assert pointer == raised.value.pointer, body


@pytest.mark.parametrize("number", ["9007199254740993.0", "-9007199254740993.0", "9.007199254740993e15"])
def test_decimals_that_may_be_another_integer_are_refused(number: str) -> None:
    """From 2^53 on a decimal is read as a double that may be another integer than the one that was written."""
    spec = TensorSpec("x", BY_NAME["INT64"], None)

    with pytest.raises(OutOfRange, match="written with digits only"):
        predict_json.decode(f'{{"inputs": [{number}]}}'.encode(), {}, Signature((spec,), (spec,)))


@pytest.mark.parametrize("policy", ["null", "string"])
def test_shortest_digits_beside_nan(policy: str) -> None:
    """A narrow float has its own shortest digits also as a scalar, and beside a NaN."""
    values = np.array([[0.1, np.nan], [np.inf, 1e-7]], np.float32)
    shown = {"null": ["null", "null"], "string": ['"NaN"', '"Infinity"']}[policy]

    assert f"[[0.1,{shown[0]}],[{shown[1]},1e-7]]" == dumps(jsonable("y", values, policy)).decode()
    assert b"0.1" == dumps(jsonable("y", np.array(0.1, np.float32), policy))
    assert b"null" == dumps(jsonable("y", np.array(np.nan, np.float16), "null"))
