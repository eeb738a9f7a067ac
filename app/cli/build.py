"""``onnx-lambda build``: prepare every model for serving, as the image build does."""

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from app.errors import ModelRefused, Problem
from app.inference.integrity import LOCK_NAME, MODEL_FILE, write_lock
from app.inference.manifest import Golden, Manifest
from app.inference.preparation import clean, close, prepare, records
from app.inference.repository import Entry, Repository
from app.prediction import PredictionRequest, Predictor
from app.settings import Settings, from_environment
from app.wiring import open_repository

# A golden answer may be as long as it likes: it never leaves the machine.
_NO_LIMIT = 1 << 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--only-prepared", action="store_true", help="delete the originals afterwards, to keep an image small")


def run(arguments: argparse.Namespace) -> int:
    """Build; nothing of a failed build stays behind."""
    settings = from_environment(os.environ)
    folder = Path(settings.model_dir)
    if not os.access(folder, os.W_OK):
        raise ModelRefused(f"MODEL_DIR '{folder}' cannot be written to.")
    (folder / LOCK_NAME).unlink(missing_ok=True)
    entries = list(open_repository(settings).entries())
    for entry in entries:
        clean(folder / entry.name / entry.version)
    try:
        for entry in entries:
            _prepare(folder, entry)
        write_lock(folder, records(folder))
        _replay(settings, folder)
    except BaseException:
        (folder / LOCK_NAME).unlink(missing_ok=True)
        for entry in entries:
            clean(folder / entry.name / entry.version)
        raise
    if arguments.only_prepared:
        for entry in entries:
            (folder / entry.name / entry.version / MODEL_FILE).unlink()
    print(f"wrote {folder / LOCK_NAME}")
    return 0


def _prepare(folder: Path, entry: Entry) -> None:
    version = folder / entry.name / entry.version
    try:
        if isinstance(entry.manifest, ModelRefused):
            raise entry.manifest
        if not (version / MODEL_FILE).is_file():
            raise ModelRefused(f"{MODEL_FILE} is missing; a build needs the original.")
        written = prepare(version, entry.manifest)
    except ModelRefused as error:
        raise ModelRefused(f"{entry.name}/{entry.version}: {error}") from error
    sizes = ", ".join(f"{path.name} {path.stat().st_size:,} bytes" for path in written)
    print(f"{entry.name}/{entry.version}: {(version / MODEL_FILE).stat().st_size:,} bytes -> {sizes}")


def _replay(settings: Settings, folder: Path) -> None:
    """Ask the models as built, through the one door, and compare with the golden answers."""
    repository: Repository = open_repository(settings)
    predictor = Predictor(repository, max_body_bytes=_NO_LIMIT, max_result_bytes=_NO_LIMIT)
    for entry in repository.entries():
        repository.get(entry.name, entry.version)
        manifest = entry.manifest
        if not isinstance(manifest, Manifest) or manifest.golden is None:
            continue
        samples = _samples(folder / entry.name / manifest.golden.file)
        for number, sample in enumerate(samples):
            _compare(predictor, entry, manifest.golden, number, sample)
        print(f"{entry.name}/{entry.version}: {len(samples)} golden samples agree")


def _samples(path: Path) -> list[dict[str, Any]]:
    try:
        samples = orjson.loads(path.read_bytes())
        good = isinstance(samples, list) and all(isinstance(s, dict) and {"inputs", "outputs"} <= s.keys() for s in samples)
    except (OSError, orjson.JSONDecodeError) as error:
        raise ModelRefused(f"the golden samples {path.parent.name}/{path.name} cannot be read.") from error
    if not good:
        raise ModelRefused(f"{path.parent.name}/{path.name} must be a list of objects with 'inputs' and 'outputs'.")
    return samples  # type: ignore[no-any-return]


def _compare(predictor: Predictor, entry: Entry, golden: Golden, number: int, sample: dict[str, Any]) -> None:
    where = f"{entry.name}/{entry.version}: golden sample {number}"
    body = orjson.dumps({"inputs": sample["inputs"], "outputs": list(sample["outputs"])})
    try:
        answer = orjson.loads(predictor.answer(PredictionRequest(body, model=entry.name, version=entry.version)).body)
    except Problem as problem:
        raise ModelRefused(f"{where} is refused: {problem.detail}") from problem
    for name, expected in sample["outputs"].items():
        got, wanted = np.array(answer["outputs"][name]), np.array(expected)
        same_kind = np.float64 if got.dtype.kind in "fiu" and wanted.dtype.kind in "fiu" else got.dtype
        if wanted.shape != got.shape or not close(got.astype(same_kind), wanted.astype(same_kind), golden.rtol, golden.atol):
            raise ModelRefused(f"{where}: output '{name}' has drifted from the known answer (rtol {golden.rtol:g}, atol {golden.atol:g}).")
