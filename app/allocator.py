"""glibc's memory, kept from request to request: what one request gave back the next one gets, without the kernel.

By itself glibc gives large blocks back at once, and each request takes and touches new pages for the same megabytes:
docs/decisions/0010-freed-memory-is-kept.md has the measurement.
"""

import os
import sys

# <malloc.h>, and https://sourceware.org/glibc/manual/latest/html_node/Malloc-Tunable-Parameters.html
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_KEPT_BYTES = 128 * 1024 * 1024
# the largest that glibc takes; larger blocks go back to the kernel when they are freed
_LARGEST_BLOCK = 32 * 1024 * 1024


def keep_freed_memory() -> None:
    """Let the process keep up to 128 MB of what it frees, for all its threads. Elsewhere than on glibc, or where the
    environment has settings of its own, nothing is changed.
    """
    if sys.platform != "linux" or any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGEST_BLOCK)
    mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
    # With an arena for each thread each would keep as much, and reuse only its own.
    mallopt(_M_ARENA_MAX, 1)
