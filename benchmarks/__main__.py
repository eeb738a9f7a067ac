"""`python -m benchmarks [part …] [--quick] [--peers peer,…]`: measure, print the table, write results.json and docs/benchmarks.md."""

import argparse
import dataclasses
import datetime as dt
import time
from collections.abc import Callable

from benchmarks import machine, report
from benchmarks.binary import measure_binary
from benchmarks.cold import measure_big, measure_cold, measure_memory
from benchmarks.deliveries import measure_deliveries
from benchmarks.figures import Figure
from benchmarks.files import measure_files
from benchmarks.inbox import measure_inbox
from benchmarks.json_tensors import measure_json
from benchmarks.peers.measure import measure_row, measure_tensor
from benchmarks.peers.servers import PEERS
from benchmarks.plan import FULL, QUICK, Plan
from benchmarks.processes import BenchmarkError, clean_up_on_exit, say
from benchmarks.warm import measure_warm

PARTS: dict[str, Callable[[Plan], list[Figure]]] = {
    "cold": measure_cold,
    "big": measure_big,
    "warm": measure_warm,
    "json": measure_json,
    "binary": measure_binary,
    "deliveries": measure_deliveries,
    "files": measure_files,
    "inbox": measure_inbox,
    "memory": measure_memory,
}
# These take environments that `make bench-peers` installs, so they are measured only where they are named.
PEER_PARTS: dict[str, Callable[[Plan], list[Figure]]] = {"peers-tensor": measure_tensor, "peers-row": measure_row}
EVERY_PART = PARTS | PEER_PARTS


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)} (all of these if none is named), {', '.join(PEER_PARTS)}"
    )
    parser.add_argument("--quick", action="store_true", help="few rounds, to see that it works; writes no file")
    parser.add_argument("--peers", default="", help=f"some of {', '.join(PEERS)}, separated by commas; writes no file")
    chosen = parser.parse_args()
    chosen.peers = tuple(filter(None, chosen.peers.split(",")))
    if unknown := set(chosen.parts) - set(EVERY_PART):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(EVERY_PART)}")
    if unknown := set(chosen.peers) - set(PEERS):
        parser.error(f"no such peer: {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    return chosen


def main() -> None:
    """Run the chosen parts. A missed goal is said, but is no failure of the benchmark."""
    chosen = arguments()
    clean_up_on_exit()
    plan = dataclasses.replace(QUICK if chosen.quick else FULL, peers=chosen.peers)
    command = " ".join(["python -m benchmarks", *chosen.parts])
    parts = {}
    for name in [part for part in EVERY_PART if part in (chosen.parts or PARTS)]:
        started = time.monotonic()
        try:
            figures = EVERY_PART[name](plan)
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
    if parts and not chosen.quick and not chosen.peers:
        report.write(report.merge(machine.describe(), parts))
        say(f"written: {report.RESULTS} and {report.PAGE}")


if __name__ == "__main__":
    main()
