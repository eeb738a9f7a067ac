"""Several decoded requests as one: their rows joined into one run, and its outputs split again.

A first dimension with a name is not always one of rows that do not know of each other: a sum along it, a batch norm, a scale that is
taken from all values (dynamic quantisation) make a row's answer depend on its neighbours, who may be other callers; and a matrix
product of one row may be rounded otherwise than that of many. So a pack is run as one only after :class:`Packs` has tried its shape.
"""

import functools
import itertools
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

import numpy as np

from app.codecs.call import Call
from app.errors import DeadlineExceeded
from app.tensors import Array, Signature, Value

Decoded = TypeVar("Decoded")
_MOST_SHAPES = 1024
# Rounding of a pack differs by its shape alone; what its values do is tried with values of our own, which every request gets others of.
_PROBES = 2
_WORDS = ("a", "bb cc", "a much longer text of more words than that")
# Trying whether rows are independent takes six runs, which fewer requests would not win back.
WORTH_A_TRIAL = 8
# Whether rows know of each other does not depend on how many they are.
_TRIED = 2
Run = Callable[[Call], Mapping[str, Value]]
Alike = Callable[[Sequence[Mapping[str, Value]], Sequence[Mapping[str, Value]]], bool]


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


def portions(pack: Sequence[Decoded], call_of: Callable[[Decoded], Call], most_bytes: int) -> Iterator[list[Decoded]]:
    """The pack in parts whose inputs together take at most so many bytes, but for one that takes more by itself."""
    part: list[Decoded] = []
    size = 0
    for decoded in pack:
        more = sum(value.nbytes for value in call_of(decoded).inputs.values() if isinstance(value, np.ndarray))
        if part and size + more > most_bytes:
            yield part
            part, size = [], 0
        part.append(decoded)
        size += more
    if part:
        yield part


class Packs:
    """Which packs a model answers as it answers their requests alone, to the last bit."""

    def __init__(self) -> None:
        # None: seen once
        self._equal: dict[Hashable, bool | None] = {}
        self._independent: dict[Hashable, bool] = {}

    def may_run(self, shape: Hashable) -> bool:
        """Whether packs of this shape (model, :func:`key_of`, rows of each request) are known to be answered so."""
        return bool(self._equal.get(shape))

    def learn(self, shape: Hashable, calls: Sequence[Call], signature: Signature, run: Run) -> None:
        """Try a pack of a shape that has come for the second time, beside runs of each request alone.

        One that comes once is not worth it. A run that fails tells nothing good, so that such packs stay apart.
        """
        if shape not in self._equal:
            if len(self._equal) >= _MOST_SHAPES:
                self._equal.clear()
            self._equal[shape] = None
        elif self._equal[shape] is None:
            try:
                self._equal[shape] = all(_is_answered_alike(trial, signature, run, are_equal) for trial in _trials(calls, signature))
            except Exception:  # whatever it was, the requests themselves have their answers
                self._equal[shape] = False

    def may_share(self, key: Hashable, calls: Sequence[Call], signature: Signature, run: Run, *, try_it: bool) -> bool:
        """Whether rows of this kind (model and :func:`key_of`) know nothing of each other, so that any of them may share a run.

        :param try_it: whether it is worth trying, where that is not yet known.
        """
        found = self._independent.get(key)
        if found is None and try_it:
            try:
                trials = itertools.islice(_trials(calls[:_TRIED], signature), _TRIED)
                found = all(_is_answered_alike(trial, signature, run, are_close) for trial in trials)
            except DeadlineExceeded:
                # That says nothing of the rows.
                return False
            except Exception:  # as above
                found = False
            if len(self._independent) >= _MOST_SHAPES:
                self._independent.clear()
            self._independent[key] = found
        return bool(found)


def half_of(deadline: float | None) -> float | None:
    """The time in the middle between now and a deadline."""
    return None if deadline is None else (time.monotonic() + deadline) / 2


