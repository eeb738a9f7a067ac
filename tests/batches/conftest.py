"""Models for files, and what answers from them."""

from pathlib import Path

import pytest
from onnx import TensorProto as T

from app.batches.files import FilePredictor
from app.wiring import wire
from tests import graphs
from tests.shells import copy_models

REFUSING = '[nan]\ninput = "refuse"\n'


@pytest.fixture(scope="session")
def file_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's two models, and graphs that answer what they are asked."""
    folder = copy_models(tmp_path_factory.mktemp("repository") / "models")
    graphs.put(folder, "echo", graphs.identity(T.FLOAT, ["n", 3]), toml=REFUSING)
    # As the project's own, and exact: a matrix product of one row may be rounded otherwise than that of many.
    features = 'features = ["sepal_length", "sepal_width", "petal_length", "petal_width"]\n'
    graphs.put(folder, "flowers", graphs.identity(T.FLOAT, ["n", 4]), toml=features + REFUSING)
    graphs.put(folder, "strict", (folder / "iris" / "1" / "model.onnx").read_bytes(), toml=REFUSING)
    graphs.put(folder, "text", graphs.identity(T.STRING, ["n", 2]))
    graphs.put(folder, "lone", graphs.identity(T.FLOAT, ["n", 1]))
    graphs.put(folder, "free", graphs.identity(T.FLOAT, ["n", "k"]))
    graphs.put(folder, "fixed", graphs.identity(T.FLOAT, [3]))
    graphs.put(folder, "pair", graphs.two_inputs())
    graphs.put(folder, "uneven", graphs.uneven())
    graphs.put(folder, "slow", graphs.slow())
    graphs.put(folder, "looped", graphs.fixed_batch())
    return folder


@pytest.fixture(scope="session")
def predictor(file_models: Path) -> FilePredictor:
    program = wire({"MODEL_DIR": str(file_models), "JOBS": "off", "PRELOAD_MODELS": "none"})
    return FilePredictor(program.predictor, program.repository)
