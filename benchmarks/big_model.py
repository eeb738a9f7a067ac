"""Writes an untrained ResNet-50 of 102 MB as an exporter that folds nothing would: Conv, BatchNormalization, Relu, Add.

Run as `python -m benchmarks.big_model FILE`, so that the benchmark itself never imports NumPy or onnx.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

SEED = 20260101
CLASSES = 1000
STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))  # ResNet-50: blocks, and the width inside them
EXPANSION = 4


class Graph:
    """Nodes and weights, added in the order they run."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(SEED)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node; the name of its output."""
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def weight(self, array: np.ndarray) -> str:
        """Add a weight; its name."""
        name = f"weight_{len(self.weights)}"
        data = array.astype(np.float32)
        self.weights.append(helper.make_tensor(name, TensorProto.FLOAT, data.shape, data.tobytes(), raw=True))
        return name

    def convolution(self, source: str, shape: tuple[int, int, int], stride: int = 1) -> str:
        """A convolution (channels out, channels in, kernel size) and its batch normalisation."""
        channels, before, size = shape
        scale = np.sqrt(2 / (before * size * size))
        kernel = self.weight(self.random.standard_normal((channels, before, size, size)) * scale)
        pads = [size // 2] * 4
        convolved = self.node("Conv", source, kernel, kernel_shape=[size, size], pads=pads, strides=[stride, stride])
        moments = [self.weight(self.random.uniform(low, high, channels)) for low, high in ((0.5, 1), (-0.1, 0.1))]
        moments += [self.weight(self.random.uniform(low, high, channels)) for low, high in ((-0.1, 0.1), (0.9, 1.1))]
        return self.node("BatchNormalization", convolved, *moments)

    def block(self, source: str, before: int, width: int, stride: int) -> str:
        """A bottleneck with its shortcut."""
        after = width * EXPANSION
        inner = self.node("Relu", self.convolution(source, (width, before, 1)))
        inner = self.node("Relu", self.convolution(inner, (width, width, 3), stride))
        inner = self.convolution(inner, (after, width, 1))
        shortcut = source if before == after else self.convolution(source, (after, before, 1), stride)
        return self.node("Relu", self.node("Add", inner, shortcut))


def big_model() -> onnx.ModelProto:
    """The model: `image` [batch, 3, height, width] to `scores` [batch, 1000]."""
    graph = Graph()
    layer = graph.node("Relu", graph.convolution("image", (64, 3, 7), 2))
    layer = graph.node("MaxPool", layer, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])
    channels = 64
    for stage, (blocks, width) in enumerate(STAGES):
        for number in range(blocks):
            layer = graph.block(layer, channels, width, 2 if stage and not number else 1)
            channels = width * EXPANSION
    layer = graph.node("Flatten", graph.node("GlobalAveragePool", layer))
    matrix = graph.weight(graph.random.standard_normal((channels, CLASSES)) * 0.01)
    graph.node("Add", graph.node("MatMul", layer, matrix), graph.weight(np.zeros(CLASSES)), output="scores")
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, "height", "width"])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", CLASSES])
    body = helper.make_graph(graph.nodes, "resnet50", [image], [scores], graph.weights)
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="benchmark")


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(big_model(), target)
