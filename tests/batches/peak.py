"""`python -m tests.batches.peak MODELS FILE OUT PIPE`: predict a file and print the process's highest memory in bytes."""

import sys
from pathlib import Path

from app.batches.files import FilePredictor, Progress, predict_file
from app.batches.local import LocalPlace, LocalSource
from app.prediction import PredictionRequest
from app.wiring import wire


def main() -> None:
    models, file, out, *waits = sys.argv[1:]
    program = wire({"MODEL_DIR": models, "JOBS": "off", "PRELOAD_MODELS": "none", "INTRA_OP_THREADS": "1"})

    def wait(progress: Progress) -> None:
        print(progress.rows, flush=True)
        sys.stdin.readline()

    predict_file(
        LocalSource(Path(file)),
        LocalPlace(Path(out)),
        PredictionRequest(b"", "flowers"),
        FilePredictor(program.predictor, program.repository),
        deadline=None,
        threads=2,
        progress=wait if waits else None,
    )
    status = Path("/proc/self/status").read_text()
    print(1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))))


if __name__ == "__main__":
    main()
