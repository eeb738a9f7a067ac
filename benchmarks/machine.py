"""What the figures were measured on."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

LIBRARIES = (
    "onnxruntime",
    "numpy",
    "orjson",
    "pysimdjson",
    "awslambdaric",
    "aws-lambda-powertools",
    "fastapi",
    "mangum",
    "pydantic",
)
OPTIONAL = ("msgspec",)


def describe() -> dict[str, object]:
    """Processor, cores, memory, kernel, Python and the libraries."""
    return {
        "cpu": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": platform.platform(),
        "python": platform.python_version(),
        "commit": _commit(),
        "libraries": {name: version for name in (*LIBRARIES, *OPTIONAL) if (version := _version(name))},
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
