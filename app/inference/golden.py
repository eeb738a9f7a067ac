"""Golden samples: requests with known answers, which a build and a release ask again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from app.errors import ModelRefused
from app.inference.manifest import Golden
from app.tensors import Value


def samples_in(path: Path) -> list[dict[str, Any]]:
    """The samples of a file: ``inputs`` and ``outputs`` of each, tensors by name.

    :raises ModelRefused: when there are none, or they are something else.
    """
    try:
        samples: list[dict[str, Any]] = orjson.loads(path.read_bytes())
        good = isinstance(samples, list) and bool(samples) and all(_is_sample(sample) for sample in samples)
    except (OSError, orjson.JSONDecodeError) as error:
        raise ModelRefused(f"the golden samples {path.parent.name}/{path.name} cannot be read.") from error
    if not good:
        raise ModelRefused(f"{path.parent.name}/{path.name} must be a list of objects with 'inputs' and 'outputs', both tensors by name.")
    return samples


def asked(sample: Mapping[str, Any]) -> bytes:
    """The body that asks for a sample's answer."""
    return orjson.dumps({"inputs": sample["inputs"], "outputs": list(sample["outputs"])})


def check_answer(answered: Mapping[str, Any], expected: Mapping[str, Any], golden: Golden, where: str) -> None:
    """Compare the outputs of an answer with the known ones.

    :param where: names the sample.
    :raises ModelRefused: with the first output that has drifted.
    """
    for name, wanted_values in expected.items():
        try:
            got, wanted = np.array(answered[name]), np.array(wanted_values)
        except ValueError as error:
            raise ModelRefused(f"{where}: output '{name}' is ragged, which cannot be compared.") from error
        same_kind = np.float64 if got.dtype.kind in "fiu" and wanted.dtype.kind in "fiu" else got.dtype
        if wanted.shape != got.shape or not close(got.astype(same_kind), wanted.astype(same_kind), golden.rtol, golden.atol):
            raise ModelRefused(f"{where}: output '{name}' has drifted from the known answer (rtol {golden.rtol:g}, atol {golden.atol:g}).")


def close(got: Value, expected: Value, rtol: float, atol: float) -> bool:
    """Whether two outputs agree: floats within tolerance (NaN equals NaN), everything else exactly."""
    if got is None or expected is None:
        return got is expected
    if isinstance(got, list) or isinstance(expected, list):
        both = isinstance(got, list) and isinstance(expected, list) and len(got) == len(expected)
        return both and all(close(a, b, rtol, atol) for a, b in zip(got, expected, strict=True))
    if got.shape != expected.shape:
        return False
    if got.dtype.kind == "f":
        return bool(np.allclose(np.asarray(got, np.float64), np.asarray(expected, np.float64), rtol, atol, equal_nan=True))
    return bool(np.array_equal(got, expected))


def _is_sample(sample: Any) -> bool:
    tensors = [sample.get("inputs"), sample.get("outputs")] if isinstance(sample, dict) else []
    return bool(tensors) and all(isinstance(found, dict) and found for found in tensors)
