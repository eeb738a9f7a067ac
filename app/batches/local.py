"""Files of this machine as :class:`app.batches.Source` and :class:`app.batches.Place`."""

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import IO, BinaryIO

from app.errors import SettingError, StoreUnavailable
from app.storage.durable import flush_folder

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None  # type: ignore[assignment]

_TRIES = 20


class LocalSource:
    """A file.

    :raises SettingError: for a path that is no file, or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.as_posix()
        with _reading(path):
            # Opening a pipe would wait for whoever writes to it.
            if not stat.S_ISREG(path.stat().st_mode):
                raise SettingError(f"'{path}' cannot be read: it is not a regular file.")
        if not _is_text(self.name):
            raise SettingError(f"'{path}' cannot be read: its name is not UTF-8, which no manifest holds; give it another.")
        with _reading(path), path.open("rb") as file:
            # Its version is of these very bytes; a file that another writes over meanwhile is noticed by its time.
            self._state = _state(file)
            self.size = self._state[0]

    @cached_property
    def version(self) -> str:
        """SHA-256 of the content."""
        with _reading(self._path), self._path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The bytes.

        :raises StoreUnavailable: where they were changed meanwhile.
        """
        with _reading(self._path):
            file = self._path.open("rb")
        with file:
            yield file
            if _state(file) != self._state:
                raise StoreUnavailable(f"'{self.name}' was changed while it was read; predict it again.")


class LocalPlace:
    """A folder. Files appear whole: they are written under another name, flushed, and then given theirs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> bytes | None:
        """A small file. Where there is one, what killed processes left beside it is deleted."""
        path = self._folder / name
        with _answering(), suppress(FileNotFoundError):
            found = path.read_bytes()
            _forget_parts(path.parent)
            return found
        return None

    def size(self, name: str) -> int | None:
        """A file's bytes; None where there is none."""
        with _answering(), suppress(FileNotFoundError):
            return (self._folder / name).stat().st_size
        return None

    @contextmanager
    def create(self, name: str, content_type: str, *, replace: bool = False) -> Iterator["_LocalOutput"]:  # noqa: ARG002 - files have no such
        """A new file."""
        target = self._folder / name
        with _answering():
            part, file = _begun(target)
        try:
            yield _LocalOutput(file, part, target, replace=replace)
        finally:
            # Closing it writes what a full disk would not take before.
            with suppress(OSError):
                file.close()
            with suppress(FileNotFoundError):
                part.unlink()
            self._leave(target.parent)

    def _leave(self, folder: Path) -> None:
        """Delete folders in which nothing came to be."""
        with suppress(OSError):
            while folder != self._folder:
                folder.rmdir()
                folder = folder.parent


class _LocalOutput:
    """A file that is being written."""

    def __init__(self, file: IO[bytes], part: Path, target: Path, *, replace: bool) -> None:
        self._file, self._part, self._target, self._replace = file, part, target, replace

    def write(self, data: bytes) -> None:
        """Add bytes."""
        with _answering():
            self._file.write(data)

    def commit(self) -> bool:
        """Give it its name, if nothing has it."""
        with _answering():
            self._file.flush()
            os.fsync(self._file.fileno())
            if not self._named():
                return False
            flush_folder(self._target.parent)
        return True

    def _named(self) -> bool:
        if self._replace:
            self._part.replace(self._target)
            return True
        try:
            os.link(self._part, self._target)
        except FileExistsError:
            return False
        except OSError:
            # Some mounts have no second names.
            if self._target.exists():
                return False
            self._part.rename(self._target)
        return True


def _state(file: BinaryIO) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        flush_folder(folder.parent)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _begun(target: Path) -> tuple[Path, IO[bytes]]:
    """A part in its folder, which another process may find empty meanwhile and delete."""
    for _ in range(_TRIES):
        with suppress(FileNotFoundError):
            _make_folder(target.parent)
            _forget_parts(target.parent)
            return _part_of(target)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def _part_of(target: Path) -> tuple[Path, IO[bytes]]:
    """A new file beside the target, locked: the system gives the lock back when this process ends, however it does."""
    while True:
        part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        file = part.open("xb")
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX)
        # Another may have taken it for one that was left, before it was locked.
        if os.fstat(file.fileno()).st_nlink:
            return part, file
        file.close()


def _forget_parts(folder: Path) -> None:
    """Delete what processes left that were killed; a living one has its part locked."""
    for part in folder.glob(".*.part") if fcntl else ():
        with suppress(OSError), part.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SettingError(f"'{path}' cannot be read: {error.strerror or 'it failed'}.") from error


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"The folder for predictions cannot be used: {error.strerror or 'it failed'}.") from error
