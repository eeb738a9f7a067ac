"""What the documentation says of ONNX's test cases; ``python -m tests.backend.report`` writes it again."""

from collections import Counter
from pathlib import Path

from tests.backend import wire
from tests.backend.cases import all_cases

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "onnx-backend.md"


def document() -> str:
    """The report, as it stands in the documentation."""
    cases = all_cases()
    passed = [case for case in cases if not case.left_out]
    no_tensors = [case.name for case in passed if not all(wire.is_tensors(values) for pair in case.data_sets for values in pair)]
    lines = [
        "# ONNX's own test cases over HTTP",
        "",
        "`make test` sends every data set of ONNX's node and simple backend test cases (`onnx.backend.test`) to a real server, once in JSON and once in",
        "raw tensors, and compares the answers with the case's own at its own tolerances.",
        "",
        "| | cases |",
        "| --- | --- |",
        f"| in the package | {len(cases)} |",
        f"| **pass** | **{len(passed)}** |",
        f"| left out, because nobody could serve them here | {len(cases) - len(passed)} |",
        "",
        f"Open Inference has no sequences and no absent values, so {len(no_tensors)} of those that pass go through `/predict` in JSON alone.",
        "",
        "## Left out, and why",
    ]
    for reason, count in sorted(Counter(case.left_out for case in cases if case.left_out).items(), key=lambda pair: (-pair[1], pair[0])):
        names = ", ".join(f"`{case.name}`" for case in cases if case.left_out == reason)
        lines += ["", f"### {reason} ({count})", "", names]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document())
