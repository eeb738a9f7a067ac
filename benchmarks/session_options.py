"""What ONNX Runtime's options cost and give for the 102 MB ResNet-50: decisions 4 and 5. Run as `python -m benchmarks.session_options`."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROUNDS = 3
CHILD = """
import sys, time, statistics, resource
import app, numpy as np, onnxruntime as ort
path, level, arena, shrink, varying = sys.argv[1], sys.argv[2], *(flag == "1" for flag in sys.argv[3:])
options = ort.SessionOptions()
options.intra_op_num_threads = 1
options.enable_cpu_mem_arena = arena
options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
started = time.perf_counter()
session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
load_ms = (time.perf_counter() - started) * 1000
run = ort.RunOptions()
if shrink:
    run.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
sizes = [(1, 224), (4, 160), (2, 300), (1, 64), (6, 128), (3, 224), (1, 448), (1, 224)] if varying else [(1, 224)] * 8
name, times = session.get_inputs()[0].name, []
for rows, side in sizes * 2:
    image = np.ones((rows, 3, side, side), np.float32)
    started = time.perf_counter()
    session.run(None, {name: image}, run)
    times.append((time.perf_counter() - started) / (rows * side * side) * 224 * 224)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
print(f"load {load_ms:4.0f} ms, {statistics.median(times) * 1000:5.1f} ms for each 224 x 224, peak {peak:4.0f} MB")
"""


def main() -> None:
    """Build the model, then print a line for each choice and round."""
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder)
        version = models / "resnet" / "1"
        version.mkdir(parents=True)
        subprocess.run([sys.executable, "-m", "benchmarks.big_model", str(version / "model.onnx")], check=True)
        subprocess.run([sys.executable, "-m", "app", "build"], env={**os.environ, "MODEL_DIR": folder}, check=True)
        plain, prepared = str(version / "model.onnx"), str(version / "model.prepared.onnx")
        choices = [
            ("plain file, optimised at load", plain, "ORT_ENABLE_ALL", "1", "0", "0"),
            ("prepared, as it is", prepared, "ORT_DISABLE_ALL", "1", "0", "0"),
            ("prepared, layout at load", prepared, "ORT_ENABLE_ALL", "1", "0", "0"),
            *(
                (f"prepared, {name}, {'varying' if varying == '1' else 'same'} sizes", prepared, "ORT_DISABLE_ALL", arena, shrink, varying)
                for varying in "01"
                for name, arena, shrink in (("arena", "1", "0"), ("arena shrunk after each run", "1", "1"), ("no arena", "0", "0"))
            ),
        ]
        for _ in range(ROUNDS):
            for name, *arguments in choices:
                done = subprocess.run([sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, check=True)
                print(f"{name:54s} {done.stdout.strip()}", flush=True)


if __name__ == "__main__":
    main()
