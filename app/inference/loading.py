"""From a version's folder to a session that has run once: check, load, warm up, with the time each took."""

import mmap
import time
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from app.errors import ModelRefused, Problem, WrongShape
from app.inference import integrity
from app.inference.external_data import external_files
from app.inference.hashing import Hasher, identity_of
from app.inference.integrity import FROM_BYTES, FileRecord, VersionFiles
from app.inference.manifest import Manifest
from app.inference.session import Session, options
from app.inference.statistics import Statistics
from app.tensors import Array, Signature, TensorSpec, Value

# 64 MB of float32
_MOST_ZEROS = 16 * 1024 * 1024


class Loaded(NamedTuple):
    """A model version that can run. Times are seconds."""

    name: str
    version: str
    digest: str
    manifest: Manifest
    session: Session
    load_s: float
    warm_up_s: float
    statistics: Statistics

    @property
    def signature(self) -> Signature:
        """What it takes and gives."""
        return self.session.signature


def load(
    repository: Path, name: str, version: str, *, manifest: Manifest, lock: Mapping[str, FileRecord] | None, threads: int, hasher: Hasher
) -> Loaded:
    """Load one version.

    :raises ModelRefused: when a file is missing, damaged, swapped, unsafe, or no model.
    """
    started = time.perf_counter()
    files = VersionFiles(repository, repository / name / version, lock)
    if not files.graph.is_file():
        raise ModelRefused(f"{files.graph.relative_to(repository).as_posix()} is missing.")
    checked = _Check(files, hasher)
    try:
        session = _session(files.graph, checked, manifest, threads, optimize=not files.prepared or manifest.optimize_for == "throughput")
        loaded_at = time.perf_counter()
        # Before the hashes are in: they are taken meanwhile, and nobody sees this answer.
        warm_up(session, manifest)
        warm_up_s = time.perf_counter() - loaded_at
    finally:
        # Also where ONNX Runtime refused it: that the file is damaged is the better reason.
        digest = checked.finish()
    return Loaded(name, version, digest, manifest, session, time.perf_counter() - started - warm_up_s, warm_up_s, Statistics())


class _Check:
    """Checks a version's files, large ones while ONNX Runtime reads them; the session is published only after ``finish``."""

    def __init__(self, files: VersionFiles, hasher: Hasher) -> None:
        self._files = files
        self._hasher = hasher
        self._hashed_beside: list[Path] = []
        self._records: list[FileRecord] = []
        self._before = identity_of(files.graph)

    def graph(self) -> bytes | None:
        """Check the graph's file and find its external data: its bytes if it may be loaded from them, else None."""
        content = None
        graph, folder = self._files.graph, self._files.folder
        if self._before.size <= FROM_BYTES:
            content = graph.read_bytes()
            self._accept(FileRecord(self._files.name_of(graph), integrity.sha256_of(content), len(content)))
            # The graph is the one in the lock now, so what build found in it holds; walking it again takes 6 ms.
            known = self._files.known_external_files()
            external = external_files(content, folder) if known is None else known
        else:
            with graph.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view:
                external = [graph, *external_files(view, folder)]
        self._hashed_beside = external
        self._hasher.start(external)
        return None if external else content

    def finish(self) -> str:
        """Wait for the hashes; the version's digest.

        :raises ModelRefused: when a file is not the one in the lock, or changed while it was loaded.
        """
        for file in self._hashed_beside:
            self._accept(self._hasher.finish(file))
        if self._hashed_beside and identity_of(self._files.graph) != self._before:
            raise ModelRefused(f"{self._files.graph.name} changed while it was loaded.")
        # The digest names the original, whatever was made of it; build wrote the lock from it.
        return integrity.digest_of(self._files.originals() if self._files.prepared else self._records)

    def _accept(self, record: FileRecord) -> None:
        integrity.check(record, self._files.lock)
        self._records.append(record)


def _session(file: Path, checked: _Check, manifest: Manifest, threads: int, *, optimize: bool) -> Session:
    content = checked.graph()
    chosen = options(intra_op_threads=threads, optimize=optimize)
    return Session(content if content is not None else str(file), chosen, manifest)


def warm_up(session: Session, manifest: Manifest) -> None:
    """Run once, on the manifest's first example or on zeros, so that the first caller does not pay for allocations.

    A model that refuses zeros is still served: the inputs were ours, not a caller's.

    :raises ModelRefused: when an example of the manifest does not fit.
    """
    signature = session.signature
    inputs = sample_inputs(signature, manifest)
    if inputs is None:
        return
    try:
        session.run(inputs, list(signature.output_by_name))
    except Problem:
        signature.takes_zeros = bool(manifest.examples)


def sample_inputs(signature: Signature, manifest: Manifest) -> dict[str, Value] | None:
    """Inputs that fit the signature: the manifest's first example, else zeros with every free dimension 1.

    None where zeros would be more than a warm-up is worth.

    :raises ModelRefused: when an example does not fit.
    """
    examples = [_example_inputs(signature, example.inputs, i) for i, example in enumerate(manifest.examples)]
    if examples:
        return examples[0]
    # in Python's integers, before anything is allocated
    if sum(prod(spec.smallest_shape()) for spec in signature.inputs) > _MOST_ZEROS:
        return None
    return {spec.name: _zeros(spec) for spec in signature.inputs}


def _example_inputs(signature: Signature, given: dict[str, Any], number: int) -> dict[str, Value]:
    place = f"model.toml: examples[{number}]"
    unknown = given.keys() - signature.input_by_name.keys()
    if unknown:
        raise ModelRefused(f"{place} has the input '{min(unknown)}', but the graph takes {signature.describe_inputs()}.")
    inputs: dict[str, Value] = {}
    for spec in signature.inputs:
        if spec.name not in given and not spec.optional:
            raise ModelRefused(f"{place} lacks the input '{spec.name}' {spec.describe()}.")
        inputs[spec.name] = _example_value(spec, given[spec.name], place) if spec.name in given else None
    try:
        signature.check_shapes(inputs, dict.fromkeys(inputs, ""))
    except WrongShape as error:
        raise ModelRefused(f"{place} does not fit the graph: {error}") from error
    return inputs


def _example_value(spec: TensorSpec, value: Any, place: str) -> Value:
    if spec.sequence:
        return [_example_tensor(spec, item, place) for item in value] if isinstance(value, list) else [_example_tensor(spec, value, place)]
    return _example_tensor(spec, value, place)


def _example_tensor(spec: TensorSpec, value: Any, place: str) -> Array:
    """Only kinds of values are looked at here; the codecs, which a layer of models must not know, are stricter."""
    kinds = {"float": "fiu", "integer": "iu", "bool": "b", "string": "U"}[spec.datatype.kind]
    try:
        found = np.asarray(value)
        if found.size and found.dtype.kind not in kinds:
            raise ValueError
        return found.astype(spec.datatype.numpy)
    except (ValueError, TypeError, OverflowError) as error:
        raise ModelRefused(f"{place}: input '{spec.name}' is not {spec.describe()}.") from error


def _zeros(spec: TensorSpec) -> Value:
    if spec.optional:
        return None
    tensor = np.full(spec.smallest_shape(), "" if spec.datatype.kind == "string" else 0, spec.datatype.numpy)
    return [tensor] if spec.sequence else tensor
