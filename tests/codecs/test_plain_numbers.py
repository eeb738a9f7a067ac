"""The quick way for plain requests: the same as the strict way wherever it answers, and silent wherever it does not."""

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.codecs import json_document, open_inference, plain_numbers, predict_json, tensorflow_serving
from app.errors import Problem
from app.tensors import BY_NAME, Signature, TensorSpec

FLOATS = ["FP16", "BF16", "FP32", "FP64"]
numbers = st.floats(allow_nan=False, width=32) | st.integers(-(10**6), 10**6) | st.sampled_from([65503, 65504, 1e39, -0.0, 2**70])
values = st.recursive(
    numbers | st.none() | st.booleans() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=12,
) | st.lists(st.lists(numbers, min_size=2, max_size=2), max_size=4)
KEYS = ["inputs", "instances", "x", "X1", "X2", "outputs", "id", "parameters"]


def signature(datatype: str = "FP32", name: str = "X1", shape: tuple[Any, ...] | None = ("n", 2)) -> Signature:
    return Signature((TensorSpec(name, BY_NAME[datatype], shape),), (TensorSpec("y", BY_NAME["FP32"], None),))


@pytest.mark.parametrize("datatype", FLOATS)
@pytest.mark.parametrize(
    "body",
    [b'{"inputs": {"X1": [[1, 2.5], [3e2, -4]]}}', b'{"inputs":[[1,2.5]]}', b' {"instances" :[[1,2.5],\n[0.1, 7]] }', b'{"inputs": []}'],
)
def test_plain_bodies(body: bytes, datatype: str) -> None:
    """A plain body is the call that the strict way makes of it, to the last bit."""
    found = plain_numbers.call_of(body, signature(datatype, shape=None))
    expected = predict_json.call_of(json_document.loads(body), signature(datatype, shape=None))

    assert found is not None
    assert (expected.outputs, expected.form, expected.top_k) == (found.outputs, found.form, found.top_k)
    assert expected.inputs["X1"].dtype == found.inputs["X1"].dtype
    assert expected.inputs["X1"].tobytes() == found.inputs["X1"].tobytes()


@pytest.mark.parametrize(
    "body",
    [
        b'{"inputs": {"X2": [[1, 2]]}}',
        b'{"inputs": {"X1": [[1, 2]], "X1": [[3, 4]]}}',
        b'{"inputs": [[1, true]]}',
        b'{"inputs": [[1, null]]}',
        b'{"inputs": [["1", 2]]}',
        b'{"inputs": [[NaN, 2]]}',
        b'{"inputs": [[1e39, 2]]}',
        b'{"inputs": [[1], [1, 2]]}',
        b'{"inputs": [[1, 2, 3]]}',
        b'{"inputs": [1, 2]}',
        b'{"instances": []}',
        b'{"instances": 5}',
        b'{"inputs": [[1, 2]], "id": "a"}',
        b'{"inputs": [[1, 2}',
        b"{}",
        b"",
        b'{"inputs": ' + b"[" * 3000,
    ],
)
def test_all_others(body: bytes) -> None:
    """Whatever is wrong, or more than a plain body, is left to the strict way."""
    assert plain_numbers.call_of(body, signature()) is None


@pytest.mark.parametrize("datatype", sorted(BY_NAME.keys() - set(FLOATS)))
def test_models_of_other_datatypes(datatype: str) -> None:
    """Only floats are read the quick way: a fraction must not become an integer."""
    assert plain_numbers.call_of(b'{"inputs": [[1, 2]]}', signature(datatype)) is None


