"""A million float32 in and out through the fast lane as Open Inference's raw tensors, against what cannot be left out."""

import json
import os
import sys
import tempfile
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from benchmarks.events import Context, http_api_event
from benchmarks.figures import Figure, ratios
from benchmarks.json_worker import take_turns
from benchmarks.plan import Plan
from benchmarks.processes import run, say

GOAL = 1.5
SIZE = 1_000_000
OURS, FLOOR = "onnx-lambda, event to answer", "base64 decode, session.run, base64 encode"


def measure_binary(plan: Plan) -> list[Figure]:
    """Both in one process, round by round."""
    say(f"raw tensors of 1 M float32: {plan.binary_rounds} rounds")
    with tempfile.TemporaryDirectory() as folder:
        models, results = Path(folder, "models"), Path(folder, "results.json")
        _write_model(models / "negate" / "1" / "model.onnx")
        command = [sys.executable, "-m", "benchmarks.binary", str(models), str(results), str(plan.binary_rounds)]
        run(command, os.environ, seconds=150)
        samples = json.loads(results.read_text())
    case = "1 M float32 in and out"
    figures = [Figure(case, name, "ms", samples[name]) for name in (OURS, FLOOR)]
    return [*figures, Figure(case, "ours ÷ that", "×", ratios(samples[OURS], samples[FLOOR]), GOAL)]


def _write_model(path: Path) -> None:
    """x [n] → y = -x: every value goes in and comes out, and the run itself takes next to nothing."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "negate", ends[:1], ends[1:])
    path.parent.mkdir(parents=True)
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9).SerializeToString())


def _event(values: np.ndarray[Any, Any]) -> dict[str, Any]:
    tensor = {"name": "x", "shape": [SIZE], "datatype": "FP32", "parameters": {"binary_data_size": 4 * SIZE}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    event = http_api_event("", "/v2/models/negate/infer")
    event["headers"] |= {"content-type": "application/octet-stream", "inference-header-content-length": str(len(head))}
    return event | {"body": b64encode(head + values.tobytes()).decode(), "isBase64Encoded": True}


def main() -> None:
    """Time both, after each has shown that it is right: `python -m benchmarks.binary MODELS RESULT_FILE ROUNDS`."""
    models, target, rounds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    os.environ["MODEL_DIR"] = str(models)
    import onnxruntime

    import handler

    values = np.random.default_rng(1).standard_normal(SIZE).astype(np.float32)
    event, encoded = _event(values), b64encode(values.tobytes()).decode()
    session = onnxruntime.InferenceSession(models / "negate" / "1" / "model.onnx", providers=["CPUExecutionProvider"])

    def ours() -> bytes:
        answer = handler.handler(event, Context())
        return b64decode(answer["body"])[int(answer["headers"]["Inference-Header-Content-Length"]) :]

    def floor() -> str:
        (found,) = session.run(["y"], {"x": np.frombuffer(b64decode(encoded), np.float32)})
        return b64encode(found.tobytes()).decode()

    if ours() != (-values).tobytes() or b64decode(floor()) != (-values).tobytes():
        raise SystemExit("something else was answered")
    functions = {OURS: lambda: handler.handler(event, Context()), FLOOR: floor}
    target.write_text(json.dumps(take_turns(functions, 3, rounds)))


if __name__ == "__main__":
    main()
