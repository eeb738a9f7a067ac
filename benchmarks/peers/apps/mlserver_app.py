"""MLServer: a custom inference runtime with the NumPy codec."""

import onnxruntime as ort
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from mlserver.utils import get_model_uri


class OnnxRuntime(MLModel):  # type: ignore[misc]  # MLServer is in an environment of its own
    """Takes one input tensor."""

    async def load(self) -> bool:
        """Load the model."""
        self.session = ort.InferenceSession(await get_model_uri(self._settings), providers=["CPUExecutionProvider"])
        self.output = self.session.get_outputs()[0].name
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Run the model."""
        inputs = self.decode(payload.inputs[0], default_codec=NumpyCodec)
        (output,) = self.session.run([self.output], {"X": inputs})
        outputs = [NumpyCodec.encode_output(self.output, output)]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)