@given(
    st.dictionaries(st.sampled_from(KEYS), values | st.dictionaries(st.sampled_from(KEYS), values, max_size=2), max_size=2),
    st.sampled_from(FLOATS),
)
def test_the_two_ways_agree(document: dict[str, Any], datatype: str) -> None:
    """Wherever the quick way answers, the strict way answers the same."""
    try:
        body = orjson.dumps(document)
    except TypeError:
        return
    found = plain_numbers.call_of(body, signature(datatype))
    if found is None:
        return
    try:
        expected = predict_json.call_of(json_document.loads(body), signature(datatype))
    except Problem as problem:
        raise AssertionError(problem.detail) from problem

    assert expected.inputs["X1"].tobytes() == found.inputs["X1"].tobytes()
    assert (expected.form, expected.outputs) == (found.form, found.outputs)
    in_serving = tensorflow_serving.call_of(json_document.loads(body), signature(datatype))
    assert expected.inputs["X1"].tobytes() == in_serving.inputs["X1"].tobytes()
    assert (in_serving.form, in_serving.outputs) == (found.form, found.outputs)


def tensor(**changed: Any) -> bytes:
    """A plain Open Inference body of four numbers, and what of it is changed."""
    return orjson.dumps({"inputs": [{"name": "X1", "shape": [2, 2], "datatype": "FP32", "data": [1, 2.5, 3e2, -4]} | changed]})


@pytest.mark.parametrize("data", [[1, 2.5, 3e2, -4], [[1, 2.5], [3e2, -4]], [[[1], [2]], [[3], [4]]]])
def test_plain_tensors(data: Any) -> None:
    """A plain tensor is the one that the strict way makes of it, however its data is nested."""
    expected = open_inference.call_of(json_document.loads(tensor(data=data)), signature())

    found = open_inference.decode(tensor(data=data), {}, signature())
    assert plain_numbers.tensor_of(tensor(data=data), signature()) is not None
    assert expected.inputs["X1"].tobytes() == found.inputs["X1"].tobytes()
    assert (2, 2) == found.inputs["X1"].shape
    assert expected._replace(inputs={}) == found._replace(inputs={})


@pytest.mark.parametrize(
    "body",
    [
        tensor(name="X2"),
        tensor(datatype="FP64"),
        tensor(datatype="FP"),
        tensor(shape=[4, 1]),
        tensor(shape=[-2, -2]),
        tensor(shape=[2, 2.0]),
        tensor(shape=[[2, 2]]),
        tensor(shape=4),
        tensor(shape=[0, 2], data=[]),
        tensor(shape=[2, 2, 1]),
        tensor(data=[1, 2, 3]),
        tensor(data=[[1], [2, 3, 4]]),
        tensor(data=[1e39, 2, 3, 4]),
        tensor(data=[None, 2, 3, 4]),
        tensor(data=5),
        tensor(parameters={}),
        tensor().replace(b"[{", b"{").replace(b"}]", b"}"),
        tensor().replace(b"[{", b"[[{").replace(b"}]", b"}]]"),
        tensor().replace(b"}]", b"},1]"),
        tensor()[:-1],
        tensor() + b"1",
    ],
)
def test_all_other_tensors(body: bytes) -> None:
    """Whatever is wrong, or more than a plain tensor, is left to the strict way."""
    assert plain_numbers.tensor_of(body, signature()) is None


@given(st.lists(st.integers(-1, 4), max_size=3), values, st.sampled_from(FLOATS))
def test_the_two_ways_of_a_tensor_agree(shape: list[int], data: Any, datatype: str) -> None:
    """Wherever the quick way makes a tensor, the strict way makes the same."""
    try:
        body = tensor(shape=shape, data=data, datatype=datatype)
    except TypeError:
        return
    model = signature(datatype, shape=None)
    found = plain_numbers.tensor_of(body, model)
    if found is None:
        return
    expected = open_inference.call_of(json_document.loads(body), model).inputs["X1"]

    assert (expected.shape, expected.dtype, expected.tobytes()) == (found.shape, found.dtype, found.tobytes())


def test_large_bodies_go_the_way_of_buffers() -> None:
    """A body of many numbers is left to the reader that makes no Python objects of them."""
    body = orjson.dumps({"inputs": np.ones((1000, 2)).tolist()})

    assert plain_numbers.call_of(body, signature()) is None
