"""What every example model consists of."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

OPSET = 18
"""The newest operator set a model may ask for (skl2onnx writes the oldest that does); ONNX Runtime 1.14 knows it."""

HELD_OUT = 0.25
"""The share of the rows, stratified by class, that an estimator never sees and its accuracy is measured on."""


class Classifier(Protocol):
    """The part of a fitted scikit-learn classifier that is used here; scikit-learn has no type hints of its own."""

    def predict(self, rows: npt.NDArray[Any]) -> Labels:
        """The class of every row."""

    def predict_proba(self, rows: npt.NDArray[Any]) -> npt.NDArray[np.floating[Any]]:
        """The probability of every class, one row of them per row."""

    def score(self, rows: npt.NDArray[Any], labels: Labels) -> float:
        """The share of rows whose class is right."""


@dataclass(frozen=True)
class Example:
    """A fitted estimator, the ONNX model made from it, and what is needed to compare the two."""

    name: str
    estimator: Classifier
    samples: Floats
    accuracy: float
    model: ModelProto
    manifest: str

    @property
    def input_name(self) -> str:
        """The name of the model's only input."""
        return str(self.model.graph.input[0].name)

    @property
    def output_names(self) -> tuple[str, str]:
        """The names of the label and of the probability output, in the order in which skl2onnx writes them."""
        label, probability = self.model.graph.output
        return str(label.name), str(probability.name)

    @property
    def model_bytes(self) -> bytes:
        """The model file; ``deterministic`` orders what protobuf may otherwise write in any order."""
        return bytes(self.model.SerializeToString(deterministic=True))
