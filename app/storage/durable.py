"""What a file system needs to keep a new name after a loss of power."""

import os
from pathlib import Path


def flush_folder(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    # A new name is durable with its folder, not with its file (fsync(2)). Windows opens no folder and needs none of it.
    if os.name == "posix":
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
