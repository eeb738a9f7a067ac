"""The answer of a row that is made up, from which it is read how wide the place of a row without an answer is."""

import io
import zipfile
from collections.abc import Callable

import numpy as np

from app.errors import Problem
from app.prediction import PredictionRequest, PredictionResponse
from app.tensors import Signature


def answer(asked: PredictionRequest, signature: Signature, ask: Callable[[PredictionRequest], PredictionResponse]) -> bytes | None:
    """The answer of one row of zeros.

    None for a model that refuses them, or whose rows have any width: that of the outputs may follow it.

    :raises Problem: what may succeed later.
    """
    files: dict[str, bytes] = {}
    for spec in signature.inputs:
        sizes = [size for size in (spec.shape or ())[1:] if isinstance(size, int)]
        if spec.shape is None or spec.optional or spec.sequence or len(sizes) != len(spec.shape) - 1:
            return None
        # An archive has strings of fixed width.
        file = io.BytesIO()
        np.save(file, np.zeros((1, *sizes), "U1" if spec.datatype.kind == "string" else spec.datatype.numpy))
        files[f"{spec.name}.npy"] = file.getvalue()
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    try:
        return ask(asked._replace(body=body.getvalue(), content_type="application/x-npz")).body
    except Problem as problem:
        if problem.retryable:
            raise
        return None
