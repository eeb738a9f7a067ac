"""onnx-lambda: a trained ONNX model as a serverless HTTPS endpoint."""

import os
import sys

__version__ = "0.1.0"

# Both are read when a library is first imported, so they are set before any module of ours can import one.
# Linux wheels of ONNX Runtime from 1.29 on report to their makers unless this is set:
# https://github.com/microsoft/onnxruntime/blob/main/docs/Privacy.md
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# NumPy's OpenBLAS starts a thread for each CPU at import (80 ms of CPU), and ONNX Runtime does not use it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

if "AWS_LAMBDA_FUNCTION_NAME" in os.environ and "numpy" not in sys.modules:
    # NumPy gives its C functions their docstrings in two modules that do nothing else, in 5 ms of each cold start.
    # Nobody calls help() in a Lambda function: docs/decisions/0006-no-docstrings-of-numpy-on-lambda.md
    for _name in ("numpy._core._add_newdocs", "numpy._core._add_newdocs_scalars"):
        sys.modules[_name] = type(sys)(_name)
