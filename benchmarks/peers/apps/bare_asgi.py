"""No model server at all: an ASGI callable that parses with pysimdjson, runs the model, and checks nothing. Other paths get a constant."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import onnxruntime as ort
import orjson
import simdjson

session = ort.InferenceSession(os.environ["MODEL_FILE"], providers=["CPUExecutionProvider"])
output_name = session.get_outputs()[0].name
shape = [size if isinstance(size, int) else -1 for size in session.get_inputs()[0].shape]
parser = simdjson.Parser()


def predict(body: bytes) -> bytes:
    """The answer to `{"inputs": {"X": …}}`."""
    tensor: Any = parser.parse(body)["inputs"]["X"]  # type: ignore[index]
    array = np.frombuffer(tensor.as_buffer(of_type="d"), np.float64).astype(np.float32).reshape(shape)
    (output,) = session.run([output_name], {"X": array})
    return orjson.dumps({"outputs": {output_name: output}}, option=orjson.OPT_SERIALIZE_NUMPY)


async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    """The ASGI application."""
    chunks, more = [], True
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    answer = predict(b"".join(chunks)) if scope["path"] == "/predict" else b'{"outputs":{}}'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
