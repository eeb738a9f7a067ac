"""Open Inference's classification extension: a row of scores as its best classes, ``"<value>:<index>[:<label>]"``.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_classification.md
"""

from math import prod
from typing import Any

import numpy as np

from app.codecs.json_output import labels_of
from app.errors import Invalid
from app.tensors import Array, Signature, Value, strings


def classes(name: str, scores: Value, k: int, signature: Signature, known: Value) -> Array:
    """The ``k`` highest values of each row, best first, as strings: ``[rows, k]``, or ``[k]`` for an output of one dimension.

    A row is everything behind the first dimension; its values are written with their shortest digits.

    :param known: the class labels of a ZipMap, which stand in where ``model.toml`` names none.
    :raises Invalid: for an output that is no tensor of numbers, or has no classes.
    """
    width = prod(scores.shape[1:] or scores.shape) if isinstance(scores, np.ndarray) and scores.ndim else 0
    if not isinstance(scores, np.ndarray) or not width or scores.dtype.kind not in "fiu":
        raise Invalid(f"classification needs an output of scores [N, classes]; '{name}' is none.", pointer="/outputs")
    rows: Any = scores.reshape(-1, width)
    labels = labels_of(width, signature, known)
    # Both keys turn the order round without leaving the datatype, also for unsigned ones; stable keeps ties in class order.
    order = np.argsort(-rows if scores.dtype.kind == "f" else ~rows, axis=-1, kind="stable")[:, :k]
    picked = np.take_along_axis(rows, order, axis=-1)
    # NumPy cuts a float16 to digits that only another float16 reads as the same number.
    values = (picked.astype(np.float32) if picked.dtype == np.float16 else picked).astype(np.str_)
    ranked = zip(values.reshape(-1).tolist(), order.reshape(-1).tolist(), strict=True)
    texts = [f"{value}:{index}:{labels[index]}" if labels else f"{value}:{index}" for value, index in ranked]
    return strings(texts, order.shape[1:] if scores.ndim == 1 else order.shape)
