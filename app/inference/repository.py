"""The models of one folder: which exist, which is the default, which are loaded, and why one is not."""

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from app.errors import ModelNotReady, ModelRefused, SettingError, UnknownModel, UnknownVersion
from app.inference import manifest as manifests
from app.inference.hashing import Hasher
from app.inference.integrity import LOCK_NAME, MODEL_FILE, PREPARED_FILE, FileRecord, VersionFiles, check, lock_of, record_of
from app.inference.manifest import Manifest

if TYPE_CHECKING:
    from app.inference.loading import Loaded

# A name is a path segment, a metric dimension and a header value, so it is kept plain; the folder on disk is never
# looked up by what a caller sent, only by what was listed at start.
_NAME = frozenset("._-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
# After a failure a model is tried again at the first request that comes this many seconds later.
RETRY_S = 30
# 1,769 MB is one vCPU: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
_MB_PER_VCPU = 1769


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class Entry:
    """One version: not loaded, loaded, or failed with a reason."""

    name: str
    version: str
    manifest: Manifest | ModelRefused
    loaded: "Loaded | None" = None
    failure: str = ""
    failed_at: float = 0.0
    preloaded: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class Repository:
    """Every version below a folder. Reading is free of locks; loading happens once for each version."""

    def __init__(self, folder: Path, *, threads: int, default_model: str = "") -> None:
        """List the folder.

        :raises SettingError: when there is no folder or no model in it, or ``default_model`` is not there.
        """
        self.folder = folder
        self._threads = threads
        self._hasher = Hasher(folder)
        self._models: dict[str, dict[str, Entry]] = {}
        self._lock_failure = ""
        self._lock: dict[str, FileRecord] | None = None
        try:
            self._lock = lock_of(folder)
        except ModelRefused as error:
            self._lock_failure = str(error)
        for name in sorted({*_folders(folder), *(path.split("/")[0] for path in self._lock or () if path.count("/") == 2)}):
            versions = sorted(_versions(folder / name, self._lock), key=_version_order)
            if not versions:
                continue
            found = _manifest(folder / name, self._lock, versions)
            self._models[name] = {version: Entry(name, version, found) for version in versions}
        if not self._models:
            raise SettingError(f"MODEL_DIR is '{folder}', which holds no model; expected {folder}/<name>/<version>/{MODEL_FILE}.")
        refused = [str(entry.manifest) for entry in self.entries() if isinstance(entry.manifest, ModelRefused)]
        self._refused_manifest = refused[0] if refused else ""
        self.default_model = self._choose_default(default_model)

    def names(self) -> list[str]:
        """The models' names, sorted."""
        return sorted(self._models)

    def versions(self, name: str) -> list[str]:
        """A model's versions, oldest first.

        :raises UnknownModel: with the names that exist.
        """
        return list(self._named(name))

    def entry(self, name: str | None = None, version: str | None = None) -> Entry:
        """One version, loaded or not; the default model and the newest version where none is named.

        :raises UnknownModel: with the names that exist.
        :raises UnknownVersion: with the versions that exist.
        """
        if name is None and not self.default_model and self._refused_manifest:
            # which model is the default stands in a file that cannot be trusted
            raise ModelNotReady(f"The default model is not known: {self._refused_manifest}", headers={"Retry-After": str(RETRY_S)})
        if name is None and not self.default_model:
            raise UnknownModel(f"No default model is set; name one of {', '.join(self.names())}, or set DEFAULT_MODEL.")
        name = name if name is not None else self.default_model
        versions = self._named(name)
        if version is None:
            return next(reversed(versions.values()))
        if version not in versions:
            raise UnknownVersion(f"Model '{name}' has no version '{version[:64]}'; it has {', '.join(versions)}.")
        return versions[version]

    def entries(self) -> Iterator[Entry]:
        """Every version of every model."""
        for name in self.names():
            yield from self._models[name].values()

    def get(self, name: str | None = None, version: str | None = None) -> "Loaded":
        """A version that can run, loaded now if it was not yet.

        :raises UnknownModel: see :meth:`entry`.
        :raises UnknownVersion: see :meth:`entry`.
        :raises ModelNotReady: with the reason, when it could not be loaded.
        """
        entry = self.entry(name, version)
        if entry.loaded is None:
            self._load(entry)
        if entry.loaded is None:
            raise ModelNotReady(
                f"Model '{entry.name}' version '{entry.version}' could not be loaded: {entry.failure}",
                headers={"Retry-After": str(RETRY_S)},
            )
        return entry.loaded

    def hash_ahead(self, which: str) -> None:
        """Begin to hash the large files that :meth:`preload` will load, before the imports that loading needs."""
        for name in self._preloaded(which):
            if name in self._models:
                self._hasher.start(VersionFiles(self.folder, self.folder / name / self.entry(name).version, self._lock).large())

    def preload(self, which: str) -> None:
        """Load ``default``, ``all``, ``none``, or the names separated by commas. A failure is kept in its entry; the others go on.

        :raises SettingError: for a name that does not exist.
        """
        for name in self._preloaded(which):
            if name not in self._models:
                raise SettingError(f"PRELOAD_MODELS names '{name}', but the models are {', '.join(self.names())}.")
            entry = self.entry(name)
            entry.preloaded = True
            self._load(entry)

    def _preloaded(self, which: str) -> list[str]:
        names = {"default": [self.default_model], "all": self.names(), "none": []}.get(which, [name.strip() for name in which.split(",")])
        return [name for name in names if name]

    def _load(self, entry: Entry) -> None:
        with entry.lock:
            if entry.loaded is not None or (entry.failure and time.monotonic() - entry.failed_at < RETRY_S):
                return
            entry.failure, entry.failed_at = "", time.monotonic()
            try:
                if self._lock_failure:
                    raise ModelRefused(self._lock_failure)
                if isinstance(entry.manifest, ModelRefused):
                    raise entry.manifest
                # NumPy and ONNX Runtime come in with this import
                from app.inference.loading import load

                entry.loaded = load(
                    self.folder,
                    entry.name,
                    entry.version,
                    manifest=entry.manifest,
                    lock=self._lock,
                    threads=self._threads,
                    hasher=self._hasher,
                )
            except ModelRefused as error:
                entry.failure = str(error)
            except OSError as error:
                entry.failure = f"a file of the model cannot be read ({error.strerror})."
            except Exception as error:
                entry.failure = f"loading it failed in a way nobody foresaw ({type(error).__name__})."

    def _named(self, name: str) -> dict[str, Entry]:
        if name not in self._models:
            raise UnknownModel(f"There is no model '{name[:64]}'; the models are {', '.join(self.names())}.")
        return self._models[name]

    def _choose_default(self, wanted: str) -> str:
        if wanted:
            if wanted not in self._models:
                raise SettingError(f"DEFAULT_MODEL is '{wanted}', but the models are {', '.join(self.names())}.")
            return wanted
        chosen = [n for n in self.names() if isinstance(m := self.entry(n).manifest, Manifest) and m.default]
        if len(chosen) > 1:
            raise SettingError(f"{' and '.join(chosen)} both say 'default = true' in model.toml; keep it in one, or set DEFAULT_MODEL.")
        return chosen[0] if chosen else (self.names()[0] if len(self._models) == 1 else "")


def threads_for(memory_mb: int, wanted: int) -> int:
    """Intra-op threads: ``wanted``, else one for each vCPU that Lambda's memory buys, else the CPUs of this process."""
    if wanted:
        return wanted
    if memory_mb:
        return max(1, memory_mb // _MB_PER_VCPU)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _is_name(name: str) -> bool:
    return len(name) <= 128 and _NAME.issuperset(name) and name[0] not in "._-" and name[-1] not in "._-"


def _folders(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and _is_name(entry.name))
    except OSError as error:
        raise SettingError(f"MODEL_DIR is '{folder}', which cannot be listed: {error.strerror}.") from error


def _versions(folder: Path, lock: dict[str, FileRecord] | None) -> set[str]:
    """The versions on disk and those the lock promises: a version whose file has gone is known, and answers 503."""
    listed = _folders(folder) if folder.is_dir() else []
    on_disk = {v for v in listed if any((folder / v / file).exists() for file in (MODEL_FILE, PREPARED_FILE))}
    promised = {path.split("/")[1] for path in lock or () if path.startswith(f"{folder.name}/") and path.count("/") == 2}
    return on_disk | promised


def _manifest(folder: Path, lock: dict[str, FileRecord] | None, versions: list[str]) -> Manifest | ModelRefused:
    try:
        found = _unchecked_manifest(folder, lock)
        found.check_versions(folder.name, versions)
    except ModelRefused as error:
        return error
    except OSError as error:
        return ModelRefused(f"{folder.name}/{manifests.FILE_NAME} cannot be read: {error.strerror}.")
    return found


def _unchecked_manifest(folder: Path, lock: dict[str, FileRecord] | None) -> Manifest:
    file = folder / manifests.FILE_NAME
    if lock is None or not (file.is_file() or f"{folder.name}/{file.name}" in lock):
        return manifests.read(folder)
    check(record_of(folder.parent, file), lock)
    table = lock[f"{folder.name}/{file.name}"].table
    if not isinstance(table, dict):
        raise ModelRefused(f"{LOCK_NAME} does not say what {folder.name}/{file.name} holds; write it again with: onnx-lambda build")
    return manifests.of_table(folder.name, table)


def _version_order(version: str) -> list[tuple[int, int, str]]:
    """Numbers by value, so that 10 comes after 9; words by letter, after numbers."""
    if version.isdigit():
        return [(0, int(version), "")]
    import re

    parts = re.findall(r"\d+|\D+", version)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]
