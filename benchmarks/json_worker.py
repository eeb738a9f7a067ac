"""Times the codecs for one size: `python -m benchmarks.json_worker RESULT_FILE SIZE ROUNDS`. All take turns, round by round."""

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import orjson

from benchmarks import json_ours
from benchmarks.json_rivals import DECODERS, ENCODERS, Array

Samples = dict[str, list[float]]
CALLS_OF = {1_000: 200, 100_000: 4, 1_000_000: 1}  # calls in one round: one of a small tensor is too short to time


def milliseconds(function: Callable[[], object], calls: int) -> float:
    """The median time of some calls."""
    durations = []
    for _ in range(calls):
        started = time.perf_counter_ns()
        function()
        durations.append(time.perf_counter_ns() - started)
    return statistics.median(durations) / 1e6


def take_turns(functions: Mapping[str, Callable[[], object]], calls: int, rounds: int) -> Samples:
    """Milliseconds of each function in each round; a first round is not counted."""
    samples: Samples = {name: [] for name in functions}
    for number in range(rounds + 1):
        for name, function in functions.items():
            duration = milliseconds(function, calls)
            if number:
                samples[name].append(duration)
    return samples


def decode(array: Array, calls: int, rounds: int) -> Samples:
    """Time the decoders, after each has shown that it is right."""
    document = orjson.dumps({"inputs": {"X": array}}, option=orjson.OPT_SERIALIZE_NUMPY)
    decoders = {**DECODERS, "ours": json_ours.decoder(array.ndim)}
    for name, decoder in decoders.items():
        decoded = decoder(document, array.shape)
        if decoded.dtype != np.float32 or not np.array_equal(decoded, array):
            raise SystemExit(f"{name} decoded something else")
    return take_turns({name: partial(each, document, array.shape) for name, each in decoders.items()}, calls, rounds)


def encode(array: Array, calls: int, rounds: int) -> Samples:
    """Time the encoders, after each has shown that it is right."""
    encoders = {**ENCODERS, "ours": json_ours.encoder(array.ndim)}
    for name, encoder in encoders.items():
        decoded = np.asarray(orjson.loads(encoder(array))["outputs"]["Y"], np.float32)
        if not np.array_equal(decoded, array):
            raise SystemExit(f"{name} encoded something else")
    return take_turns({name: partial(each, array) for name, each in encoders.items()}, calls, rounds)


def main() -> None:
    """Both ways, as rows of ten and flat."""
    target, size, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    numbers = np.random.default_rng(1).standard_normal(size).astype(np.float32)
    results = {}
    for shape, array in ("in rows of 10", numbers.reshape(-1, 10)), ("flat", numbers):
        calls = CALLS_OF[size]
        results[shape] = {"decode": decode(array, calls, rounds), "encode": encode(array, calls, rounds)}
    target.write_text(json.dumps(results))


if __name__ == "__main__":
    main()
