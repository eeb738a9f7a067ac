"""JSON on SageMaker's path: the form of the body decides, and the answer has the same."""

import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.codecs import json_document, number_array, sagemaker_json
from app.codecs.call import Call, ModelTag
from app.codecs.json_output import dumps
from app.codecs.number_array import NumberArray
from app.errors import Problem
from app.tensors import BY_NAME, DATATYPES, Datatype, Signature, TensorSpec
from tests.codecs.test_tensorflow_serving import json_values, same, shapes, tensor_of

TAG = ModelTag("m", "1", "sha256:0")
FP32 = BY_NAME["FP32"]
ONE = Signature((TensorSpec("x", FP32, ("n", 2)),), (TensorSpec("y", FP32, ("n",)),))


def answer(body: Any, signature: Signature = ONE, outputs: dict[str, Any] | None = None) -> Any:
    call = sagemaker_json.decode(dumps(body), {}, signature)
    return orjson.loads(sagemaker_json.encode(call, signature, TAG, outputs or {"y": np.array([7], np.float32)}).body)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), datatype=st.sampled_from(DATATYPES), rows=st.integers(1, 4), rest=shapes, count=st.integers(1, 2))
def test_bare_rows_that_are_written_are_read_back(
    data: st.DataObject, datatype: Datatype, rows: int, rest: tuple[int, ...], count: int
) -> None:
    """A bare array of predictions of every datatype and shape, sent again as it is, is the same tensors to the last bit."""
    specs = tuple(TensorSpec(name, datatype, None) for name in ("a", "b")[:count])
    signature = Signature(specs, specs)
    tensors = {spec.name: tensor_of(data, datatype, (rows, *rest)) for spec in specs}
    columns = {name: tensor.tolist() for name, tensor in tensors.items()}
    sent = columns["a"] if count == 1 else [{name: column[i] for name, column in columns.items()} for i in range(rows)]
    call = sagemaker_json.decode(json.dumps(sent).encode(), {}, signature)
    for name, expected in tensors.items():
        same(expected, call.inputs[name])
    again = sagemaker_json.decode(sagemaker_json.encode(call, signature, TAG, tensors).body, {}, signature)

    for name, expected in tensors.items():
        same(expected, again.inputs[name])


def outcome(body: bytes, signature: Signature) -> type | int:
    """A call, or the status of the problem that a body is; anything else that is raised goes on."""
    try:
        return type(sagemaker_json.decode(body, {}, signature))
    except Problem as problem:
        return problem.status


@settings(max_examples=500, deadline=None)
@given(
    body=st.binary(max_size=100)
    | (json_values | st.lists(json_values, max_size=4)).map(lambda value: json.dumps(value).encode())
    | st.lists(st.fixed_dictionaries({"datatype": json_values, "name": json_values}), min_size=1, max_size=2).map(
        lambda value: json.dumps({"inputs": value}).encode()
    )
)
def test_any_body_is_a_call_or_a_problem_of_ours(body: bytes) -> None:
    """Arbitrary bytes never raise anything but our errors."""
    text = TensorSpec("t", BY_NAME["BYTES"], None, optional=True)
    for specs in (ONE.inputs, (text,), (*ONE.inputs, text), (TensorSpec("x", FP32, None, sequence=True),)):
        assert outcome(body, Signature(specs, specs)) in {Call, 400, 422}


def test_each_form_is_answered_in_its_own() -> None:
    """Bare rows get a bare array, the bodies of /predict their objects, Open Inference's requests its response."""
    named = {"model": {"name": "m", "version": "1", "digest": "sha256:0"}}
    request = {"id": "1", "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
    tensor = {"name": "y", "datatype": "FP32", "shape": [1], "data": [7.0]}

    assert [7.0] == answer([[1, 2]])
    assert named | {"predictions": [7.0]} == answer({"instances": [[1, 2]]})
    assert named | {"outputs": {"y": [7.0]}} == answer({"inputs": [[1, 2]]})
    assert {"model_name": "m", "model_version": "1", "id": "1", "outputs": [tensor]} == answer(request)


def test_objects_without_a_datatype_are_values() -> None:
    """A list of {"b64"} values is a tensor, no list of Open Inference's."""
    spec = TensorSpec("x", BY_NAME["BYTES"], ("n",))
    found = answer({"inputs": [{"b64": "aGk="}]}, Signature((spec,), (spec,)), {"x": np.array(["hi"], object)})

    assert {"x": ["hi"]} == found["outputs"]


def test_several_outputs_are_objects() -> None:
    """Each row of a bare array is an object where the model has several outputs; class labels are left out, as they are no rows."""
    names = ("label", "scores", "scores_labels")
    signature = Signature(ONE.inputs, tuple(TensorSpec(name, FP32, None) for name in names), constant_outputs=frozenset(names[2:]))
    outputs = {"label": np.array([1]), "scores": np.array([[0.25, 0.75]]), "scores_labels": np.array([0, 1])}

    assert [{"label": 1, "scores": [0.25, 0.75]}] == answer([[1, 2]], signature, outputs)


@pytest.mark.parametrize(
    ("body", "pointer", "says"),
    [
        ([[1, 2], [3, "x"]], "/1/1", "input 'x' at [1][1] is a string"),
        ([[1, 2, 3]], "", "got [1, 3]"),
        ([{"x": [1, 2]}, {"q": 1}], "/1", "row 1 has 'q'"),
        ([], "", "The array is empty; send at least one row."),
        (5, "", "must be an array of rows, or an object"),
        ({"instances": [[1, "x"]]}, "/instances/0/1", "is a string"),
        ({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1]}]}, None, "x"),
    ],
)
def test_pointers_are_places_of_the_body(body: Any, pointer: str | None, says: str) -> None:
    """A problem points at its place in the body: in a bare array, at the row itself."""
    with pytest.raises(Problem) as raised:
        answer(body)
    assert says in raised.value.detail
    assert pointer is None or (raised.value.pointer or "").startswith(pointer)


def test_a_large_array_is_read_the_quick_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare array that is cut out of the body as a whole is rows too."""
    monkeypatch.setattr(number_array, "CUT_FROM", 8)
    body = dumps([[1.5, 2.5]] * 20)
    assert isinstance(json_document.loads(body), NumberArray)

    assert (20, 2) == sagemaker_json.decode(body, {}, ONE).inputs["x"].shape  # type: ignore[union-attr]
