"""Models and shells that the tests share."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from onnx import TensorProto as T

from app.storage.aws_clients import until
from tests import graphs
from tests.shells import SHELLS, copy_models


@pytest.fixture(autouse=True)
def no_deadline() -> Iterator[None]:
    """An invocation's deadline holds until the next one of its thread sets another; the next test sets none."""
    yield
    until(None)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's two models, and one small graph for each thing a model may do."""
    folder = copy_models(tmp_path_factory.mktemp("repository") / "models")
    for name, content in {
        "two-inputs": graphs.two_inputs(),
        "fixed-batch": graphs.fixed_batch(),
        "looped-nonzero": graphs.fixed_batch_nonzero(),
        "scalar": graphs.scalar(),
        "sequence-input": graphs.sequence_input(),
        "optional-input": graphs.optional_input(),
        "optional-output": graphs.optional_output(),
        "zipmap-strings": graphs.zipmap(["no", "yes"]),
        "pick": graphs.pick(),
        "expand": graphs.expand(),
        "logarithm": graphs.logarithm(),
        "slow": graphs.slow(),
        "text": graphs.identity(T.STRING, ["n", 2]),
        "token-embedding": graphs.token_embedding(),
        "word-piece-embedding": graphs.word_piece_embedding(),
        "copied-bytes": graphs.copied_bytes(),
        "uneven": graphs.uneven(),
        "mixed": graphs.mixed(),
        "one-string": graphs.identity(T.STRING, [1]),
        "two-free": graphs.identity(T.FLOAT, ["n", "m"]),
        "counts": graphs.identity(T.UINT8, ["n", 3]),
    }.items():
        graphs.put(folder, name, content)
    for name in (
        "BOOL",
        "UINT8",
        "UINT16",
        "UINT32",
        "UINT64",
        "INT8",
        "INT16",
        "INT32",
        "INT64",
        "FLOAT16",
        "BFLOAT16",
        "FLOAT",
        "DOUBLE",
    ):
        graphs.put(folder, f"identity-{name.lower()}", graphs.identity(getattr(T, name)))
    graphs.put(folder, "sequence-output", graphs.sequence_output(), toml="[[examples]]\ninputs = { x = [1.0, 2.0, 3.0] }\n")
    graphs.put(folder, "text-embedding", graphs.text_embedding(), toml='[[examples]]\ninputs = { text = ["hello cat"] }\n')
    graphs.put(folder, "nan-allowed", graphs.identity(T.FLOAT), toml='[nan]\ninput = "allow"\noutput = "string"\n')
    graphs.put(folder, "nan-refused", graphs.identity(T.FLOAT), toml='[nan]\ninput = "refuse"\n')
    graphs.put(folder, "nan-error", graphs.logarithm(), toml='[nan]\noutput = "error"\n')
    for version in ("1", "2", "10"):
        graphs.put(folder, "versioned", graphs.identity(T.FLOAT), version=version, toml='[version_labels]\nstable = "2"\n')
    broken = graphs.put(folder, "broken", b"this is no model")
    assert broken.is_dir()
    return folder


@pytest.fixture(scope="session", params=list(SHELLS))
def http(request: pytest.FixtureRequest, models: Path) -> Iterator[httpx.Client]:
    """An HTTP client of each shell in turn."""
    with SHELLS[request.param](models) as client:
        yield client


@pytest.fixture(scope="session")
def fast(models: Path) -> Iterator[httpx.Client]:
    """An HTTP client of the fast lane alone, for what does not depend on the shell."""
    with SHELLS["fast-lane"](models) as client:
        yield client
