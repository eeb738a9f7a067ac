"""The cold-start path: what it must not import, because every user would pay for it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shells import ROOT

SLOW = [
    "fastapi",
    "starlette",
    "pydantic",
    "mangum",
    "boto3",
    "botocore.session",  # Powertools imports the bare package where there is one, which is next to nothing
    "uvicorn",
    "simdjson",
    "asyncio",
    "unittest",
    "email",
    "http.client",
    "argparse",
    "PIL",
    "pyarrow",
    "csv",
    "zipfile",
]


@pytest.mark.parametrize("library", SLOW)
def test_a_prediction_needs_no_slow_library(imported: set[str], library: str) -> None:
    """A prediction through the fast lane, from import to answer, never imports this library."""
    assert library not in imported


@pytest.fixture(scope="module")
def imported(models: Path) -> set[str]:
    """Every module that the function's import and first prediction bring in, beyond what the interpreter and awslambdaric's loop have."""
    script = (
        "import json, sys\n"
        "import handler\n"
        "from tests.lambda_events import v2\n"
        "answer = handler.handler(v2('POST', '/predict', json.dumps({'inputs': [[1, 2, 3, 4]]})), None)\n"
        "assert answer['statusCode'] == 200, answer\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    environment = {"PATH": os.environ["PATH"], "MODEL_DIR": str(models), "JOBS": "aws", "JOBS_TABLE": "t", "JOBS_BUCKET": "b"}
    environment |= {"JOBS_QUEUE_URL": "https://queue.test/1/jobs", "WEBHOOKS_QUEUE_URL": "https://queue.test/1/webhooks"}
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    found = set(json.loads(ended.stdout.splitlines()[-1]))
    assert "onnxruntime" in found
    return found


def test_import_budget(imported: set[str]) -> None:
    """The path imports no more modules than it did when it was last measured (and a few): a new one is a decision."""
    ours = {name for name in imported if name.split(".")[0] == "app"}

    assert len(ours) <= 49, sorted(ours)
    assert len(imported) <= 480, len(imported)


@pytest.mark.parametrize("on_lambda", [True, False])
def test_numpy_is_imported_without_docstrings_on_lambda_alone(on_lambda: bool) -> None:
    """On Lambda NumPy's docstring modules are not read (decision 6), and it computes as ever; elsewhere it is as it is."""
    script = (
        "import app, sys, numpy as np\n"
        "modules = [sys.modules[f'numpy._core.{name}'] for name in ('_add_newdocs', '_add_newdocs_scalars')]\n"
        "assert 6.0 == np.einsum('i->', np.linalg.inv(np.eye(3)) @ np.array([1.0, 2.0, 3.0]))\n"
        "print(all(hasattr(module, '__file__') for module in modules), np.ndarray.sum.__doc__ is None)"
    )
    environment = {"PATH": os.environ["PATH"]} | ({"AWS_LAMBDA_FUNCTION_NAME": "f"} if on_lambda else {})
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True
    )

    assert ("False True" if on_lambda else "True False") == ended.stdout.strip()
