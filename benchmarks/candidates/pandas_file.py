"""What one writes in a minute: `PEAK=FILE python pandas_file.py MODEL IN.csv OUT`."""

import os
import sys
from pathlib import Path

import onnxruntime as ort
import pandas as pd  # type: ignore[import-untyped]

model, source, target = sys.argv[1:]
table = pd.read_csv(source, dtype="float32")
session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
label, scores = session.run(["output_label", "output_probability"], {session.get_inputs()[0].name: table.to_numpy()})
# A ZipMap answers a dictionary for each row.
found = pd.DataFrame(list(scores) if isinstance(scores, list) else scores)
found.insert(0, "label", label)
found.to_csv(Path(target, "predictions.csv"), index=False)
status = Path("/proc/self/status").read_text()
Path(os.environ["PEAK"]).write_text(str(1024 * int(status.partition("VmHWM:")[2].split()[0])))
