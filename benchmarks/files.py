"""A file of CSV through `onnx-lambda batch` on this machine, beside a plain script of pandas and ONNX Runtime: rows per second and memory.

Each is a process from its start to its end, which reads the same file, runs the same model and writes a line of CSV for each row.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import models
from benchmarks.figures import Figure, differences, ratios
from benchmarks.plan import Plan
from benchmarks.processes import ROOT, BenchmarkError, run, say

FEW, MANY = 10_000, 1_000_000
# The memory that a hundred times the rows may take besides.
FLAT_MB = 32.0
ONE, ALL, PANDAS = "onnx-lambda batch, one thread", "onnx-lambda batch", "pandas and ONNX Runtime"
SCRIPT = ROOT / "benchmarks" / "candidates" / "pandas_file.py"
PYTHON = ROOT / ".venv-peers" / "pandas" / "bin" / "python"
_SECONDS = 120


def measure_files(plan: Plan) -> list[Figure]:
    """Both sizes of file, all candidates by turns."""
    model = models.iris()
    wanted = [ONE, ALL, *([PANDAS] if PYTHON.exists() else [])]
    seconds: dict[str, list[float]] = {name: [] for name in wanted}
    peaks: dict[tuple[str, int], list[float]] = {(name, rows): [] for name in wanted for rows in (FEW, MANY)}
    say(f"files of {FEW:,} and {MANY:,} rows: {plan.file_rounds} rounds")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for rows in (FEW, MANY):
            write_flowers(folder / f"{rows}.csv", rows)
        _compare(folder, model, wanted)
        for _ in range(plan.file_rounds):
            for rows in (FEW, MANY):
                for name in wanted:
                    taken, peak = _measured(name, folder / f"{rows}.csv", folder / "out", model)
                    shutil.rmtree(folder / "out")
                    peaks[name, rows].append(peak)
                    if rows == MANY:
                        seconds[name].append(taken)
    return _figures(wanted, seconds, peaks)


def _figures(wanted: list[str], seconds: dict[str, list[float]], peaks: dict[tuple[str, int], list[float]]) -> list[Figure]:
    case = f"{MANY:,} rows of CSV"
    figures = [Figure(case, name, "rows/s", [MANY / taken for taken in seconds[name]]) for name in wanted]
    if PANDAS in wanted:
        figures += [Figure(case, f"{name} ÷ {PANDAS}", "×", ratios(seconds[PANDAS], seconds[name]), at_least=True) for name in (ONE, ALL)]
    else:
        figures.append(Figure(case, PANDAS, "rows/s", [], note="pandas is not installed: make .venv-peers/pandas/ready"))
    for name in wanted:
        figures += [Figure(f"Highest memory, {rows:,} rows", name, "MB", peaks[name, rows]) for rows in (FEW, MANY)]
        goal = None if name == PANDAS else FLAT_MB
        figures.append(Figure("The same, the one less the other", name, "MB", differences(peaks[name, MANY], peaks[name, FEW]), goal))
    return figures


def write_flowers(path: Path, rows: int) -> None:
    """Flowers that nobody has seen, the same at each run."""
    table = np.random.default_rng(20).uniform((4.3, 2.0, 1.0, 0.1), (7.9, 4.4, 6.9, 2.5), (rows, 4))
    with path.open("w") as file:
        file.write("sepal_length,sepal_width,petal_length,petal_width\n")
        np.savetxt(file, table, "%.1f", ",")


def _measured(name: str, source: Path, out: Path, model: models.Model) -> tuple[float, float]:
    """Seconds of the whole process, and the highest memory in MB that it had."""
    target = out / name
    target.mkdir(parents=True)
    report = target / "peak"
    if name == PANDAS:
        command, named = [str(PYTHON), str(SCRIPT), str(model.file)], {}
    else:
        threads = ["--threads", "1"] if name == ONE else []
        command, named = [sys.executable, "-m", "benchmarks.files", *threads, "--quiet"], {"MODEL_DIR": str(model.folder)}
    started = time.perf_counter()
    run([*command, str(source), str(target)], {"PATH": os.environ["PATH"], "PEAK": str(report), **named}, seconds=_SECONDS)
    return time.perf_counter() - started, float(report.read_text()) / 1e6


def _compare(folder: Path, model: models.Model, wanted: list[str]) -> None:
    """All must say the same of each row; the round that warms the caches."""
    labels: dict[str, list[str]] = {}
    for name in wanted:
        _measured(name, folder / f"{FEW}.csv", folder / "first", model)
        predictions = next((folder / "first" / name).rglob("predictions.csv"))
        labels[name] = [line.split(",")[0] for line in predictions.read_text().splitlines()[1:]]
    if any(found != labels[ONE] or len(found) != FEW for found in labels.values()):
        raise BenchmarkError("the candidates do not say the same")


def main() -> None:
    """`onnx-lambda batch`, which leaves its highest memory behind: `PEAK=FILE python -m benchmarks.files IN OUT`."""
    from app.cli import main as onnx_lambda

    code = onnx_lambda(["batch", *sys.argv[1:]])
    status = Path("/proc/self/status").read_text()
    Path(os.environ["PEAK"]).write_text(json.dumps(1024 * int(status.partition("VmHWM:")[2].split()[0])))
    sys.exit(code)


if __name__ == "__main__":
    main()
