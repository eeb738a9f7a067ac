"""Calls one candidate in batches: `python -m benchmarks.warm_worker HANDLER PATH BODY`.

For each line with a number of calls on standard input, one line with the median of their nanoseconds. What the candidate
prints goes to a file, through the same unbuffered wrapper that awslambdaric puts around standard output.
"""

import importlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

BARE = "session.run"


def caller(handler: str, path: str, body: str) -> Callable[[], object]:
    """A function of no arguments that sends one request to the candidate."""
    if handler == BARE:
        return _bare()
    from benchmarks.events import Context, http_api_event

    module, _, attribute = handler.rpartition(".")
    function = getattr(importlib.import_module(module), attribute)
    event, context = http_api_event(body, path), Context()
    answer: dict[str, Any] = function(event, context)
    if answer["statusCode"] != 200 or '"outputs"' not in answer["body"]:
        raise SystemExit(f"{handler} answered {answer}")
    return lambda: function(event, Context())


def _bare() -> Callable[[], object]:
    import numpy as np
    import onnxruntime as ort

    session = ort.InferenceSession(os.environ["MODEL_FILE"], providers=["CPUExecutionProvider"])
    row = np.array([[5.1, 3.5, 1.4, 0.2]], np.float32)
    inputs = {session.get_inputs()[0].name: row}
    return lambda: session.run(None, inputs)


def main() -> None:
    """Answer requests for batches until standard input ends."""
    from awslambdaric.bootstrap import Unbuffered

    answers = os.fdopen(os.dup(1), "w")
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 1)
        sys.stdout = Unbuffered(sys.stdout)
        call = caller(*sys.argv[1:])
        for line in sys.stdin:
            durations = []
            for _ in range(int(line)):
                started = time.perf_counter_ns()
                call()
                durations.append(time.perf_counter_ns() - started)
            print(statistics.median(durations), file=answers, flush=True)
            log.truncate(0)
            log.seek(0)


if __name__ == "__main__":
    main()
