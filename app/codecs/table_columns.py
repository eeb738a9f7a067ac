"""Which columns of a table hold which input of a model.

An input of one value for each row is a column of its name; one of ``k`` values is the columns ``x[0]`` to ``x[k-1]``, row-major
where the input has more than two dimensions. Where ``model.toml`` names the features of the one input, those are the columns.
"""

import re
from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from app.errors import Invalid, MissingInput, UnknownInput, WrongShape
from app.tensors import Array, Signature, TensorSpec

# One way alone to write a number: of x[1] and x[01] neither could be told to be the column that is meant.
_MEMBER = re.compile(r"(.*)\[(0|[1-9][0-9]{0,8})\]", re.DOTALL)
# More names than this are not read in a message.
_SHOWN = 20


class Columns(NamedTuple):
    """The columns of one input, by their position in the table, in the order of the input's values."""

    spec: TensorSpec
    positions: tuple[int, ...]


def check_rows(signature: Signature) -> None:
    """Check that every input has one value, or one array of values, for each row.

    :raises Invalid: naming the input that has not.
    """
    for spec in signature.inputs:
        free = [size for size in (spec.shape or ())[1:] if not isinstance(size, int)]
        if spec.sequence or spec.optional or len(free) > 1:
            raise Invalid(f"input '{spec.name}' is {spec.describe()}, which no row of a table holds; send JSON or NPZ instead.")


def width(spec: TensorSpec, features: Sequence[str]) -> int | None:
    """How many values a row has of an input; None for any number."""
    if features or spec.shape is None:
        return len(features) or None
    sizes = [size for size in spec.shape[1:] if isinstance(size, int)]
    return prod(sizes) if len(sizes) == len(spec.shape) - 1 else None


def names(spec: TensorSpec, features: Sequence[str]) -> list[str]:
    """The names of an input's columns; of an input of any number of values, the first two."""
    if features:
        return list(features)
    count = width(spec, ())
    return [spec.name] if count == 1 else [f"{spec.name}[{i}]" for i in range(2 if count is None else count)]


def describe(signature: Signature) -> str:
    """For messages: the columns that a table may have."""
    parts: list[str] = []
    for spec in signature.inputs:
        known = names(spec, signature.features)
        listed = ", ".join(known) if len(known) <= _SHOWN else f"{known[0]} to {known[-1]} ({len(known)} columns)"
        parts.append(f"{listed}, …" if width(spec, signature.features) is None else listed)
    return ", ".join(parts)


def most(signature: Signature) -> int | None:
    """How many columns a table can have; None for any number."""
    sizes = [width(spec, signature.features) for spec in signature.inputs]
    return None if None in sizes else sum(size or 0 for size in sizes)


def by_position(count: int, signature: Signature) -> list[Columns]:
    """The inputs' columns in a table of ``count`` columns without names: those of the first input first.

    :raises WrongShape: for another number of columns.
    """
    widths = [width(spec, signature.features) for spec in signature.inputs]
    left = count - sum(size or 0 for size in widths)
    if widths.count(None) > 1:
        raise Invalid(f"Which columns belong to which input only names can tell here; name them {describe(signature)}.")
    if left < 0 or (left > 0 and None not in widths):
        raise WrongShape(f"There are {count} columns; the model expects {sum(size or 0 for size in widths)}: {describe(signature)}.")
    found: list[Columns] = []
    start = 0
    for spec, size in zip(signature.inputs, widths, strict=True):
        end = start + (left if size is None else size)
        found.append(Columns(spec, tuple(range(start, end))))
        start = end
    return found


def by_name(header: Sequence[str], signature: Signature) -> list[Columns]:
    """The inputs' columns in a table whose columns have these names, in any order.

    A column of an input's own name stands for all its values: one for each row, or an array, in formats that have them.

    :raises Invalid: for a name that stands twice.
    :raises UnknownInput: for a name that is no column of the model.
    :raises MissingInput: naming the columns that are not there.
    """
    found: dict[str, dict[int, int]] = {spec.name: {} for spec in signature.inputs}
    features = {name: i for i, name in enumerate(signature.features)}
    whole: dict[str, int] = {}
    seen: set[str] = set()
    for position, name in enumerate(header):
        if name in seen:
            raise Invalid(f"The column '{name[:64]}' stands twice.")
        seen.add(name)
        if name in features:
            found[signature.inputs[0].name][features[name]] = position
        elif name in found:
            whole[name] = position
        elif (member := _MEMBER.fullmatch(name)) and member[1] in found and not features:
            found[member[1]][int(member[2])] = position
        else:
            raise UnknownInput(f"There is no column '{name[:64]}' in what the model takes: {describe(signature)}.{_hint(name, signature)}")
    return [_columns(spec, found[spec.name], whole.get(spec.name), signature) for spec in signature.inputs]


def _columns(spec: TensorSpec, members: dict[int, int], whole: int | None, signature: Signature) -> Columns:
    if whole is not None:
        if members:
            raise Invalid(f"The column '{spec.name}' stands beside columns of its values; send the one or the others.")
        return Columns(spec, (whole,))
    count = width(spec, signature.features)
    size = max(len(members), 1) if count is None else count
    beyond = next((i for i in members if i >= size), None)
    if count is not None and beyond is not None:
        raise UnknownInput(f"There is no column '{spec.name}[{beyond}]' in what the model takes: {describe(signature)}.")
    missing = [i for i in range(size) if i not in members]
    if missing:
        known = signature.features or [spec.name if count == 1 else f"{spec.name}[{i}]" for i in range(missing[-1] + 1)]
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        named = ", ".join(f"'{known[i]}'" for i in missing[:_SHOWN])
        raise MissingInput(f"The table has no column {named}{more}; the model expects {describe(signature)}.")
    return Columns(spec, tuple(members[i] for i in range(size)))


def _hint(name: str, signature: Signature) -> str:
    if name in {"", "Unnamed: 0", "__index_level_0__"}:
        return " pandas writes its index as such a column, unless it is told index=False."
    if not signature.features and len(signature.inputs) == 1 and width(signature.inputs[0], ()) != 1:
        return ' Its columns get names of their own by "features" in model.toml; without any, send the rows alone.'
    return ""


def shaped(rows: Array, spec: TensorSpec) -> Array:
    """The values of each row, ``[N, k]``, in the shape of the input: ``[N]``, ``[N, k]`` or ``[N, a, b, …]``.

    What cannot be brought into that shape stays as it is, for :meth:`app.tensors.Signature.check_shapes` to refuse.
    """
    count, size = rows.shape
    if spec.shape is None or len(spec.shape) == 2:
        return rows
    if len(spec.shape) == 1:
        return rows.reshape(count) if size == 1 else rows
    known = prod(d for d in spec.shape[1:] if isinstance(d, int))
    free, left = divmod(size, known) if known else (0, size)
    sizes = [d if isinstance(d, int) else free for d in spec.shape[1:]]
    return rows.reshape(count, *sizes) if not left and prod(sizes) == size else rows
