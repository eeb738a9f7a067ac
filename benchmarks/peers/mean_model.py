"""Writes a model that answers with the mean of its input, numbers for it, and their mean: `python -m benchmarks.peers.mean_model FOLDER COUNT`.

Run as a process of its own, so that the benchmark itself never imports NumPy or onnx.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import orjson
from onnx import TensorProto, helper


def mean_model() -> onnx.ModelProto:
    """`X` [n] to `mean` [1], float32."""
    node = helper.make_node("ReduceMean", ["X"], ["mean"], axes=[0], keepdims=1)
    numbers = helper.make_tensor_value_info("X", TensorProto.FLOAT, ["n"])
    mean = helper.make_tensor_value_info("mean", TensorProto.FLOAT, [1])
    graph = helper.make_graph([node], "mean", [numbers], [mean])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="benchmark")


def main() -> None:
    """Write the files."""
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    target = folder / "models" / "mean" / "1" / "model.onnx"
    target.parent.mkdir(parents=True)
    onnx.save(mean_model(), target)
    numbers = np.random.default_rng(1).standard_normal(count).astype("<f4")
    (folder / "X.json").write_bytes(orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY))
    np.save(folder / "X.npy", numbers)
    (folder / "mean.json").write_text(json.dumps(float(numbers.mean(dtype=np.float64))))


if __name__ == "__main__":
    main()
