"""A case's data set over HTTP: by Triton's own client code in binary and in JSON, by this project's ``/predict`` for sequences."""

import json
from typing import Any

import httpx
import ml_dtypes
import numpy as np
import tritonclient.http as triton

from tests.backend.cases import Value

DATATYPES = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "bfloat16": "BF16",
    "float32": "FP32",
    "float64": "FP64",
    "object": "BYTES",
}
NUMPY = {name: np.dtype(dtype) for dtype, name in DATATYPES.items() if dtype != "bfloat16"} | {"BF16": np.dtype(ml_dtypes.bfloat16)}


def is_tensors(values: dict[str, Value]) -> bool:
    """Whether Open Inference can carry the values: it has no sequences and no absent values."""
    return all(isinstance(value, np.ndarray) for value in values.values())


def datatype(value: np.ndarray) -> str:
    return DATATYPES["object" if value.dtype.kind in "US" else value.dtype.name]


def binary(http: httpx.Client, model: str, given: dict[str, Value]) -> dict[str, Value]:
    """Raw tensors in and out, with the bytes that tritonclient makes and reads."""
    inputs = []
    for name, value in given.items():
        tensor = triton.InferInput(name, list(value.shape), datatype(value))
        tensor.set_data_from_numpy(_for_triton(value), binary_data=True)
        inputs.append(tensor)
    body, header_length = triton.InferenceServerClient.generate_request_body(inputs)
    headers = {} if header_length is None else {"Inference-Header-Content-Length": str(header_length)}
    answer = http.post(f"/v2/models/{model}/infer", content=body, headers=headers)
    assert 200 == answer.status_code, answer.text[:300]
    length = answer.headers.get("inference-header-content-length")
    result = triton.InferenceServerClient.parse_response_body(answer.content, header_length=None if length is None else int(length))
    outputs = {output["name"]: output["datatype"] for output in result.get_response()["outputs"]}
    return {name: _text(result.as_numpy(name)).astype(NUMPY[kind]) for name, kind in outputs.items()}


def json_tensors(http: httpx.Client, model: str, given: dict[str, Value]) -> dict[str, Value]:
    """Every value as JSON, in and out."""
    inputs = [
        {"name": name, "shape": list(value.shape), "datatype": datatype(value), "data": _listed(value)} for name, value in given.items()
    ]
    found = _post(http, f"/v2/models/{model}/infer", {"inputs": inputs})
    return {output["name"]: _array(output["data"], NUMPY[output["datatype"]]).reshape(output["shape"]) for output in found["outputs"]}


def json_values(http: httpx.Client, model: str, given: dict[str, Value], wanted: dict[str, Value]) -> dict[str, Value]:
    """Sequences and absent values, which only ``/predict`` has. JSON lists carry no datatype, so the wanted one is taken."""
    inputs = {
        name: [_listed(item) for item in value] if isinstance(value, list) else None if value is None else _listed(value)
        for name, value in given.items()
    }
    outputs = _post(http, f"/models/{model}/predict", {"inputs": inputs})["outputs"]
    return {name: _like(outputs[name], value) for name, value in wanted.items()}


def _post(http: httpx.Client, path: str, body: dict[str, Any]) -> Any:
    # json writes NaN and Infinity, as clients of model servers do.
    answer = http.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert 200 == answer.status_code, answer.text[:300]
    return answer.json()


def _listed(value: np.ndarray) -> Any:
    return value.astype(np.float64).tolist() if value.dtype == ml_dtypes.bfloat16 else value.tolist()


def _array(data: Any, dtype: np.dtype[Any]) -> np.ndarray:
    # "NaN" and "Infinity" are strings that float() reads.
    return (
        np.array([float(item) if dtype.kind in "fV" else item for item in data], dtype) if isinstance(data, list) else np.array(data, dtype)
    )


def _like(found: Any, wanted: Value) -> Value:
    if isinstance(wanted, list):
        items = wanted or [None] * len(found)
        return [_like(item, like) for item, like in zip(found, items, strict=True)]
    if wanted is None:
        return found
    return np.array(found, wanted.dtype).reshape(wanted.shape if np.array(found).size == 0 else np.array(found).shape)


def _for_triton(value: np.ndarray) -> np.ndarray:
    """The array that tritonclient takes for a datatype: objects for BYTES, float32 for BF16."""
    kind = np.object_ if value.dtype.kind in "US" else np.float32 if value.dtype == ml_dtypes.bfloat16 else value.dtype
    return np.asarray(value, kind, order="C")


def _text(value: np.ndarray) -> np.ndarray:
    return np.array([item.decode() for item in value.reshape(-1)], np.object_).reshape(value.shape) if value.dtype == np.object_ else value
