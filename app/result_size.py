"""The limit of an answer's size, looked at before and after its bytes are written. Pure."""

from collections.abc import Mapping

import numpy as np

from app.errors import ResultTooLarge
from app.tensors import Value, elements, largest


def check(outputs: Mapping[str, Value], top_k: int, most_bytes: int) -> None:
    """Refuse outputs that no format can write within the limit, before the megabytes are written.

    :raises ResultTooLarge: naming the largest output.
    """
    if sum(map(elements, outputs.values())) > most_bytes // 2:
        least = sum(_least_bytes(value, top_k) for value in outputs.values())
        if least > most_bytes:
            raise too_large(outputs, least, most_bytes, at_least=True)


def too_large(outputs: Mapping[str, Value], size: int, most_bytes: int, *, at_least: bool = False) -> ResultTooLarge:
    """The error for an answer of this many bytes."""
    name = largest(outputs)
    return ResultTooLarge(
        f"The result has {'at least ' if at_least else ''}{size} bytes, but at most {most_bytes} can be answered "
        f"(MAX_RESULT_BYTES); output '{name}' is the largest with {elements(outputs[name])} values. "
        'Ask for fewer rows, or leave it out with "outputs".'
    )


def _least_bytes(value: Value, top_k: int) -> int:
    """What a value takes in any format at least: a number two bytes of JSON, or its own in binary; a ranked class six."""
    item_bytes = min(2, value.dtype.itemsize) if isinstance(value, np.ndarray) else 1
    least = item_bytes * elements(value)
    if top_k and isinstance(value, np.ndarray) and value.ndim > 1 and value.dtype.kind != "O":
        # Which outputs are ranked, and how those of more dimensions, is the codec's to know.
        return min(least, len(value) * min(top_k, int(value.shape[-1])) * 6)
    return least
