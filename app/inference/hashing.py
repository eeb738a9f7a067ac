"""Hashes large files in threads, from as early as the process knows which it will load."""

import mmap
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from app.errors import ModelRefused
from app.inference.integrity import FileRecord


class FileIdentity(NamedTuple):
    """What changes when a file is replaced or written to."""

    inode: int
    size: int
    modified_ns: int


def identity_of(path: Path) -> FileIdentity:
    """The file's identity now."""
    found = path.stat()
    return FileIdentity(found.st_ino, found.st_size, found.st_mtime_ns)


class Hasher:
    """Hashes files, each once, in a thread of its own. SHA-256 takes 60 ms for 100 MB, and lets Python run meanwhile."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._started: dict[Path, _Hashing] = {}

    def start(self, files: Iterable[Path]) -> None:
        """Begin to hash; a file that was begun is not begun again."""
        for file in files:
            if file not in self._started:
                self._started[file] = _Hashing(file)

    def finish(self, file: Path) -> FileRecord:
        """Wait for a file's hash.

        :raises ModelRefused: when the file cannot be read, or is no longer the one that was hashed.
        """
        self.start([file])
        hashing = self._started.pop(file)
        hashing.thread.join()
        if not hashing.digest or hashing.before != identity_of(file):
            raise ModelRefused(f"{file.name} cannot be read, or changed while it was loaded.")
        return FileRecord(file.relative_to(self._repository).as_posix(), hashing.digest, hashing.before.size)


class _Hashing:
    def __init__(self, file: Path) -> None:
        self.before = identity_of(file)
        self.digest = ""
        self.thread = threading.Thread(target=self._hash, args=(file,), name="model-hash")
        self.thread.start()

    def _hash(self, file: Path) -> None:
        import hashlib

        try:
            with file.open("rb") as stream:
                if not self.before.size:
                    self.digest = hashlib.sha256().hexdigest()
                    return
                # in one call, which gives the GIL back once instead of at every block
                with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view:
                    self.digest = hashlib.sha256(view).hexdigest()
        except OSError:
            return
