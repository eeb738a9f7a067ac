"""``onnx-lambda build``: prepare every model for serving, as the image build does."""

import argparse
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import orjson

from app.errors import ModelRefused, Problem
from app.inference import golden as golden_samples
from app.inference import manifest as manifests
from app.inference.external_data import external_files
from app.inference.integrity import LOCK_NAME, MODEL_FILE, PREPARED_FILE, FileRecord, record_of, write_lock
from app.inference.manifest import Golden, Manifest
from app.inference.preparation import originals, prepare
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
    """Build in a copy and swap the files in at the end, so that a build that fails leaves everything as it was."""
    settings = from_environment(os.environ)
    folder = Path(settings.model_dir)
    # A lock also promises versions whose folder was deleted on purpose.
    entries = [entry for entry in open_repository(settings).entries() if (folder / entry.name / entry.version).is_dir()]
    for entry in entries:
        if not (folder / entry.name / entry.version / MODEL_FILE).is_file():
            raise ModelRefused(f"{entry.name}/{entry.version}/{MODEL_FILE} is missing; a build needs the originals.")
    if not os.access(folder, os.W_OK):
        raise ModelRefused(f"MODEL_DIR '{folder}' cannot be written to.")
    with tempfile.TemporaryDirectory(prefix=".build-", dir=folder) as temporary:
        copy = Path(temporary)
        written = [path for entry in entries for path in _prepare(folder, copy, entry)]
        write_lock(copy, [_record(copy, file) for file in sorted({file for entry in entries for file in _files(copy, entry)})])
        _replay(settings._replace(model_dir=temporary), copy)
        for path in written:
            path.replace(folder / path.relative_to(copy))
        (copy / LOCK_NAME).replace(folder / LOCK_NAME)
    if arguments.only_prepared:
        for entry in entries:
            _delete_originals(folder / entry.name / entry.version)
    print(f"wrote {folder / LOCK_NAME}")
    return 0


def _delete_originals(version: Path) -> None:
    # A small graph's external data stays where it was, and the prepared graph reads it there.
    kept = external_files((version / PREPARED_FILE).read_bytes(), version)
    for original in originals(version):
        if original not in kept:
            original.unlink()


def _prepare(folder: Path, copy: Path, entry: Entry) -> list[Path]:
    """Copy a version, prepare the copy; the files that were written."""
    version = Path(entry.name, entry.version)
    try:
        if isinstance(entry.manifest, ModelRefused):
            raise entry.manifest
        for file in (*_beside(folder / entry.name, entry.manifest), *originals(folder / version)):
            target = copy / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        written = prepare(copy / version, entry.manifest)
    except ModelRefused as error:
        raise ModelRefused(f"{entry.name}/{entry.version}: {error}") from error
    sizes = ", ".join(f"{path.name} {path.stat().st_size:,} bytes" for path in written)
    print(f"{entry.name}/{entry.version}: {(folder / version / MODEL_FILE).stat().st_size:,} bytes -> {sizes}")
    return written


def _beside(model: Path, manifest: Manifest) -> list[Path]:
    """What belongs to every version of a model: its manifest and its golden samples."""
    names = (manifests.FILE_NAME, *((manifest.golden.file,) if manifest.golden else ()))
    return [model / name for name in names if (model / name).is_file()]


def _record(copy: Path, file: Path) -> FileRecord:
    record = record_of(copy, file)
    if file.name == manifests.FILE_NAME:
        return record._replace(table=manifests.table_of(file.parent))
    if file.name == PREPARED_FILE:
        external = external_files(file.read_bytes(), file.parent)
        return record._replace(table={"external": [path.relative_to(file.parent).as_posix() for path in external]})
    return record


def _files(copy: Path, entry: Entry) -> list[Path]:
    return [
        file for folder in (copy / entry.name, copy / entry.name / entry.version) for file in sorted(folder.iterdir()) if file.is_file()
    ]


def _replay(settings: Settings, folder: Path) -> None:
    """Ask the models as built, through the one door, and compare with the golden answers."""
    repository: Repository = open_repository(settings)
    predictor = Predictor(repository, max_body_bytes=_NO_LIMIT, max_result_bytes=_NO_LIMIT)
    for entry in repository.entries():
        repository.get(entry.name, entry.version)
        manifest = entry.manifest
        if not isinstance(manifest, Manifest) or manifest.golden is None:
            continue
        samples = golden_samples.samples_in(folder / entry.name / manifest.golden.file)
        for number, sample in enumerate(samples):
            _compare(predictor, entry, manifest.golden, number, sample)
        print(f"{entry.name}/{entry.version}: {len(samples)} golden samples agree")


def _compare(predictor: Predictor, entry: Entry, golden: Golden, number: int, sample: dict[str, Any]) -> None:
    where = f"{entry.name}/{entry.version}: golden sample {number}"
    asked = PredictionRequest(golden_samples.asked(sample), model=entry.name, version=entry.version)
    try:
        answer = orjson.loads(predictor.answer(asked).body)
    except Problem as problem:
        raise ModelRefused(f"{where} is refused: {problem.detail}") from problem
    golden_samples.check_answer(answer["outputs"], sample["outputs"], golden, where)
