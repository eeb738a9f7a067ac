"""JSON tensors of float32, decode and encode apart, ours against the fastest rival."""

import json
import os
import statistics
import sys
import tempfile

from benchmarks.figures import Figure, ratios
from benchmarks.plan import Plan
from benchmarks.processes import run, say

GOAL = 2.0
SIZES = {"1 k": 1_000, "100 k": 100_000, "1 M": 1_000_000}


def measure_json(plan: Plan) -> list[Figure]:
    """Every size, as rows of ten and flat, both ways."""
    figures = []
    for label, size in SIZES.items():
        say(f"JSON tensors of {label} float32: {plan.json_rounds} rounds")
        with tempfile.NamedTemporaryFile() as file:
            command = [sys.executable, "-m", "benchmarks.json_worker", file.name, str(size), str(plan.json_rounds)]
            run(command, os.environ, seconds=150)
            results = json.load(file)
        for shape, ways in results.items():
            for way, samples in ways.items():
                figures += _figures(f"{way} {label} {shape}", samples)
    return figures


def _figures(case: str, samples: dict[str, list[float]]) -> list[Figure]:
    rivals = [name for name in samples if name != "ours"]
    fastest = min(rivals, key=lambda name: statistics.median(samples[name]))
    figures = [Figure(case, name, "ms", samples[name]) for name in ("ours", *rivals)]
    return [*figures, Figure(case, f"ours ÷ {fastest}", "×", ratios(samples["ours"], samples[fastest]), GOAL)]
