"""The iris model: four measurements of a flower in, its species out, with skl2onnx's default ZipMap output."""

import numpy as np
from onnx import ModelProto
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from training.example import HELD_OUT, OPSET, Example, Floats, Labels

MANIFEST = """\
# Written by `python -m training`; change it in training/iris.py.
title = "Iris species"
description = \"\"\"Tells three species of iris apart by the size of their petals and sepals, in centimetres. \\
Trained on the Iris data set (1936) as scikit-learn ships it, from the UCI Machine Learning Repository.\"\"\"
# What /predict answers with, unless DEFAULT_MODEL says otherwise.
default = true
labels = ["setosa", "versicolor", "virginica"]
features = ["sepal_length", "sepal_width", "petal_length", "petal_width"]

[nan]
input = "refuse"
output = "null"

[[examples]]
title = "A setosa"
inputs = { X = [[5.1, 3.5, 1.4, 0.2]] }

[[examples]]
title = "A versicolor and a virginica"
inputs = { X = [[7.0, 3.2, 4.7, 1.4], [6.3, 3.3, 6.0, 2.5]] }

# Answers of scikit-learn itself; a build that gives other answers fails.
[golden]
file = "golden.json"
rtol = 1e-4
atol = 1e-5
"""


def samples() -> Floats:
    """All 150 flowers, shape [150, 4], rounded to the float32 that the model is given."""
    return np.asarray(load_iris().data, dtype=np.float32)


def labels() -> Labels:
    """The species of every flower of ``samples()``."""
    return np.asarray(load_iris().target, dtype=np.int64)


def estimator() -> Pipeline:
    """Fit the classifier on the rows that are not held out.

    With its L2 penalty the loss is strongly convex and has one minimum. Newton's method with an exact Cholesky solve
    converges to it quadratically, so the tolerance costs nothing and rounding stays rounding: changing every
    value by a factor of 1e-12 moves the probabilities by about 1e-12.
    """
    rows, _, species, _ = _split()
    return make_pipeline(
        StandardScaler(),
        LogisticRegression(solver="newton-cholesky", tol=1e-10),
    ).fit(rows.astype(np.float64), species)


def example() -> Example:
    """The example as a whole."""
    fitted = estimator()
    _, rows, _, species = _split()
    return Example(
        name="iris",
        estimator=fitted,
        samples=samples(),
        accuracy=fitted.score(rows, species),
        model=_onnx_model(fitted),
        manifest=MANIFEST,
    )


def _onnx_model(fitted: Pipeline) -> ModelProto:
    """What skl2onnx exports when it is asked for nothing; only the graph's name is given, else it would be random."""
    model: ModelProto = convert_sklearn(fitted, name="iris", initial_types=[("X", FloatTensorType([None, 4]))], target_opset=OPSET)
    # skl2onnx lists them in the order of a set, which differs from run to run.
    opsets = sorted(model.opset_import, key=lambda opset: opset.domain)
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    return model


def _split() -> tuple[Floats, Floats, Labels, Labels]:
    rows, held_out_rows, species, held_out_species = train_test_split(
        samples(), labels(), test_size=HELD_OUT, stratify=labels(), random_state=0
    )
    return rows, held_out_rows, species, held_out_species
