"""onnx-lambda: a trained ONNX model as a serverless HTTPS endpoint."""

__version__ = "0.1.0"
