"""What was measured of each candidate, and why some have nothing."""

import contextlib
import statistics
from collections.abc import Callable, Iterable, Iterator

from benchmarks.figures import Figure, ratios
from benchmarks.peers.candidates import Candidate
from benchmarks.processes import BenchmarkError, say


class Samples:
    """One number of each candidate for each round."""

    def __init__(self, candidates: Iterable[Candidate], unit: str, *, more_is_better: bool) -> None:
        self._values: dict[Candidate, list[float]] = {candidate: [] for candidate in candidates}
        self._problems: dict[Candidate, str] = {}
        self._unit, self._more_is_better = unit, more_is_better

    def measured(self) -> list[Candidate]:
        """The candidates that have not failed."""
        return [candidate for candidate in self._values if candidate not in self._problems]

    @contextlib.contextmanager
    def noting(self, failing: Candidate | str) -> Iterator[None]:
        """Drop a candidate, or every one of a server, if the block fails; the others go on."""
        try:
            yield
        except (BenchmarkError, OSError, LookupError, ValueError) as error:
            for candidate in self.measured():
                if failing in (candidate, candidate.server):
                    self._problems[candidate] = str(error)
                    self._values[candidate].clear()
                    say(f"{candidate.name} is not measured: {error}")

    def take_turns(self, measure: Callable[[Candidate], float], rounds: int) -> None:
        """Measure every candidate once a round; a first round is not counted."""
        for number in range(rounds + 1):
            for candidate in self.measured():
                with self.noting(candidate):
                    value = measure(candidate)
                    if number:
                        self._values[candidate].append(value)

    def figures(self, case: str, candidates: Iterable[Candidate]) -> list[Figure]:
        """A row for each candidate that was to be measured."""
        chosen = [candidate for candidate in candidates if candidate in self._values]
        return [Figure(case, each.name, self._unit, self._values[each], note=self._problems.get(each, "")) for each in chosen]

    def against(self, case: str, ours: Candidate, rivals: Iterable[Candidate], goal: float | None) -> Figure:
        """How many times better ours is than the best rival, round by round."""
        measured = [rival for rival in rivals if self._values.get(rival)]
        if not measured or not self._values[ours]:
            name = f"{ours.name} against the fastest"
            return Figure(case, name, "×", [], goal, note="there is nothing to compare", at_least=True)
        best = max if self._more_is_better else min
        rival = best(measured, key=lambda each: statistics.median(self._values[each]))
        over, under = (ours, rival) if self._more_is_better else (rival, ours)
        sample = ratios(self._values[over], self._values[under])
        return Figure(case, f"{over.name} ÷ {under.name}", "×", sample, goal, at_least=True)
