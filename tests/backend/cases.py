"""ONNX's own backend test cases, and which of them ONNX Runtime itself can run."""

import functools
import warnings
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import numpy_helper

# What one input or output carries: a tensor, a sequence of tensors, or nothing.
Value = Any


class Case(NamedTuple):
    """A model, and data sets of its inputs and outputs by name, each to be met within ``rtol`` and ``atol``."""

    name: str
    model: bytes
    data_sets: list[tuple[dict[str, Value], dict[str, Value]]]
    rtol: float
    atol: float
    # why it cannot be served, whoever serves it; empty for a case that must pass
    left_out: str


@functools.cache
def all_cases() -> tuple[Case, ...]:
    """Every node and simple case of the installed onnx package, in the order of their names."""
    with warnings.catch_warnings():
        # The cases compute their own expected values, some of them at the limits of a datatype.
        warnings.simplefilter("ignore", RuntimeWarning)
        from onnx.backend.test import loader

        found = [case for kind in ("node", "simple") for case in loader.load_model_tests(kind=kind)]
        return tuple(_case(case) for case in sorted(found, key=lambda case: case.name))


def _case(found: Any) -> Case:
    model = found.model if found.model is not None else onnx.load(f"{found.model_dir}/model.onnx")
    data_sets = found.data_sets if found.data_sets is not None else _stored(found.model_dir, model)
    inputs, outputs = [i.name for i in model.graph.input], [o.name for o in model.graph.output]
    named = [
        (dict(zip(inputs, map(_value, given), strict=False)), dict(zip(outputs, map(_value, wanted), strict=False)))
        for given, wanted in data_sets
    ]
    case = Case(found.name, model.SerializeToString(), named, found.rtol, found.atol, "")
    return case._replace(left_out=_cannot_be_served(model) or _refused_by_onnx_runtime(case))


def _stored(folder: str, model: onnx.ModelProto) -> list[tuple[list[Any], list[Any]]]:
    from pathlib import Path

    return [
        (_messages(data, "input", model.graph.input), _messages(data, "output", model.graph.output))
        for data in sorted(Path(folder).glob("test_data_set_*"))
    ]


def _messages(data: Any, kind: str, declared: Any) -> list[Any]:
    found = []
    for number, info in enumerate(declared):
        file = data / f"{kind}_{number}.pb"
        # Inputs beyond these have an initializer.
        if not file.exists():
            break
        message = {"sequence_type": onnx.SequenceProto, "optional_type": onnx.OptionalProto}.get(info.type.WhichOneof("value"), T)()
        message.ParseFromString(file.read_bytes())
        found.append(message)
    return found


def _value(given: Any) -> Value:
    if isinstance(given, T):
        return numpy_helper.to_array(given)
    if isinstance(given, onnx.SequenceProto):
        return [_value(item) for item in numpy_helper.to_list(given)]
    if isinstance(given, onnx.OptionalProto):
        return _value(numpy_helper.to_optional(given))
    if isinstance(given, list):
        return [_value(item) for item in given]
    return None if given is None else np.asarray(given)


_WIRE_TYPES = {
    T.BOOL,
    T.UINT8,
    T.UINT16,
    T.UINT32,
    T.UINT64,
    T.INT8,
    T.INT16,
    T.INT32,
    T.INT64,
    T.FLOAT16,
    T.BFLOAT16,
    T.FLOAT,
    T.DOUBLE,
    T.STRING,
}


def _cannot_be_served(model: onnx.ModelProto) -> str:
    if any(node.op_type == "StringNormalizer" for node in model.graph.node):
        return "it needs the locale en_US, which not every machine has"
    for info in (*model.graph.input, *model.graph.output):
        kind = info.type
        while (outer := kind.WhichOneof("value")) in {"sequence_type", "optional_type"}:
            kind = getattr(kind, outer).elem_type
        if outer == "tensor_type" and kind.tensor_type.elem_type not in _WIRE_TYPES:
            return f"no wire format has {T.DataType.Name(kind.tensor_type.elem_type)}"
    return ""


def _refused_by_onnx_runtime(case: Case) -> str:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = ort.InferenceSession(case.model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        return f"ONNX Runtime cannot load it: {_why(error)}"
    for given, wanted in case.data_sets:
        try:
            found = _run(session, given)
        except Exception as error:
            return f"ONNX Runtime cannot run it: {_why(error)}"
        if not all(equal(case, found[name], value) for name, value in wanted.items()):
            return "ONNX Runtime's own answer is another one"
    return ""


def _run(session: ort.InferenceSession, given: dict[str, Value]) -> dict[str, Value]:
    names = [output.name for output in session.get_outputs()]
    if not any("bfloat16" in arg.type for arg in (*session.get_inputs(), *session.get_outputs())):
        return dict(zip(names, session.run(None, given), strict=True))
    # NumPy has no bfloat16, so its bits go in and come out.
    feeds = {
        name: ort.OrtValue.ortvalue_from_numpy_with_onnx_type(value.view(np.uint16), T.BFLOAT16)
        if value.dtype == ml_dtypes.bfloat16
        else ort.OrtValue.ortvalue_from_numpy(value)
        for name, value in given.items()
    }
    return dict(zip(names, map(_of_ort_value, session.run_with_ort_values(names, feeds, None)), strict=True))


def _of_ort_value(value: ort.OrtValue) -> Value:
    if value.data_type() != "tensor(bfloat16)":
        return value.numpy()
    import ctypes

    raw = ctypes.string_at(value.data_ptr(), value.tensor_size_in_bytes())
    return np.frombuffer(raw, ml_dtypes.bfloat16).reshape(value.shape())


def _why(error: Exception) -> str:
    text = str(error)
    for part, reason in (
        ("Could not find an implementation for", "it has no kernel for the operator"),
        ("Failed to find kernel", "it has no kernel for the operator"),
        ("is not a registered function/op", "it does not know the operator"),
        ("Opset", "the opset is newer than it"),
        ("is under development", "the opset is newer than it"),
        ("ai.onnx.preview", "it does not know the preview domain"),
        ("Exception during initialization", "it does not take the operator's attributes"),
        ("Type Error", "it does not take the types"),
    ):
        if part in text:
            return reason
    return "the operator fails" if "Non-zero status" in text else text.splitlines()[0][:80]


def equal(case: Case, found: Value, wanted: Value) -> bool:
    """Whether an answer is the case's own, as onnx's runner compares them: shape and datatype exactly, floats within tolerance."""
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(equal(case, f, w) for f, w in zip(found, wanted, strict=True))
    if wanted is None or found is None:
        return wanted is None and found is None
    if found.shape != wanted.shape:
        return False
    if wanted.dtype == np.object_ or wanted.dtype.kind in "US":
        return bool(found.astype(np.object_).tolist() == wanted.astype(np.object_).tolist())
    if found.dtype != wanted.dtype:
        return False
    wide = np.float64 if wanted.dtype.kind in "fV" else wanted.dtype
    return bool(np.allclose(found.astype(wide), wanted.astype(wide), rtol=case.rtol, atol=case.atol, equal_nan=wanted.dtype.kind in "fV"))
