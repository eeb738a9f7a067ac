"""Compare an ONNX model, run by ONNX Runtime in float32, with the estimator that it was made from."""

from dataclasses import dataclass

import numpy as np
import onnxruntime

from training.example import Example

TOLERANCE = 1e-5


@dataclass(frozen=True)
class Agreement:
    """How far a model's answers are from scikit-learn's own over a whole data set."""

    rows: int
    wrong_labels: int
    largest_difference: float

    @property
    def holds(self) -> bool:
        """Whether every label is equal and every probability within ``TOLERANCE``; a NaN is not."""
        return self.wrong_labels == 0 and self.largest_difference <= TOLERANCE


def compare(example: Example) -> Agreement:
    """Answer every sample of an example with both."""
    session = onnxruntime.InferenceSession(example.model_bytes, providers=["CPUExecutionProvider"])
    labels, probabilities = session.run(list(example.output_names), {example.input_name: example.samples})
    if isinstance(probabilities, list):  # ZipMap: a dict of class to probability per row
        probabilities = np.array([[row[key] for key in sorted(row)] for row in probabilities])
    expected_labels = example.estimator.predict(example.samples)
    expected_probabilities = example.estimator.predict_proba(example.samples)
    if labels.shape != expected_labels.shape or probabilities.shape != expected_probabilities.shape:
        raise ValueError(f"{example.name}: outputs of shape {labels.shape} and {probabilities.shape}")
    return Agreement(
        rows=len(example.samples),
        wrong_labels=int(np.count_nonzero(labels != expected_labels)),
        largest_difference=float(np.abs(probabilities - expected_probabilities).max()),
    )
