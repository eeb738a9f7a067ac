"""KServe: a custom predictor, a subclass of Model, for its protocols v1 and v2."""

import os
from typing import Any

import numpy as np
import onnxruntime as ort
from kserve import InferRequest, Model, ModelServer
from kserve.utils.utils import get_predict_response


class OnnxModel(Model):  # type: ignore[misc]  # KServe is in an environment of its own
    """Takes `instances` (v1) or one input tensor (v2)."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.load()

    def load(self) -> bool:
        """Load the model."""
        self.session = ort.InferenceSession(os.environ["MODEL_FILE"], providers=["CPUExecutionProvider"])
        self.output = self.session.get_outputs()[0].name
        self.ready = True
        return True

    def predict(self, payload: Any, headers: dict[str, str] | None = None) -> Any:  # noqa: ARG002 - the signature that KServe calls
        """Run the model."""
        is_v2 = isinstance(payload, InferRequest)
        inputs = payload.inputs[0].as_numpy() if is_v2 else np.array(payload["instances"], np.float32)
        (output,) = self.session.run([self.output], {"X": inputs})
        return get_predict_response(payload, output, self.name)


if __name__ == "__main__":
    ModelServer().start([OnnxModel(os.environ["MODEL_NAME"])])
