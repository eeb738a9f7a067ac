"""The digits model: an 8x8 image of a handwritten digit in, the digit and ten probabilities out."""

import warnings
from collections.abc import Sequence
from string import Template

import numpy as np
from onnx import ModelProto, OperatorSetIdProto, TensorProto, checker, compose, helper, numpy_helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from training.example import HELD_OUT, OPSET, Example, Floats, Labels

EPOCHS = 60

MANIFEST = Template("""\
# Written by `python -m training`; change it in training/digits.py.
title = "Handwritten digits"
description = \"\"\"Reads one handwritten digit from an 8x8 greyscale image; a pixel is 0 (paper) to 16 (ink). \\
Trained on the Optical Recognition of Handwritten Digits data set (1998) as scikit-learn ships it; \\
from the UCI Machine Learning Repository.\"\"\"
labels = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]

[nan]
input = "refuse"
output = "null"

# How a PNG or JPEG becomes the input: grey, 8x8, ink turned from dark to bright, 0..255 turned into 0..16.
[image]
input = "image"
size = [8, 8]
# the mean of the pixels that make one, as the data set itself was made
resize = "box"
channels = "L"
layout = "HW"
scale = 0.062745098
mean = [0.0]
std = [1.0]
invert = true

[[examples]]
title = "A nought"
inputs.image = [
  [
$image
  ],
]

# Answers of scikit-learn itself; a build that gives other answers fails.
[golden]
file = "golden.json"
rtol = 1e-4
atol = 1e-5
""")


def samples() -> Floats:
    """All 1,797 images, shape [1797, 8, 8], pixels 0 to 16."""
    return np.asarray(load_digits().images, dtype=np.float32)


def labels() -> Labels:
    """The digit on every image of ``samples()``."""
    return np.asarray(load_digits().target, dtype=np.int64)


def estimator() -> Pipeline:
    """Fit the classifier on the images that are not held out; it takes them as [n, 8, 8] or as [n, 64].

    A network has no single optimum, so the fit is made a fixed computation instead: seeded weights and batches, a fixed
    number of epochs (``n_iter_no_change`` switches off the stopping rule, which rounding could tip), float64 all along,
    and so few steps that errors hardly grow: changing every pixel by a factor of 1e-12 moves no probability by more
    than about 1e-11, and another BLAS rounds at 1e-16. Width, activation, penalty and epochs were chosen by
    cross-validation on the same images.
    """
    images, _, digits, _ = _split()
    pipeline = make_pipeline(
        FunctionTransformer(_pixels),
        MLPClassifier((128,), alpha=1e-3, learning_rate_init=5e-3, max_iter=EPOCHS, n_iter_no_change=EPOCHS, random_state=0),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # all epochs are used up on purpose
        return pipeline.fit(images.astype(np.float64), digits)


def example() -> Example:
    """The example as a whole."""
    fitted = estimator()
    _, images, _, digits = _split()
    rows = "\n".join(f"    [{', '.join(f'{pixel:2.0f}' for pixel in row)}]," for row in samples()[0])
    return Example(
        name="digits",
        estimator=fitted,
        samples=samples(),
        accuracy=fitted.score(images, digits),
        model=_onnx_model(fitted),
        manifest=MANIFEST.substitute(image=rows),
    )


def _pixels(images: Floats) -> Floats:
    """Images as rows of 64 values from 0 to 1; dividing by 16 is exact."""
    return images.reshape(len(images), 64) / np.float32(16)


def _onnx_model(fitted: Pipeline) -> ModelProto:
    """The network as skl2onnx exports it, with ``_pixels`` as ONNX operators in front and the batch dimension named."""
    network = convert_sklearn(
        fitted[1:],
        name="network",
        initial_types=[("pixels", FloatTensorType([None, 64]))],
        options={"zipmap": False},
        target_opset=OPSET,
    )
    model = compose.merge_models(
        _pixels_model(network.ir_version, network.opset_import),
        network,
        io_map=[("rows", "pixels")],
        name="digits",
        producer_name="onnx-lambda",
    )
    opsets = {opset.domain: opset for opset in model.opset_import}  # merge_models lists each of them twice
    del model.opset_import[:]
    model.opset_import.extend(sorted(opsets.values(), key=lambda opset: opset.domain))
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[0].dim_param = "batch"
    checker.check_model(model, full_check=True)
    return model


def _pixels_model(ir_version: int, opsets: Sequence[OperatorSetIdProto]) -> ModelProto:
    """``_pixels`` as a model: image [batch, 8, 8] to rows [batch, 64]; a 0 in a Reshape keeps that dimension."""
    graph = helper.make_graph(
        nodes=[
            helper.make_node("Reshape", ["image", "row_shape"], ["flat"], name="Flatten"),
            helper.make_node("Div", ["flat", "full_ink"], ["rows"], name="Scale"),
        ],
        name="pixels",
        inputs=[helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 8, 8])],
        outputs=[helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["batch", 64])],
        initializer=[
            numpy_helper.from_array(np.array([0, 64], dtype=np.int64), "row_shape"),
            numpy_helper.from_array(np.array(16, dtype=np.float32), "full_ink"),
        ],
    )
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)


def _split() -> tuple[Floats, Floats, Labels, Labels]:
    images, held_out_images, digits, held_out_digits = train_test_split(
        samples(), labels(), test_size=HELD_OUT, stratify=labels(), random_state=0
    )
    return images, held_out_images, digits, held_out_digits
