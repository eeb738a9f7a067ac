"""``models.lock`` and the digests: a model is served from the very bytes that were checked, or not at all."""

import functools
import importlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from app.errors import ModelRefused

# Up to this size a graph is loaded from the bytes that were hashed; above it from the path, hashed beside the load,
# because ONNX Runtime keeps a copy of bytes for ever and maps a file.
FROM_BYTES = 16 * 1024 * 1024
LOCK_NAME = "models.lock"
_FORMAT = 1
MODEL_FILE = "model.onnx"
PREPARED_FILE = "model.prepared.onnx"
PREPARED_DATA = "model.prepared.data"


class FileRecord(NamedTuple):
    """One line of the lock: the file's path below the repository, its SHA-256 and its size in bytes."""

    path: str
    sha256: str
    size: int
    # What build found out, so that a start need not: what stands in a model.toml, a prepared graph's external files
    table: dict[str, Any] | None = None


class VersionFiles:
    """Which files of a version are loaded: what build wrote first, if the lock lists it."""

    def __init__(self, repository: Path, folder: Path, lock: Mapping[str, FileRecord] | None) -> None:
        self._repository = repository
        self.folder = folder
        self.lock = lock
        # Without a lock nothing says what a prepared graph was made from, so it is not used.
        self.prepared = lock is not None and self.name_of(folder / PREPARED_FILE) in lock
        self.graph = folder / (PREPARED_FILE if self.prepared else MODEL_FILE)

    def name_of(self, file: Path) -> str:
        """The file's name in the lock."""
        return file.relative_to(self._repository).as_posix()

    def known_external_files(self) -> list[Path] | None:
        """The external data of a prepared graph, as build checked and wrote it down; None where that is not known.

        :raises ModelRefused: when one is missing.
        """
        record = self.lock.get(self.name_of(self.graph)) if self.lock is not None and self.prepared else None
        names = record.table.get("external") if record is not None and isinstance(record.table, dict) else None
        if not isinstance(names, list):
            return None
        for name in names:
            if not (self.folder / name).is_file():
                raise ModelRefused(f"the external-data file {self.name_of(self.folder / name)} is missing.")
        return [self.folder / name for name in names]

    def originals(self) -> list[FileRecord]:
        """The lock's records of what was there before build."""
        prefix = f"{self.name_of(self.folder)}/"
        return [record for path, record in (self.lock or {}).items() if path.startswith(prefix) and ".prepared." not in path]

    def large(self) -> list[Path]:
        """The files that will be hashed in threads, as far as that can be told without reading the graph."""
        listed = (self.graph, self.folder / PREPARED_DATA) if self.prepared else (self.graph,)
        return [file for file in listed if file.is_file() and file.stat().st_size > FROM_BYTES]


def lock_of(repository: Path) -> dict[str, FileRecord] | None:
    """The lock's records by path, or None where there is no lock.

    :raises ModelRefused: when the lock cannot be read; nothing is served then.
    """
    try:
        text = (repository / LOCK_NAME).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelRefused(f"{LOCK_NAME} cannot be read: {error.strerror}.") from error
    try:
        table = orjson.loads(text)
        if table["format"] != _FORMAT:
            raise KeyError("format")
        records = [FileRecord(path, entry["sha256"], entry["size"], entry.get("table")) for path, entry in table["files"].items()]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ModelRefused(f"{LOCK_NAME} cannot be read; write it again with: onnx-lambda build") from error
    return {record.path: record for record in records}


def write_lock(repository: Path, records: Iterable[FileRecord]) -> None:
    """Write the lock, atomically, sorted by path."""
    files: dict[str, Any] = {}
    for record in sorted(records, key=lambda r: r.path):
        files[record.path] = {"sha256": record.sha256, "size": record.size} | ({"table": record.table} if record.table is not None else {})
    draft = repository / f".{LOCK_NAME}.{os.getpid()}"
    draft.write_bytes(orjson.dumps({"format": _FORMAT, "files": files}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    draft.replace(repository / LOCK_NAME)


def sha256_of(content: bytes) -> str:
    """The SHA-256 of a small content, in hexadecimal.

    By CPython's own implementation, as its ``random`` module does it: hashlib would load OpenSSL for it, in 2.4 ms of
    each cold start. Large files are hashed by OpenSSL, which uses the CPU's instructions for it (``hashing.py``).
    """
    digest: str = _sha256()(content).hexdigest()
    return digest


@functools.cache
def _sha256() -> Any:
    # Python 3.12 and newer, 3.11, and whatever comes
    for name in ("_sha2", "_sha256", "hashlib"):
        try:
            return importlib.import_module(name).sha256
        except ImportError:
            continue
    raise ImportError("no implementation of SHA-256 was found")


def record_of(repository: Path, file: Path) -> FileRecord:
    """Hash one file."""
    content = file.read_bytes()
    return FileRecord(file.relative_to(repository).as_posix(), sha256_of(content), len(content))


def check(record: FileRecord, lock: Mapping[str, FileRecord] | None) -> None:
    """Compare what was read with the lock.

    :raises ModelRefused: for a file that the lock does not list, or lists with another size or digest.
    """
    if lock is None:
        return
    expected = lock.get(record.path)
    if expected is None:
        raise ModelRefused(f"{record.path} is not in {LOCK_NAME}; if it belongs there, run: onnx-lambda build")
    if expected.size != record.size:
        raise ModelRefused(f"{record.path} has {record.size} bytes, but {LOCK_NAME} says {expected.size}: truncated or replaced.")
    if expected.sha256 != record.sha256:
        raise ModelRefused(f"{record.path} does not have the SHA-256 that {LOCK_NAME} says: damaged or replaced.")


def digest_of(records: list[FileRecord]) -> str:
    """A model version's digest: that of its one file, or of the sorted digests of all its files."""
    if len(records) == 1:
        return f"sha256:{records[0].sha256}"
    lines = "".join(f"{r.sha256}  {r.path.rsplit('/', 1)[-1]}\n" for r in sorted(records, key=lambda r: r.path))
    return f"sha256:{sha256_of(lines.encode())}"
