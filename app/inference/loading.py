"""From a version's folder to a session that has run once: check, load, warm up, with the time each took."""

import hashlib
import mmap
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.errors import ModelRefused, Problem
from app.inference import integrity
from app.inference.integrity import MODEL_FILE, PREPARED_FILE, FileRecord
from app.inference.manifest import Manifest
from app.inference.session import Session, options
from app.tensors import Signature, TensorSpec, Value

# Up to this size a graph is loaded from the bytes that were hashed; above it from the path, hashed beside the load,
# because ONNX Runtime keeps a copy of bytes for ever and maps a file.
_FROM_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model version that can run. Times are seconds."""

    name: str
    version: str
    digest: str
    manifest: Manifest
    session: Session
    load_s: float
    warm_up_s: float

    @property
    def signature(self) -> Signature:
        """What it takes and gives."""
        return self.session.signature


def load(repository: Path, name: str, version: str, *, manifest: Manifest, lock: Mapping[str, FileRecord] | None, threads: int) -> Loaded:
    """Load one version.

    :raises ModelRefused: when a file is missing, damaged, swapped, unsafe, or no model.
    """
    started = time.perf_counter()
    folder = repository / name / version
    original = folder / MODEL_FILE
    # What build wrote loads first. With a lock it must be listed there; without one it is not trusted to be of this original.
    prepared = folder / PREPARED_FILE
    use_prepared = lock is not None and prepared.relative_to(repository).as_posix() in lock
    chosen = prepared if use_prepared else original
    if not chosen.is_file():
        raise ModelRefused(f"{chosen.relative_to(repository).as_posix()} is missing.")
    checked = _Check(repository, folder, lock, use_prepared=use_prepared)
    try:
        session = _session(chosen, checked, manifest, threads, optimize=not use_prepared or manifest.optimize_for == "throughput")
        loaded_at = time.perf_counter()
        # Before the hashes are in: they are taken meanwhile, and nobody sees this answer.
        warm_up(session, manifest)
        warm_up_s = time.perf_counter() - loaded_at
    finally:
        # Also where ONNX Runtime refused it: that the file is damaged is the better reason.
        digest = checked.finish()
    return Loaded(name, version, digest, manifest, session, time.perf_counter() - started - warm_up_s, warm_up_s)


class _Check:
    """Hashes a version's files, large ones in a thread beside the load; the session is published only after ``finish``."""

    def __init__(self, repository: Path, folder: Path, lock: Mapping[str, FileRecord] | None, *, use_prepared: bool) -> None:
        self._repository, self._folder, self._lock = repository, folder, lock
        self._use_prepared = use_prepared
        # Files that ONNX Runtime reads itself, as they were before it did
        self._before: dict[Path, tuple[int, int, int]] = {}
        self._records: list[FileRecord] = []
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None

    def graph(self, file: Path) -> bytes | None:
        """Check the graph's file and find its external data: its bytes if it may be loaded from them, else None."""
        content = None
        self._before[file] = _identity(file)
        if file.stat().st_size <= _FROM_BYTES:
            content = file.read_bytes()
            path = file.relative_to(self._repository).as_posix()
            self._accept(FileRecord(path, hashlib.sha256(content).hexdigest(), len(content)))
            external = integrity.external_files(content, self._folder)
        else:
            with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view:
                external = [file, *integrity.external_files(view, self._folder)]
        if not external:
            return content
        self._before |= {path: _identity(path) for path in external}
        self._thread = threading.Thread(target=self._hash_files, args=(external,), name="model-hash")
        self._thread.start()
        return None

    def finish(self) -> str:
        """Wait for the hashes; the version's digest.

        :raises ModelRefused: when a file is not the one in the lock, or changed while it was loaded.
        """
        if self._thread is not None:
            self._thread.join()
            if self._failure is not None:
                raise self._failure
            if any(_identity(path) != before for path, before in self._before.items()):
                raise ModelRefused("a file of the model changed while it was loaded.")
        if not self._use_prepared:
            return integrity.digest_of(self._records)
        # The digest names the original, whatever was made of it; build wrote the lock from it.
        assert self._lock is not None
        prefix = self._folder.relative_to(self._repository).as_posix() + "/"
        originals = [r for path, r in self._lock.items() if path.startswith(prefix) and ".prepared." not in path]
        return integrity.digest_of(originals)

    def _hash_files(self, files: list[Path]) -> None:
        try:
            for path in files:
                self._accept(integrity.record_of(self._repository, path))
        except (ModelRefused, OSError) as error:
            self._failure = error if isinstance(error, ModelRefused) else ModelRefused("a file of the model cannot be read.")

    def _accept(self, record: FileRecord) -> None:
        integrity.check(record, dict(self._lock) if self._lock is not None else None)
        self._records.append(record)


def _identity(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _session(file: Path, checked: _Check, manifest: Manifest, threads: int, *, optimize: bool) -> Session:
    content = checked.graph(file)
    chosen = options(intra_op_threads=threads, optimize=optimize)
    return Session(content if content is not None else str(file), chosen, manifest)


def warm_up(session: Session, manifest: Manifest) -> None:
    """Run once, on the manifest's first example or on zeros, so that the first caller does not pay for allocations.

    A model that refuses zeros is still served: the inputs were ours, not a caller's.
    """
    signature = session.signature
    try:
        session.run(sample_inputs(signature, manifest), [spec.name for spec in signature.outputs])
    except Problem:
        return


def sample_inputs(signature: Signature, manifest: Manifest) -> dict[str, Value]:
    """Inputs that fit the signature: the manifest's first example, else zeros with every free dimension 1."""
    example = manifest.examples[0].inputs if manifest.examples else {}
    return {spec.name: _sample(spec, example.get(spec.name)) for spec in signature.inputs}


def _sample(spec: TensorSpec, example: object) -> Value:
    if spec.optional:
        return None
    if example is not None and not spec.sequence:
        try:
            return np.asarray(example, spec.datatype.numpy)
        except (ValueError, TypeError, OverflowError):
            pass
    # ONNX Runtime does not tell the rank inside a sequence; rank 1 is the commonest.
    shape = tuple(d if isinstance(d, int) else 1 for d in spec.shape or ((1,) if spec.sequence else ()))
    fill = "" if spec.datatype.kind == "string" else 0
    tensor = np.full(shape, fill, spec.datatype.numpy)
    return [tensor] if spec.sequence else tensor
