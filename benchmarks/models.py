"""The two models, each as a plain file for the rivals and as a folder for ours, prepared and not."""

import functools
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.events import IRIS_BODY
from benchmarks.processes import ROOT, BenchmarkError, run, say, temporary_folder

IMAGE_SIDE = 32
BIG_BODY = json.dumps({"inputs": {"image": [[[[0.5] * IMAGE_SIDE] * IMAGE_SIDE] * 3]}})


@dataclass(frozen=True, slots=True)
class Model:
    """A model to serve and a request for it."""

    name: str
    body: str
    file: Path  # as trained
    folder: Path  # MODEL_DIR with this model alone, as it comes out of `python -m app build`
    plain_folder: Path  # the same, not built
    problem: str = ""  # why it could not be built


@functools.cache
def iris() -> Model:
    """The small classifier of models/, 4 numbers in."""
    source = ROOT / "models" / "iris"
    if not (source / "1" / "model.onnx").is_file():
        raise BenchmarkError(f"{source}/1/model.onnx is missing: run `make models`")
    folder = temporary_folder()
    ignore = shutil.ignore_patterns("*.prepared.*")
    for name in "plain", "built":
        shutil.copytree(source, folder / name / "iris", ignore=ignore)
    return _built("iris", IRIS_BODY, folder)


@functools.cache
def big() -> Model:
    """An untrained ResNet-50, a small image in."""
    folder = temporary_folder()
    say("generating the 102 MB model")
    file = folder / "plain" / "big" / "1" / "model.onnx"
    run([sys.executable, "-m", "benchmarks.big_model", str(file)], os.environ, seconds=60)
    shutil.copytree(folder / "plain", folder / "built")
    return _built("big", BIG_BODY, folder)


def _built(name: str, body: str, folder: Path) -> Model:
    say(f"preparing {name} with python -m app build")
    plain, built = folder / "plain", folder / "built"
    problem = ""
    try:
        environment = os.environ | {"MODEL_DIR": str(built), "DEFAULT_MODEL": name, "ORT_DISABLE_TELEMETRY": "1"}
        run([sys.executable, "-m", "app", "build"], environment, seconds=120)
    except BenchmarkError as error:
        problem = str(error)
        say(f"not built: {problem}")
    return Model(name, body, plain / name / "1" / "model.onnx", built, plain, problem)
