"""Warm requests in process: event dict in, response dict out, log lines and metrics included."""

import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from benchmarks import models
from benchmarks.figures import Figure, differences, ratios
from benchmarks.plan import Plan
from benchmarks.processes import BenchmarkError, child, say
from benchmarks.starts import Candidate, lambda_environment, mangum_fastapi, ours
from benchmarks.warm_worker import BARE

OVERHEAD_GOAL_US = 150
RIVAL = "Mangum + FastAPI + pydantic"
RIVAL_BYTES = "Mangum + FastAPI, async endpoint, orjson bytes"


class Worker:
    """A process that calls one candidate a batch at a time."""

    def __init__(self, candidate: Candidate, path: str, body: str, stack: ExitStack) -> None:
        command = [sys.executable, "-m", "benchmarks.warm_worker", candidate.handler, path, body]
        environment = lambda_environment(candidate, memory_mb=1769)
        self.process = stack.enter_context(child(command, environment, output=subprocess.PIPE, requests=subprocess.PIPE))
        self.name = candidate.name

    def ask(self, calls: int) -> float:
        """The median time of that many calls in microseconds."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(f"{calls}\n".encode())
            self.process.stdin.flush()
            return float(self.process.stdout.readline()) / 1000
        except (OSError, ValueError):
            raise BenchmarkError(f"{self.name} failed; its error is above") from None


def _candidates() -> Sequence[tuple[Candidate, str]]:
    model = models.iris()
    rival = mangum_fastapi(model)
    bare = Candidate("session.run alone", BARE, {"MODEL_FILE": str(model.file)})
    by_bytes = Candidate(RIVAL_BYTES, rival.handler, rival.environment)
    return [
        (bare, ""),
        (ours(model), "/predict"),
        (Candidate(RIVAL, rival.handler, rival.environment), "/predict"),
        (by_bytes, "/predict-bytes"),
    ]


def measure_warm(plan: Plan) -> list[Figure]:
    """One row through each candidate, batches in turn."""
    with ExitStack() as stack:
        workers = [Worker(candidate, path, models.iris().body, stack) for candidate, path in _candidates()]
        samples: dict[str, list[float]] = {worker.name: [] for worker in workers}
        problems: dict[str, str] = {}
        say(f"warm requests: {plan.warm_batches} batches of {plan.warm_calls} calls of {', '.join(samples)}")
        for number in range(plan.warm_batches + 1):
            for worker in workers:
                if worker.name in problems:
                    continue
                try:
                    microseconds = worker.ask(plan.warm_calls)
                except BenchmarkError as error:
                    problems[worker.name] = str(error)
                    samples[worker.name].clear()
                    continue
                if number:  # the first batch warms up
                    samples[worker.name].append(microseconds)
    return _figures(samples, problems)


def _figures(samples: dict[str, list[float]], problems: dict[str, str]) -> list[Figure]:
    case = "one row"
    figures = [Figure(case, name, "µs", sample, note=problems.get(name, "")) for name, sample in samples.items()]
    bare, mine = samples["session.run alone"], samples["ours"]
    problem = problems.get("ours") or problems.get("session.run alone") or ""
    over = [] if problem else differences(mine, bare)
    figures.append(Figure(case, "ours - session.run", "µs", over, OVERHEAD_GOAL_US, problem))
    for rival in RIVAL, RIVAL_BYTES:
        problem = problems.get("ours") or problems.get(rival) or ""
        sample = [] if problem else ratios(mine, samples[rival])
        figures.append(Figure(case, f"ours ÷ {rival}", "×", sample, note=problem))
    return figures
