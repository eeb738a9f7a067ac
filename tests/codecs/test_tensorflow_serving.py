"""TensorFlow Serving's dialect: what is written is read back, and nothing but our errors is raised."""

import base64
import json
import math
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.codecs import tensorflow_serving
from app.codecs.call import Call, ModelTag
from app.codecs.json_output import dumps, jsonable
from app.errors import Invalid, Problem
from app.tensors import BY_NAME, DATATYPES, Array, Datatype, Signature, TensorSpec, bfloat16_bits, bfloat16_values

TAG = ModelTag("m", "1", "sha256:0")
FP32, BYTES = BY_NAME["FP32"], BY_NAME["BYTES"]
shapes = st.lists(st.integers(1, 4), max_size=3).map(tuple)


def items_of(datatype: Datatype) -> st.SearchStrategy[Any]:
    if datatype.kind == "string":
        return st.text(alphabet=st.characters(codec="utf-8"), max_size=5)
    if datatype.kind == "bool":
        return st.booleans()
    if datatype.kind == "integer":
        limits = np.iinfo(datatype.numpy)
        return st.integers(int(limits.min), int(limits.max))
    width = {"FP16": 16, "FP64": 64}.get(datatype.name, 32)
    return (
        st.floats(-(2.0**127), 2.0**127, width=32)
        if datatype.name == "BF16"
        else st.floats(width=width, allow_nan=False, allow_infinity=False)
    )


def tensor_of(data: st.DataObject, datatype: Datatype, shape: tuple[int, ...]) -> Array:
    size = math.prod(shape)
    array = np.empty(size, datatype.numpy)
    array[:] = data.draw(st.lists(items_of(datatype), min_size=size, max_size=size))
    return (bfloat16_values(bfloat16_bits(array)) if datatype.name == "BF16" else array).reshape(shape)


def same(expected: Array, found: Any) -> None:
    assert isinstance(found, np.ndarray)
    assert (expected.dtype, expected.shape, expected.tolist()) == (found.dtype, found.shape, found.tolist())


def encode(call: Call, signature: Signature, outputs: dict[str, Any]) -> Any:
    return orjson.loads(tensorflow_serving.encode(call, signature, TAG, outputs).body)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), datatype=st.sampled_from(DATATYPES), rows=st.integers(1, 4), rest=shapes, count=st.integers(1, 2))
def test_rows_that_are_written_are_read_back(data: st.DataObject, datatype: Datatype, rows: int, rest: tuple[int, ...], count: int) -> None:
    """Predictions of every datatype and shape, sent again as instances, are the same tensors to the last bit."""
    specs = tuple(TensorSpec(name, datatype, None) for name in ("a", "b_bytes")[:count])
    signature = Signature(specs, specs)
    tensors = {spec.name: tensor_of(data, datatype, (rows, *rest)) for spec in specs}
    predictions = encode(Call(tensors, tuple(tensors), form="rows"), signature, tensors)["predictions"]

    call = tensorflow_serving.decode(dumps({"instances": predictions}), {}, signature)

    assert ("rows", tuple(tensors)) == (call.form, call.outputs)
    assert rows == len(predictions)
    for name, expected in tensors.items():
        same(expected, call.inputs[name])


@settings(max_examples=300, deadline=None)
@given(data=st.data(), datatype=st.sampled_from(DATATYPES), shape=shapes, count=st.integers(1, 2))
def test_columns_that_are_written_are_read_back(data: st.DataObject, datatype: Datatype, shape: tuple[int, ...], count: int) -> None:
    """Outputs of every datatype and shape, scalars among them, sent again as inputs, are the same tensors to the last bit."""
    specs = tuple(TensorSpec(name, datatype, None) for name in ("a_bytes", "b")[:count])
    signature = Signature(specs, specs)
    tensors = {spec.name: tensor_of(data, datatype, shape) for spec in specs}
    outputs = encode(Call(tensors, tuple(tensors)), signature, tensors)["outputs"]

    call = tensorflow_serving.decode(dumps({"inputs": outputs}), {}, signature)

    assert "columns" == call.form
    for name, expected in tensors.items():
        same(expected, call.inputs[name])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=6) | st.just({"b64": "AA=="}),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "t", "b64", "é"]), inner, max_size=3),
    max_leaves=10,
)
documents = st.dictionaries(st.sampled_from(["instances", "inputs", "signature_name", "id"]), json_values, max_size=3)


def outcome(body: bytes, signature: Signature) -> set[str] | int:
    """The inputs of the call that a body is, or the status of the problem; anything else that is raised goes on."""
    try:
        return set(tensorflow_serving.decode(body, {}, signature).inputs)
    except Problem as problem:
        return problem.status


@settings(max_examples=500, deadline=None)
@given(body=st.binary(max_size=100) | (documents | json_values).map(lambda value: json.dumps(value).encode()))
def test_any_body_is_a_call_or_a_problem_of_ours(body: bytes) -> None:
    """Arbitrary bytes never raise anything but our errors."""
    number, text = TensorSpec("x", FP32, ("n", 2)), TensorSpec("t", BYTES, None, optional=True)
    for specs in ((number,), (text,), (TensorSpec("t", BYTES, ("n",)),), (number, text), (TensorSpec("x", FP32, None, sequence=True),)):
        assert outcome(body, Signature(specs, specs)) in (400, 422, {spec.name for spec in specs})


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [({"b64": "/wA="}, "\U0010ffff\0"), ({"x": {"b64": "aGk="}}, "hi"), ("hi", "hi")],
    ids=["bytes", "by name", "text"],
)
def test_one_value_of_bytes_needs_no_name(inputs: Any, expected: str) -> None:
    """{"b64"} in the place of "inputs" is the value of the one input, not an input of that name."""
    spec = TensorSpec("x", BYTES, ())
    call = tensorflow_serving.decode(dumps({"inputs": inputs}), {}, Signature((spec,), (spec,)))

    assert expected == call.inputs["x"].item()  # type: ignore[union-attr]


