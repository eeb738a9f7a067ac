"""The one shape of every error."""

import re
from typing import Any

import httpx

# What must never be in an answer: files, modules, classes, traces.
LEAKS = re.compile(
    r"Traceback|File \"|\.py\b|/(?:usr|home|root|tmp|var|opt|work)/|site-packages|onnxruntime|Error\(|<class|0x[0-9a-f]{6,}", re.IGNORECASE
)


def check_problem(answer: httpx.Response, status: int, code: str, content_type: str = "application/json") -> dict[str, Any]:
    """The answer is an error in the one shape; its object."""
    assert status == answer.status_code, answer.text
    assert content_type == answer.headers["content-type"]
    problem: dict[str, Any] = answer.json()
    assert {"error", "type", "title", "status", "detail", "code", "request_id"} <= set(problem)
    assert set(problem) <= {"error", "type", "title", "status", "detail", "code", "request_id", "pointer", "retryable"}
    assert code == problem["code"], problem
    assert status == problem["status"]
    assert problem["error"] == problem["detail"] != ""
    assert f"urn:onnx-lambda:problem:{code}" == problem["type"]
    assert problem["request_id"] == answer.headers["x-request-id"] != ""
    assert not LEAKS.search(answer.text.replace("ONNX Runtime", "")), answer.text
    return problem
