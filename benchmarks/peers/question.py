"""What every server is asked: a model, one input `X`, and the number that must come back."""

import json
import math
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import ROOT, run, say, temporary_folder

NUMBERS = 1_000_000


@dataclass(frozen=True, slots=True)
class Question:
    """A request for a model, in the parts that the dialects put together."""

    model: str
    folder: Path  # MODEL_DIR with this model alone
    output: str  # the model's first output
    shape: tuple[int, ...]
    nested: bytes  # X as JSON, as deep as its shape
    flat: bytes  # X as JSON, flat
    npy: bytes  # X as NumPy's file, float32; empty where nobody is asked in binary
    answer: float  # the first number of the output

    @property
    def file(self) -> Path:
        """The ONNX file."""
        return self.folder / self.model / "1" / "model.onnx"

    @property
    def raw(self) -> bytes:
        """X as little-endian float32: the end of its file."""
        return self.npy[-4 * math.prod(self.shape) :]


def row() -> Question:
    """One row for the iris classifier; the answer is its label, which is all that anybody is asked for."""
    row = b"[5.1,3.5,1.4,0.2]"
    folder = temporary_folder()
    shutil.copytree(ROOT / "models" / "iris" / "1", folder / "iris" / "1", ignore=shutil.ignore_patterns("*.prepared.*"))
    (folder / "iris" / "model.toml").write_text('default_outputs = ["output_label"]\n')
    return Question("iris", folder, "output_label", (1, 4), b"[%s]" % row, row, b"", 0)


def tensor() -> Question:
    """A million standard normal numbers, of which the model computes the mean."""
    say(f"writing {NUMBERS:,} numbers and their model")
    folder = temporary_folder()
    run([sys.executable, "-m", "benchmarks.peers.mean_model", str(folder), str(NUMBERS)], os.environ, seconds=120)
    text, npy = (folder / "X.json").read_bytes(), (folder / "X.npy").read_bytes()
    answer = json.loads((folder / "mean.json").read_text())
    return Question("mean", folder / "models", "mean", (NUMBERS,), text, text, npy, answer)
