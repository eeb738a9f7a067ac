"""`python -m benchmarks [part …] [--quick]`: measure, print the table, write results.json and docs/benchmarks.md."""

import argparse
import datetime as dt
import time
from collections.abc import Callable

from benchmarks import machine, report
from benchmarks.cold import measure_big, measure_cold, measure_memory
from benchmarks.figures import Figure
from benchmarks.json_tensors import measure_json
from benchmarks.plan import FULL, QUICK, Plan
from benchmarks.processes import BenchmarkError, clean_up_on_exit, say
from benchmarks.warm import measure_warm

PARTS: dict[str, Callable[[Plan], list[Figure]]] = {
    "cold": measure_cold,
    "big": measure_big,
    "warm": measure_warm,
    "json": measure_json,
    "memory": measure_memory,
}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}; all of them if none is named")
    parser.add_argument("--quick", action="store_true", help="few rounds, to see that it works; writes no file")
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return chosen


def main() -> None:
    """Run the chosen parts. A missed goal is said, but is no failure of the benchmark."""
    chosen = arguments()
    clean_up_on_exit()
    command = " ".join(["python -m benchmarks", *chosen.parts, *(["--quick"] if chosen.quick else [])])
    parts = {}
    for name, measure in PARTS.items():
        if chosen.parts and name not in chosen.parts:
            continue
        started = time.monotonic()
        try:
            figures = measure(QUICK if chosen.quick else FULL)
        except BenchmarkError as error:
            say(f"{name} not measured: {error}")
            figures = [Figure("everything", name, "", [], note=str(error))]
        date = dt.datetime.now(dt.UTC).date().isoformat()
        parts[name] = report.as_part(figures, date=date, command=command, seconds=time.monotonic() - started)
    print(report.text(parts))
    if lost := report.missed(parts):
        print("\nMISSED or not measured:", *lost, sep="\n  ")
    elif parts:
        print("\nEvery goal is met.")
    if parts and not chosen.quick:
        report.write(report.merge(machine.describe(), parts))
        say(f"written: {report.RESULTS} and {report.PAGE}")


if __name__ == "__main__":
    main()
