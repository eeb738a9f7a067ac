"""LitServe: a LitAPI."""

import os
from typing import Any

import litserve as ls
import numpy as np
import numpy.typing as npt
import onnxruntime as ort


class OnnxApi(ls.LitAPI):  # type: ignore[misc]  # LitServe is in an environment of its own
    """Takes `X`."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - the signature that LitServe calls
        """Load the model."""
        self.session = ort.InferenceSession(os.environ["MODEL_FILE"], providers=["CPUExecutionProvider"])
        self.output = self.session.get_outputs()[0].name

    def decode_request(self, request: dict[str, Any]) -> npt.NDArray[np.float32]:
        """The array of a request."""
        return np.array(request["X"], np.float32)

    def predict(self, x: npt.NDArray[np.float32]) -> Any:
        """Run the model."""
        return self.session.run([self.output], {"X": x})[0]

    def encode_response(self, output: Any) -> dict[str, Any]:
        """The answer of an array."""
        return {"output": output.tolist()}


if __name__ == "__main__":
    # fast_queue is what its documentation advises from 100 requests per second on.
    server = ls.LitServer(OnnxApi(), accelerator="cpu", devices=1, workers_per_device=1, fast_queue=True)
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), num_api_servers=1, generate_client_file=False)
