"""What ``onnx-lambda build`` does to a model: optimise its graph once, so that no cold start does it again."""

from pathlib import Path

import onnxruntime as ort

from app.errors import ModelRefused, Problem
from app.inference.external_data import external_files
from app.inference.golden import close
from app.inference.integrity import MODEL_FILE, PREPARED_DATA, PREPARED_FILE
from app.inference.loading import sample_inputs
from app.inference.manifest import Manifest
from app.inference.session import Session, options

# From this size on, weights in a file of their own load faster, because ONNX Runtime maps them into memory; below it
# the second file costs more than it saves. Figures: docs/decisions/0005-prepared-models.md.
_EXTERNAL_FROM_BYTES = 4 * 1024 * 1024


def prepare(folder: Path, manifest: Manifest) -> list[Path]:
    """Write the optimised graph beside the original, and check that it answers the same; the files that were written.

    :raises ModelRefused: when the model cannot be loaded, or the optimised graph answers differently.
    """
    original = folder / MODEL_FILE
    size = sum(path.stat().st_size for path in originals(folder))
    prepared, data = folder / PREPARED_FILE, folder / PREPARED_DATA
    chosen = options(intra_op_threads=1, optimize=True)
    # Levels above EXTENDED choose layouts by this machine's CPU; the image may start on another.
    chosen.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    chosen.optimized_model_filepath = str(prepared)
    if size >= _EXTERNAL_FROM_BYTES:
        chosen.add_session_config_entry("session.optimized_model_external_initializers_file_name", data.name)
        chosen.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")
    plain = Session(str(original), chosen, manifest)
    written = [path for path in (prepared, data) if path.exists()]
    again = Session(str(prepared), options(intra_op_threads=1, optimize=False), manifest)
    _compare(plain, again, manifest)
    return written


def _compare(plain: Session, prepared: Session, manifest: Manifest) -> None:
    inputs = sample_inputs(plain.signature, manifest)
    if inputs is None:
        return
    names = list(plain.signature.output_by_name)
    try:
        expected = plain.run(inputs, names)
    except Problem:
        # made-up inputs that the original refuses prove nothing
        return
    for name, value in prepared.run(inputs, names).items():
        if not close(value, expected[name], 1e-4, 1e-5):
            raise ModelRefused(f"the optimised graph answers differently from the original in output '{name}'.")


def originals(version: Path) -> list[Path]:
    """The files that a version came with: the graph and its external data."""
    graph = version / MODEL_FILE
    return [graph, *external_files(graph.read_bytes(), version)]
