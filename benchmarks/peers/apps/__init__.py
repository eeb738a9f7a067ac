"""One short file a server: an ONNX model as that server's documentation says to serve one, input `X` and the model's first output."""
