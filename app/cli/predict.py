"""``onnx-lambda predict``: the same bytes as a POST to ``/predict``, answered without a server."""

import argparse
import os
import sys
from pathlib import Path

from app.errors import SettingError
from app.prediction import PredictionRequest
from app.wiring import wire


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("file", nargs="?", default="-", help="file with the request body; - or nothing reads standard input")
    parser.add_argument("--model", help="model to ask (default: the default model)")
    parser.add_argument("--model-version", help="version to ask (default: the newest)")


def run(arguments: argparse.Namespace) -> int:
    """Print the answer."""
    try:
        body = sys.stdin.buffer.read() if arguments.file == "-" else Path(arguments.file).read_bytes()
    except OSError as error:
        raise SettingError(f"'{arguments.file}' cannot be read: {error.strerror}.") from error
    # only the model that is asked is loaded
    program = wire({**os.environ, "PRELOAD_MODELS": "none"})
    request = PredictionRequest(body, model=arguments.model, version=arguments.model_version)
    sys.stdout.buffer.write(program.predictor.answer(request).body + b"\n")
    return 0
