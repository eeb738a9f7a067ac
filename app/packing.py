"""Several decoded requests as one: their rows joined into one run, and its outputs split again. Pure."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import TypeVar, cast

import numpy as np

from app.codecs.call import Call
from app.tensors import Array, Signature, Value

Decoded = TypeVar("Decoded")
# Joined inputs are a copy, and what a graph keeps on its way grows with them.
_MOST_BYTES = 32 * 1024 * 1024


def key_of(call: Call, signature: Signature) -> Hashable | None:
    """What two requests must have in common to be run as one; None for a request that is run alone.

    A graph qualifies whose every input and output has one free first dimension of the same name (or of none): its rows.
    """
    if signature.loops_over_batch or not _has_rows(signature, call.outputs):
        return None
    arrays = {name: value for name, value in call.inputs.items() if isinstance(value, np.ndarray) and value.ndim}
    if len(arrays) != len(call.inputs) or len({len(value) for value in arrays.values()}) != 1:
        return None
    shapes = tuple((name, value.dtype.str, value.shape[1:]) for name, value in sorted(arrays.items()))
    return (shapes, call.outputs, bool(call.top_k))


def rows_of(call: Call) -> int:
    """The rows of a request that :func:`key_of` found fit for packing."""
    return len(cast(Array, next(iter(call.inputs.values()))))


def joined(calls: Sequence[Call]) -> dict[str, Value]:
    """The inputs of all, one after the other."""
    return {name: np.concatenate([cast(Array, call.inputs[name]) for call in calls]) for name in calls[0].inputs}


def split(outputs: Mapping[str, Value], rows: Sequence[int], signature: Signature) -> list[dict[str, Value]] | None:
    """Each request's part of the outputs; None where an output does not have the rows that went in."""
    total = sum(rows)
    varying = {name: value for name, value in outputs.items() if name not in signature.constant_outputs}
    if any(not isinstance(value, np.ndarray) or not value.ndim or len(value) != total for value in varying.values()):
        return None
    ends = np.cumsum(rows).tolist()
    starts = [0, *ends[:-1]]
    return [
        {name: cast(Array, value)[start:end] if name in varying else value for name, value in outputs.items()}
        for start, end in zip(starts, ends, strict=True)
    ]


def portions(pack: Sequence[Decoded], call_of: Callable[[Decoded], Call]) -> Iterator[list[Decoded]]:
    """The pack in parts whose inputs together are not too large to be joined."""
    part: list[Decoded] = []
    size = 0
    for decoded in pack:
        more = sum(value.nbytes for value in call_of(decoded).inputs.values() if isinstance(value, np.ndarray))
        if part and size + more > _MOST_BYTES:
            yield part
            part, size = [], 0
        part.append(decoded)
        size += more
    if part:
        yield part


def are_equal(some: Sequence[Mapping[str, Value]], others: Sequence[Mapping[str, Value]]) -> bool:
    """Whether two lists of outputs hold the same bits."""
    return all(_bits(one[name]) == _bits(other[name]) for one, other in zip(some, others, strict=True) for name in one)


def _bits(value: Value) -> object:
    if not isinstance(value, np.ndarray):
        return value
    return value.shape, value.tolist() if value.dtype.kind == "O" else value.tobytes()


def _has_rows(signature: Signature, outputs: Sequence[str]) -> bool:
    specs = [*signature.inputs, *(signature.output_by_name[name] for name in outputs if name not in signature.constant_outputs)]
    if any(spec.sequence or spec.optional or not spec.shape or isinstance(spec.shape[0], int) for spec in specs):
        return False
    names = {spec.shape[0] for spec in specs if spec.shape} - {None}
    return len(names) <= 1 and all(name not in spec.shape[1:] for spec in specs if spec.shape for name in names)
