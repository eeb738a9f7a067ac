"""Writes the figures: results.json, the table in docs/benchmarks.md, and the same table for the terminal."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.figures import Figure
from benchmarks.processes import ROOT

RESULTS = ROOT / "benchmarks" / "results.json"
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
TITLES = {
    "cold": "Cold start, small model (exec to posted first answer)",
    "big": "Cold start, 102 MB model",
    "warm": "Warm request, in process",
    "json": "JSON tensors of float32",
    "binary": "Raw tensors of float32 through the fast lane",
    "deliveries": "Deliveries of SQS to the small model",
    "files": "Files through `onnx-lambda batch`, process start to end",
    "inbox": "Files through S3's event, process start to end",
    "memory": "Peak memory after the first answer",
    "peers-tensor": "Other servers: a large tensor",
    "peers-row": "Other servers: one row",
}
Part = dict[str, Any]  # date, command, seconds, figures: as in results.json


def merge(machine: dict[str, object], parts: dict[str, Part]) -> dict[str, Any]:
    """The new parts beside those of earlier runs on the same machine and libraries."""
    earlier: dict[str, Part] = {}
    if RESULTS.exists():
        stored = json.loads(RESULTS.read_text())
        # "commit" is that of the newest run; parts of earlier ones stay
        if {**stored.get("machine", {}), "commit": ""} == {**machine, "commit": ""}:
            earlier = stored["parts"]
    every = earlier | parts
    return {"machine": machine, "parts": {name: every[name] for name in TITLES if name in every}}


def as_part(figures: Sequence[Figure], *, date: str, command: str, seconds: float) -> Part:
    """A part as results.json holds it."""
    return {
        "date": date,
        "command": command,
        "seconds": round(seconds, 1),
        "figures": [figure.as_json() for figure in figures],
    }


def write(results: dict[str, Any]) -> None:
    """Write results.json and put the table between the page's markers."""
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE} has lost its markers {BEGIN} and {END}")
    PAGE.write_text(f"{before}{BEGIN}\n{markdown(results)}\n{END}{after}")


def markdown(results: dict[str, Any]) -> str:
    """The tables of the page."""
    machine = results["machine"]
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    lines = [
        f"Measured on {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB,",
        f"{machine['system']}, Python {machine['python']};",
        f"{libraries}.",
    ]
    for name, part in results["parts"].items():
        lines += ["", f"### {TITLES[name]}", "", f"`{part['command']}`, {part['date']}, {part['seconds']:.0f} s.", ""]
        lines += ["| Case | What | Median | Quartiles | n | Goal |", "|---|---|--:|--:|--:|---|"]
        lines += [f"| {' | '.join(_cells(figure))} |" for figure in part["figures"]]
    return "\n".join(lines)


def text(parts: dict[str, Part]) -> str:
    """The same for a terminal, in columns."""
    lines: list[str] = []
    for name, part in parts.items():
        rows = [_cells(figure) for figure in part["figures"]]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
        lines += ["", TITLES[name]]
        lines += ["  " + "  ".join(_padded(row, widths)).rstrip() for row in rows]
    return "\n".join(lines)


def missed(parts: dict[str, Part]) -> list[str]:
    """What did not meet its goal, and what was not measured."""
    rows = [(name, figure) for name, part in parts.items() for figure in part["figures"]]
    return [f"{name}: {'  '.join(_cells(figure))}" for name, figure in rows if figure["verdict"] in {"MISSED", "not measured"}]


def _padded(row: Sequence[str], widths: Sequence[int]) -> Iterable[str]:
    for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
        yield cell.ljust(width) if column in (0, 1, 5) else cell.rjust(width)


def _cells(figure: dict[str, Any]) -> list[str]:
    unit = figure["unit"]
    if figure["median"] is None:
        median = f"not measured: {' '.join(figure['note'].split()).replace('|', '/'):.60}"
    else:
        median = f"{_number(figure['median'])} {unit}"
    quartiles = "" if figure["q1"] is None else f"{_number(figure['q1'])} to {_number(figure['q3'])}"
    sign = "≥" if figure.get("at_least") else "≤"
    goal = "" if figure["goal"] is None else f"{sign} {figure['goal']:g} {unit}: {figure['verdict']}"
    return [figure["case"], figure["name"], median, quartiles, str(figure["n"] or ""), goal]


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"
