"""BentoML: a service with one API of NumPy arrays."""

import os
from typing import Annotated

import bentoml
import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from bentoml.validators import DType


@bentoml.service(workers=1)
class OnnxService:
    """Takes `X`."""

    def __init__(self) -> None:
        self.session = ort.InferenceSession(os.environ["MODEL_FILE"], providers=["CPUExecutionProvider"])
        self.output = self.session.get_outputs()[0].name

    @bentoml.api  # type: ignore[untyped-decorator]
    def predict(self, X: Annotated[npt.NDArray[np.float32], DType("float32")]) -> np.ndarray:
        """Run the model."""
        output: np.ndarray = self.session.run([self.output], {"X": X})[0]
        return output