def _is_answered_alike(calls: Sequence[Call], signature: Signature, run: Run, alike: Alike) -> bool:
    parts = split(run(calls[0]._replace(inputs=joined(calls))), [rows_of(call) for call in calls], signature)
    return parts is not None and alike(parts, [run(call) for call in calls])


def _trials(calls: Sequence[Call], signature: Signature) -> Iterator[list[Call]]:
    """The pack itself, packs of made-up values, and one of both by turns; with every output of rows, as one alone may hide what others show."""
    wanted = tuple(name for name in signature.output_by_name if name in calls[0].outputs or _has_rows(signature, (name,)))
    calls = [call._replace(outputs=wanted) for call in calls]
    yield list(calls)
    for seed in range(_PROBES):
        chance = np.random.default_rng(seed)
        made = [
            call._replace(inputs={name: _made_up(cast(Array, value), place, seed, chance) for name, value in call.inputs.items()})
            for place, call in enumerate(calls)
        ]
        yield made
        yield [(call, other)[(place + seed) % 2] for place, (call, other) in enumerate(zip(calls, made, strict=True))]


def _made_up(value: Array, place: int, seed: int, chance: np.random.Generator) -> Array:
    """Values of another range for each request, as what is taken from all of them is then another for a pack."""
    made: Any
    if value.dtype.kind == "f":
        made = chance.normal(size=value.shape) if seed else chance.uniform(0.01, 1.0, value.shape)
        made = made * 7.0 ** (place % 3)
    elif value.dtype.kind == "O":
        made = chance.choice(np.array(_WORDS[: 1 + place % 3], object), value.shape)
    else:
        # Small numbers are fit for most indices; a table that has not even those refuses them.
        made = chance.integers(0, 2 + place % 2, value.shape)
    return np.asarray(made).astype(value.dtype)


def are_equal(some: Sequence[Mapping[str, Value]], others: Sequence[Mapping[str, Value]]) -> bool:
    """Whether two lists of outputs hold the same bits."""
    return all(_bits(one[name]) == _bits(other[name]) for one, other in zip(some, others, strict=True) for name in one)


def are_close(some: Sequence[Mapping[str, Value]], others: Sequence[Mapping[str, Value]]) -> bool:
    """Whether two lists of outputs hold the same values, but for what another order of the same sums makes of floats."""
    return all(_is_close(one[name], other[name]) for one, other in zip(some, others, strict=True) for name in one)


def _is_close(one: Value, other: Value) -> bool:
    if not isinstance(one, np.ndarray) or not isinstance(other, np.ndarray) or one.dtype.kind != "f" or one.shape != other.shape:
        return _bits(one) == _bits(other)
    largest = float(np.max(np.abs(one[np.isfinite(one)]), initial=0.0))
    return bool(np.allclose(one, other, rtol=0.0, atol=float(np.sqrt(np.finfo(cast(Any, one.dtype)).eps)) * largest, equal_nan=True))


def _bits(value: Value) -> object:
    if not isinstance(value, np.ndarray):
        return value
    return value.shape, value.tolist() if value.dtype.kind == "O" else value.tobytes()


@functools.lru_cache(maxsize=256)
def _has_rows(signature: Signature, outputs: tuple[str, ...]) -> bool:
    specs = [*signature.inputs, *(signature.output_by_name[name] for name in outputs if name not in signature.constant_outputs)]
    if any(spec.sequence or spec.optional or not spec.shape or isinstance(spec.shape[0], int) for spec in specs):
        return False
    # A class that is chosen does not show how near the next one was.
    if "float" in {spec.datatype.kind for spec in signature.inputs} and not _shows_rounding(signature):
        return False
    names = {spec.shape[0] for spec in specs if spec.shape} - {None}
    return len(names) <= 1 and all(name not in spec.shape[1:] for spec in specs if spec.shape for name in names)


def _shows_rounding(signature: Signature) -> bool:
    return any(spec.datatype.kind == "float" and spec.name not in signature.constant_outputs for spec in signature.outputs)
