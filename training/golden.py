"""Golden samples: a few requests with the answers that scikit-learn, not ONNX Runtime, gives to them."""

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from training.example import Example, Floats

CASES = 8
MOST_ROWS = 3
DIGITS = 7


def golden_json(example: Example) -> str:
    """The golden file of an example: a JSON list with one case a line."""
    lines = (json.dumps(_case(example, rows), separators=(",", ":")) for rows in _batches(example.samples))
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _batches(samples: Floats) -> list[Floats]:
    """Batches of one to ``MOST_ROWS`` rows, spread evenly over the data."""
    starts = range(0, len(samples), -(-len(samples) // CASES))
    return [samples[start : start + 1 + case % MOST_ROWS] for case, start in enumerate(starts)]


def _case(example: Example, rows: Floats) -> dict[str, dict[str, Any]]:
    label, probability = example.output_names
    return {
        "inputs": {example.input_name: _rounded(rows)},
        "outputs": {
            label: example.estimator.predict(rows).tolist(),
            probability: _rounded(example.estimator.predict_proba(rows)),
        },
    }


def _rounded(values: npt.NDArray[np.floating[Any]]) -> Any:
    """Nested lists of numbers with seven significant digits, which is what float32 holds; whole numbers as such."""
    if values.ndim:
        return [_rounded(row) for row in values]
    number = float(f"{float(values):.{DIGITS}g}")
    return int(number) if number.is_integer() else number
