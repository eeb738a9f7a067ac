"""One cold start: from exec of awslambdaric to the posted first answer, and the peak memory at that moment."""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.events import as_bytes, http_api_event
from benchmarks.models import Model
from benchmarks.processes import ROOT, BenchmarkError, child, say, tail
from benchmarks.runtime_api import runtime_api

START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Candidate:
    """A handler to start, and what of the environment is its own."""

    name: str
    handler: str
    environment: Mapping[str, str]
    problem: str = ""  # why it cannot be started at all


@dataclass(frozen=True, slots=True)
class Condition:
    """What the machine is like while a process starts."""

    name: str
    memory_mb: int = 1769
    prefix: Sequence[str] = ()
    before: Callable[[], None] = lambda: None


@dataclass(slots=True)
class Starts:
    """The cold starts of one candidate, a number a round."""

    ms: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)
    problem: str = ""


def ours(model: Model, *, built: bool = True) -> Candidate:
    """This project's handler."""
    folder = model.folder if built else model.plain_folder
    name = "ours" if built else "ours, not built"
    environment = {"MODEL_DIR": str(folder), "DEFAULT_MODEL": model.name}
    return Candidate(name, "handler.handler", environment, model.problem if built else "")


def floor(model: Model) -> Candidate:
    """awslambdaric and ONNX Runtime, nothing else."""
    return Candidate("floor", "benchmarks.candidates.floor.handler", {"MODEL_FILE": str(model.file)})


def mangum_fastapi(model: Model) -> Candidate:
    """The usual stack."""
    return Candidate("Mangum + FastAPI", "benchmarks.candidates.mangum_fastapi.handler", {"MODEL_FILE": str(model.file)})


def lambda_environment(candidate: Candidate, memory_mb: int) -> dict[str, str]:
    """What Lambda sets for a container image, and nothing of this shell."""
    return {
        "PATH": os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin"),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EXECUTION_ENV": "AWS_Lambda_Image",
        "AWS_LAMBDA_FUNCTION_NAME": "benchmark",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/benchmark",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/03/10/[$LATEST]0123456789abcdef",
        "LAMBDA_TASK_ROOT": str(ROOT),
        "PYTHONPATH": str(ROOT),
        "_HANDLER": candidate.handler,
        "ORT_DISABLE_TELEMETRY": "1",  # for all: no benchmark should send anything
        **candidate.environment,
    }


def cold_start(candidate: Candidate, event: bytes, condition: Condition) -> tuple[float, float]:
    """Start a process, wait for its first answer, kill it: milliseconds and peak megabytes."""
    command = [*condition.prefix, sys.executable, "-m", "awslambdaric", candidate.handler]
    environment = lambda_environment(candidate, condition.memory_mb)
    condition.before()
    with tempfile.TemporaryFile() as output, runtime_api(event) as api:
        environment["AWS_LAMBDA_RUNTIME_API"] = api.address
        started_ns = time.perf_counter_ns()
        with child(command, environment, output=output) as process:
            deadline = time.monotonic() + START_SECONDS
            while not api.idle.wait(0.25) and process.poll() is None and time.monotonic() < deadline:
                pass
            if not api.answered_ns or api.failure:
                raise BenchmarkError(f"{candidate.name} did not answer: {api.failure or tail(output)}")
            peak_mb = peak_memory_mb(process.pid)
    answer = json.loads(api.answer)
    if answer.get("statusCode") != 200 or '"outputs"' not in answer.get("body", ""):
        raise BenchmarkError(f"{candidate.name} answered {api.answer[:300]!r}")
    return (api.answered_ns - started_ns) / 1e6, peak_mb


def peak_memory_mb(pid: int) -> float:
    """The most resident memory the process ever had (VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise BenchmarkError("this system does not tell a process's peak memory (VmHWM)")


def rounds(model: Model, candidates: Sequence[Candidate], condition: Condition, count: int, seconds: float) -> dict[str, Starts]:
    """Start all candidates in turn, `count` times or until the time is up, after one round that is not counted."""
    event = as_bytes(http_api_event(model.body))
    starts = {candidate.name: Starts(problem=candidate.problem) for candidate in candidates}
    deadline = time.monotonic() + seconds
    say(f"cold start of {model.name}, {condition.name}: {count} rounds of {', '.join(starts)}")
    for number in range(count + 1):
        for candidate in candidates:
            mine = starts[candidate.name]
            if mine.problem:
                continue
            try:
                milliseconds, peak_mb = cold_start(candidate, event, condition)
            except BenchmarkError as error:
                mine.problem = str(error)
                mine.ms.clear()
                mine.peak_mb.clear()
                say(mine.problem)
                continue
            if number:
                mine.ms.append(milliseconds)
                mine.peak_mb.append(peak_mb)
        if number and time.monotonic() > deadline:
            say(f"out of time after {number} rounds")
            break
    return starts
