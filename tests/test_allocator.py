"""What the process frees, its next request gets without the kernel."""

import os
import platform
import subprocess
import sys

import pytest

from tests.shells import ROOT

# Prints how many pages the third of three equal blocks of 16 MB was new on.
PROGRAM = """
import resource
from app.allocator import keep_freed_memory

keep_freed_memory()
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = b"x" * (16 << 20)
    del block
    found = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(found)
"""


def new_pages(**environment: str) -> int:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")} | environment
    ran = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return int(ran.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such settings")
def test_freed_memory_is_kept() -> None:
    """A block of the same size as one that was freed takes no new pages."""
    assert new_pages() < 100


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such settings")
def test_settings_of_the_environment_stand() -> None:
    """Who sets glibc's own variables has them, for every block back to the kernel too."""
    assert new_pages(MALLOC_MMAP_THRESHOLD_="65536", MALLOC_TRIM_THRESHOLD_="0") > 1000
