"""The least a Lambda handler for an ONNX model can be: awslambdaric, ONNX Runtime, `json`; nothing checked, nothing logged."""

import json
import os
from typing import Any

import numpy as np
import onnxruntime as ort

session = ort.InferenceSession(os.environ["MODEL_FILE"], providers=["CPUExecutionProvider"])


def plain(value: Any) -> Any:
    """What `json` can write; a ZipMap output is a list of dicts already."""
    return value.tolist() if isinstance(value, np.ndarray) else value


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer one API Gateway HTTP API v2 event."""
    inputs = {name: np.asarray(value, np.float32) for name, value in json.loads(event["body"])["inputs"].items()}
    names = [output.name for output in session.get_outputs()]
    outputs = {name: plain(value) for name, value in zip(names, session.run(None, inputs), strict=True)}
    body = json.dumps({"outputs": outputs})
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": body}
