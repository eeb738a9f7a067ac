"""A model's configuration as Triton's model configuration extension answers it: its ``ModelConfig`` message as JSON.

https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto; field names are the message's own.
"""

from typing import Any

import orjson

from app.inference.loading import Loaded
from app.tensors import TensorSpec


def model_config(loaded: Loaded) -> dict[str, Any]:
    """The message's fields that say something here; what a reader does not find has the message's default.

    The largest batch is 0, which says that the first dimension stands in ``dims`` like every other.
    """
    signature, manifest = loaded.signature, loaded.manifest
    texts = {"title": manifest.title, "description": manifest.description, "digest": loaded.digest}
    if signature.labels:
        texts["labels"] = orjson.dumps(signature.labels).decode()
    return {
        "name": loaded.name,
        "platform": "onnxruntime_onnx",
        "backend": "onnxruntime",
        "version_policy": {"all": {}},
        "max_batch_size": 0,
        "input": [_tensor(spec) | {"format": "FORMAT_NONE", "optional": spec.optional} for spec in signature.inputs if not spec.sequence],
        "output": [_tensor(spec) | {"label_filename": ""} for spec in signature.outputs if not spec.sequence],
        "instance_group": [{"name": loaded.name, "kind": "KIND_CPU", "count": 1}],
        "default_model_filename": "model.onnx",
        "parameters": {key: {"string_value": text} for key, text in texts.items() if text},
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    datatype = "STRING" if spec.datatype.name == "BYTES" else spec.datatype.name
    return {"name": spec.name, "data_type": f"TYPE_{datatype}", "dims": shape_of(spec)}


def shape_of(spec: TensorSpec) -> list[int]:
    """A shape as both protocols write it: -1 for what varies, also for a rank that is not known."""
    return [-1] if spec.shape is None else [size if isinstance(size, int) else -1 for size in spec.shape]
