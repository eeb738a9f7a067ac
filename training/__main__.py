"""``python -m training [folder]``: train, compare with scikit-learn, write; the folder is ``models/`` unless named."""

import sys
from pathlib import Path

from training import digits, iris
from training.example import Example
from training.golden import golden_json
from training.verification import compare

MODELS = Path(__file__).resolve().parent.parent / "models"


def main(folder: Path) -> None:
    """Make every example; nothing is written unless all of them agree with scikit-learn."""
    examples = [iris.example(), digits.example()]
    for example in examples:
        agreement = compare(example)
        print(
            f"{example.name}: held-out accuracy {example.accuracy:.4f}; {agreement.rows} rows: "
            f"{agreement.wrong_labels} labels differ, probabilities by at most {agreement.largest_difference:.1e}"
        )
        if not agreement.holds:
            raise SystemExit(f"{example.name}: ONNX Runtime and scikit-learn disagree; nothing was written")
    for example in examples:
        write(example, folder / example.name)


def write(example: Example, folder: Path) -> None:
    """Write the files of one example and say their sizes."""
    files = {
        folder / "1" / "model.onnx": example.model_bytes,
        folder / "model.toml": example.manifest.encode(),
        folder / "golden.json": golden_json(example).encode(),
    }
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        print(f"{path}: {len(content):,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else MODELS)