def test_an_input_may_be_named_b64() -> None:
    """Where an input has that name, the object names it."""
    spec = TensorSpec("b64", BYTES, ())
    call = tensorflow_serving.decode(b'{"inputs": {"b64": "hi"}}', {}, Signature((spec,), (spec,)))

    assert "hi" == call.inputs["b64"].item()  # type: ignore[union-attr]


def test_only_strings_are_bytes() -> None:
    """An output that is named for bytes is in base64 if it holds strings, in sequences too, and nothing where an optional is empty."""
    specs = (
        TensorSpec("n_bytes", FP32, None),
        TensorSpec("s_bytes", BYTES, None, sequence=True),
        TensorSpec("o_bytes", BYTES, None, optional=True),
    )
    outputs = {"n_bytes": np.ones(1, np.float32), "s_bytes": [np.array(["hi"], object), np.array("x", object)], "o_bytes": None}
    found = encode(Call({}, tuple(outputs)), Signature(specs, specs), outputs)

    assert {"n_bytes": [1.0], "s_bytes": [[{"b64": "aGk="}], {"b64": "eA=="}], "o_bytes": None} == found["outputs"]


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        ({"y": np.zeros(2, np.float32), "z": np.zeros(3, np.float32)}, "Tensor name: z has inconsistent batch size: 3 expecting: 2"),
        ({"y": np.zeros((), np.float32)}, "Tensor name: y has no shape information"),
        ({"y": None}, "Tensor name: y has no shape information"),
    ],
)
def test_outputs_that_are_no_rows(outputs: dict[str, Any], says: str) -> None:
    """Outputs that do not share their first dimension cannot be answered by row, and the message is the one that users search for."""
    signature = Signature((), tuple(TensorSpec(name, FP32, None) for name in outputs))

    with pytest.raises(Invalid, match=says) as raised:
        tensorflow_serving.encode(Call({}, tuple(outputs), form="rows"), signature, TAG, outputs)
    assert '"inputs"' in raised.value.detail


def test_rows_are_the_outputs() -> None:
    """As many predictions as the outputs have rows, also where the model gives another number of them than it got."""
    spec = TensorSpec("y", FP32, None)
    call = Call({"y": np.zeros(3, np.float32)}, ("y",), form="rows")

    assert {"predictions": [7.0]} == encode(call, Signature((spec,), (spec,)), {"y": np.array([7], np.float32)})


def test_not_a_number_follows_the_model() -> None:
    """NaN goes out as the model's policy says, and is always JSON."""
    spec = TensorSpec("y", FP32, None)
    value = np.array([1, np.nan, -np.inf], np.float32)
    for policy, expected in (("null", [1.0, None, None]), ("string", [1.0, "NaN", "-Infinity"])):
        signature = Signature((spec,), (spec,), nan_output=policy)  # type: ignore[arg-type]

        assert {"predictions": expected} == encode(Call({}, ("y",), form="rows"), signature, {"y": value})
        assert {"outputs": expected} == encode(Call({}, ("y",)), signature, {"y": value})


def test_default_outputs() -> None:
    """Only the outputs that the manifest chooses are answered: one of them is bare."""
    specs = (TensorSpec("y", FP32, None), TensorSpec("z", FP32, None))
    signature = Signature((TensorSpec("x", FP32, None),), specs, default_outputs=("z",))
    call = tensorflow_serving.decode(b'{"instances": [1]}', {}, signature)

    assert {"predictions": [2.0]} == encode(call, signature, {"z": np.array([2], np.float32)})


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"inputs": {"a/b": [1, "x"]}}, "/inputs/a~1b/1"),
        ({"inputs": [1, "x"]}, "/inputs/1"),
        ({"inputs": {"b64": "!"}}, "/inputs"),
        ({"instances": [{"a/b": "x"}]}, "/instances/0/a~1b"),
        ({"instances": [1, "x"]}, "/instances/1"),
        ({"signature_name": "other", "instances": [1]}, "/signature_name"),
    ],
)
def test_pointers_are_places_of_the_body(body: Any, pointer: str) -> None:
    """A problem points at its place in the body, whatever form that has."""
    spec = TensorSpec("a/b", FP32, None)

    with pytest.raises(Problem) as raised:
        tensorflow_serving.decode(dumps(body), {}, Signature((spec,), (spec,)))
    assert pointer == raised.value.pointer


@given(value=st.binary(max_size=20))
def test_any_bytes_come_back_in_base64(value: bytes) -> None:
    """Whatever bytes come in by {"b64"} go out by it, from an output that is named for bytes."""
    spec = TensorSpec("x_bytes", BYTES, None)
    signature = Signature((spec,), (spec,))
    sent = {"b64": base64.b64encode(value).decode()}
    call = tensorflow_serving.decode(dumps({"instances": [sent]}), {}, signature)

    assert {"predictions": [sent]} == encode(call, signature, {"x_bytes": call.inputs["x_bytes"]})


def test_jsonable_is_what_predict_writes() -> None:
    """An output that is not named for bytes is written as everywhere: text where it is text."""
    spec = TensorSpec("y", BYTES, None)
    value = np.array(["hi", "\U0010ffff"], object)

    assert {"outputs": jsonable("y", value, "null")} == encode(Call({}, ("y",)), Signature((spec,), (spec,)), {"y": value})
