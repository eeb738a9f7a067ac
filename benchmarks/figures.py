"""What is measured: a figure is a sample of numbers, its median and quartiles, and perhaps a goal."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table. A ratio is computed per round, so that noise which hits a whole round cancels out."""

    case: str
    name: str
    unit: str  # "ms", "µs", "MB", "1/s", "rows/s" or "×"
    sample: Sequence[float]
    goal: float | None = None  # at most this, for the median
    note: str = ""  # why nothing was measured, or which rival was the fastest
    at_least: bool = False  # the goal is at least this

    @property
    def median(self) -> float | None:
        """The middle of the sample, None when nothing was measured."""
        return statistics.median(self.sample) if self.sample else None

    @property
    def quartiles(self) -> tuple[float, float] | None:
        """The first and the third quartile, None when there is too little to have any."""
        if len(self.sample) < 2:
            return None
        low, _, high = statistics.quantiles(self.sample, n=4, method="inclusive")
        return low, high

    @property
    def verdict(self) -> str:
        """`met`, `MISSED`, `not measured`, or nothing when there is no goal."""
        if self.median is None:
            return "not measured"
        if self.goal is None:
            return ""
        met = self.median >= self.goal if self.at_least else self.median <= self.goal
        return "met" if met else "MISSED"

    def as_json(self) -> dict[str, Any]:
        """The form in results.json."""
        quartiles = self.quartiles or (None, None)
        return {
            "case": self.case,
            "name": self.name,
            "unit": self.unit,
            "n": len(self.sample),
            "median": rounded(self.median),
            "q1": rounded(quartiles[0]),
            "q3": rounded(quartiles[1]),
            "goal": self.goal,
            "at_least": self.at_least,
            "verdict": self.verdict,
            "note": self.note,
        }


def rounded(value: float | None) -> float | None:
    """Four significant digits: more would be noise."""
    return None if value is None else float(f"{value:.4g}")


def ratios(sample: Sequence[float], base: Sequence[float]) -> list[float]:
    """Round by round, one sample over the other."""
    return [one / other for one, other in zip(sample, base, strict=True)]


def differences(sample: Sequence[float], base: Sequence[float]) -> list[float]:
    """Round by round, one sample minus the other."""
    return [one - other for one, other in zip(sample, base, strict=True)]
