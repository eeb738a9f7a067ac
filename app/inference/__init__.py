"""Models: files, manifests, signatures and ONNX Runtime sessions. ONNX Runtime lives in this package and nowhere else."""
