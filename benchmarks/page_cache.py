"""Forget what the kernel keeps of files in memory, as on a machine that has never run the function."""

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.processes import ROOT

DROP_CACHES = Path("/proc/sys/vm/drop_caches")
SUFFIXES = {".so", ".py", ".pyc", ".onnx", ".data", ".lock", ".toml"}


def page_cache_dropper(models: Path) -> tuple[Callable[[], None], str]:
    """The strongest way this machine allows, and its name. Pages that a running process has mapped stay in either way."""
    if os.access(DROP_CACHES, os.W_OK):
        return _drop_all, "drop_caches"
    folders = [Path(sys.prefix), Path(sys.base_prefix) / "lib", ROOT / "app", ROOT / "benchmarks", models]
    files = [ROOT / "handler.py", *(path for folder in folders for path in folder.rglob("*") if _is_loaded(path))]
    return lambda: _forget(files), "posix_fadvise on each file"


def _is_loaded(path: Path) -> bool:
    return (path.suffix in SUFFIXES or ".so." in path.name) and path.is_file()


def _drop_all() -> None:
    os.sync()  # a dirty page cannot be dropped
    DROP_CACHES.write_text("3")


def _forget(files: list[Path]) -> None:
    for path in files:
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fdatasync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)
