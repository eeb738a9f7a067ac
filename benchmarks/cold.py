"""Cold starts of the small and of the big model, and the memory that they take."""

import functools
from collections.abc import Sequence

from benchmarks import models
from benchmarks.figures import Figure, differences, ratios
from benchmarks.page_cache import page_cache_dropper
from benchmarks.plan import Plan
from benchmarks.processes import BenchmarkError
from benchmarks.starts import Candidate, Condition, Starts, floor, mangum_fastapi, ours, rounds
from benchmarks.throttle import MEMORY_MB, SHARE, cpu_quota

SMALL_GOAL = 1.2
BIG_GOAL = 0.5
MEMORY_GOAL_MB = 40
PLAIN = "as is"
QUOTA = f"{SHARE} of a CPU"


@functools.cache
def small_starts(plan: Plan) -> dict[str, Starts]:
    """The small model on the machine as it is; measured once, used for cold start and for memory."""
    return rounds(models.iris(), _small_candidates(), Condition(PLAIN), plan.starts, plan.seconds)


@functools.cache
def big_starts(plan: Plan) -> dict[str, Starts]:
    """The big model on the machine as it is."""
    return rounds(models.big(), _big_candidates(), Condition(PLAIN), plan.starts, plan.seconds)


def _small_candidates() -> Sequence[Candidate]:
    model = models.iris()
    lean = Candidate("floor, one BLAS thread", floor(model).handler, {**floor(model).environment, "OPENBLAS_NUM_THREADS": "1"})
    return [ours(model), floor(model), lean, mangum_fastapi(model)]


def _big_candidates() -> Sequence[Candidate]:
    model = models.big()
    return [ours(model), floor(model), ours(model, built=False)]


def measure_cold(plan: Plan) -> list[Figure]:
    """The small model: as is, under a CPU quota, with the page cache dropped."""
    figures = _ratios(PLAIN, small_starts(plan), SMALL_GOAL)
    model, candidates = models.iris(), _small_candidates()
    figures += _under_quota(model, candidates, plan, SMALL_GOAL)
    return figures + _from_disk(model, candidates, plan, SMALL_GOAL)


def measure_big(plan: Plan) -> list[Figure]:
    """The big model: as is, under a CPU quota, with the page cache dropped."""
    figures = _ratios(PLAIN, big_starts(plan), BIG_GOAL)
    figures += _under_quota(models.big(), _big_candidates(), plan, None)
    return figures + _from_disk(models.big(), _big_candidates(), plan, None)


def measure_memory(plan: Plan) -> list[Figure]:
    """Peak memory after the first answer, over the floor's."""
    return _peaks("iris", small_starts(plan)) + _peaks("big", big_starts(plan))


def _from_disk(model: models.Model, candidates: Sequence[Candidate], plan: Plan, goal: float | None) -> list[Figure]:
    drop, method = page_cache_dropper(model.folder.parent)
    dropped = Condition(f"page cache dropped ({method})", before=drop)
    return _ratios(dropped.name, rounds(model, candidates, dropped, plan.slow_starts, plan.seconds), goal)


def _under_quota(model: models.Model, candidates: Sequence[Candidate], plan: Plan, goal: float | None) -> list[Figure]:
    try:
        with cpu_quota() as prefix:
            condition = Condition(QUOTA, memory_mb=MEMORY_MB, prefix=prefix)
            starts = rounds(model, candidates, condition, plan.slow_starts, plan.seconds)
    except BenchmarkError as error:
        return [Figure(QUOTA, "ours ÷ floor", "×", [], goal, str(error))]
    return _ratios(QUOTA, starts, goal)


def _ratios(case: str, starts: dict[str, Starts], goal: float | None) -> list[Figure]:
    figures = [Figure(case, name, "ms", mine.ms, note=mine.problem) for name, mine in starts.items()]
    for name, mine in starts.items():
        if name != "floor":
            problem = mine.problem or starts["floor"].problem
            sample = [] if problem else ratios(mine.ms, starts["floor"].ms)
            figures.append(Figure(case, f"{name} ÷ floor", "×", sample, goal if name == "ours" else None, problem))
    return figures


def _peaks(case: str, starts: dict[str, Starts]) -> list[Figure]:
    figures = [Figure(case, name, "MB", mine.peak_mb, note=mine.problem) for name, mine in starts.items()]
    problem = starts["ours"].problem or starts["floor"].problem
    over = [] if problem else differences(starts["ours"].peak_mb, starts["floor"].peak_mb)
    return [*figures, Figure(case, "ours - floor", "MB", over, MEMORY_GOAL_MB, problem)]
