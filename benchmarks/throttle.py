"""A CPU quota as Lambda gives a function of 512 MB: 0.29 of a CPU, handed out in periods of 20 ms."""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import BenchmarkError, temporary_folder

SHARE = 0.29
MEMORY_MB = 512
PERIOD_US = 20_000


@dataclass(frozen=True, slots=True)
class Controller:
    """A mounted cgroup hierarchy that can limit CPU time."""

    root: Path
    version: int

    def limit(self, group: Path) -> None:
        """Set the quota of a new group."""
        quota_us = round(SHARE * PERIOD_US)
        if self.version == 1:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(quota_us))
        else:
            (group / "cpu.max").write_text(f"{quota_us} {PERIOD_US}")


@contextlib.contextmanager
def cpu_quota() -> Iterator[Sequence[str]]:
    """Make a cgroup with the quota; gives the words to put before a command so that it runs in it.

    Raises BenchmarkError where this machine has no CPU controller we may use, and afterwards if nothing was throttled.
    """
    with contextlib.ExitStack() as stack:
        try:
            controller = _find() or _mount(stack)
            group = controller.root / f"onnx-lambda-bench-{os.getpid()}"
            group.mkdir()
            stack.callback(_remove, group)
            controller.limit(group)
        except OSError as error:
            raise BenchmarkError(f"no CPU controller (cgroup) we may write to: {error}") from None
        yield ["/bin/sh", "-c", 'echo 0 >"$0/cgroup.procs" && exec "$@"', str(group)]
        if "nr_throttled 0\n" in (group / "cpu.stat").read_text():
            raise BenchmarkError(f"the CPU quota in {group} throttled nothing")


def _remove(group: Path) -> None:
    """Remove the group; the kernel may need a moment to notice that its last process has gone."""
    for _ in range(50):
        try:
            group.rmdir()
        except OSError:
            time.sleep(0.02)
        else:
            return


def _find() -> Controller | None:
    """A hierarchy that is mounted and writable already."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, options, *_ = line.split()
        root = Path(where)
        if not os.access(root, os.W_OK):
            continue
        if kind == "cgroup" and "cpu" in options.split(","):
            return Controller(root, 1)
        if kind == "cgroup2" and _enable_v2(root):
            return Controller(root, 2)
    return None


def _mount(stack: contextlib.ExitStack) -> Controller:
    """Mount a hierarchy for the length of the benchmark; OSError if that is not allowed."""
    folder = temporary_folder()
    for version, words in (2, ["-t", "cgroup2"]), (1, ["-t", "cgroup", "-o", "cpu"]):
        done = subprocess.run(["mount", *words, "none", str(folder)], capture_output=True, check=False)
        if done.returncode:
            continue
        if version == 1 or _enable_v2(folder):
            stack.callback(subprocess.run, ["umount", str(folder)], check=False)
            return Controller(folder, version)
        subprocess.run(["umount", str(folder)], check=False)
    raise OSError("none is writable, and none can be mounted")


def _enable_v2(root: Path) -> bool:
    """Whether groups below this root can have a CPU limit."""
    try:
        if "cpu" not in (root / "cgroup.controllers").read_text().split():
            return False
        (root / "cgroup.subtree_control").write_text("+cpu")
    except OSError:
        return False
    return True
