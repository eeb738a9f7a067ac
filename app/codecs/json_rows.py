"""Rows: one value, or one object by input or feature name, for each; and one prediction for each on the way out."""

from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np

from app.codecs import json_tensor
from app.codecs.number_array import NumberArray
from app.errors import Invalid, MissingInput, Problem, UnknownInput, WrongShape
from app.tensors import Signature, TensorSpec, Value, escaped


def from_rows(rows: Any, signature: Signature) -> dict[str, Value]:
    """The tensors of the rows in ``"instances"``, stacked along the first dimension; shapes are the caller's to check.

    :raises Invalid: for rows that are none of this model's.
    :raises Problem: see :func:`app.codecs.json_tensor.decode`.
    """
    if not isinstance(rows, list | NumberArray):
        raise Invalid('"instances" must be an array of rows.', pointer="/instances")
    for spec in signature.inputs:
        if spec.sequence or spec.optional:
            raise Invalid(f"input '{spec.name}' is {spec.describe()}, which has no rows; send \"inputs\" instead.", pointer="/instances")
    if isinstance(rows, list) and not rows:
        raise WrongShape('"instances" is empty; send at least one row.', pointer="/instances")
    allow_nan = signature.nan_input == "allow"
    # Without objects the rows are the only input's values, stacked.
    columns: Mapping[str, Any] = {signature.inputs[0].name: rows} if len(signature.inputs) == 1 else {}
    if _are_objects(rows, signature):
        columns = _columns_of_objects(rows, signature)
    elif not columns:
        raise Invalid(
            f"Every row must be an object with the inputs by name, because the model has {signature.describe_inputs()}.",
            pointer="/instances/0",
        )
    return {
        name: _column(column, signature.input_by_name[name], rows, signature.features, allow_nan=allow_nan)
        for name, column in columns.items()
    }


def _are_objects(rows: Any, signature: Signature) -> TypeGuard[list[Any]]:
    """Whether the rows are objects by name, rather than ``{"b64": …}`` values of the one input."""
    if not isinstance(rows, list) or not isinstance(rows[0], dict):
        return False
    return rows[0].keys() != {"b64"} or len(signature.inputs) != 1 or "b64" in (*signature.input_by_name, *signature.features)


def _column(column: Any, spec: TensorSpec, rows: Any, features: tuple[str, ...], *, allow_nan: bool) -> Value:
    try:
        return json_tensor.decode(column, spec, "/instances", allow_nan=allow_nan)
    except Problem as problem:
        # The tensor was put together from the rows; its indices are turned back into places of the body.
        if isinstance(rows, list) and isinstance(rows[0], dict) and problem.pointer and (spec.name in rows[0] or features):
            _, start, index, *rest = problem.pointer.split("/") + [""] * (problem.pointer.count("/") < 2)
            inner = [spec.name, *rest] if spec.name in rows[0] else [features[int(i)] for i in rest[:1]] + rest[1:]
            problem.pointer = "/".join(["", start, index, *map(escaped, inner)]).rstrip("/")
        raise


def _columns_of_objects(rows: list[Any], signature: Signature) -> dict[str, list[Any]]:
    """Rows that are objects, by input name or by feature name, as one list for each input."""
    features = signature.features
    by_feature = bool(features) and not (set(rows[0]) & set(signature.input_by_name))
    names = features if by_feature else tuple(signature.input_by_name)
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for i, row in enumerate(rows):
        if not isinstance(row, dict):
            raise Invalid(f"row {i} is no object, but row 0 is; send rows of one kind.", pointer=f"/instances/{i}")
        if row.keys() != columns.keys():
            _refuse_row(i, row, names, "feature" if by_feature else "input")
        for name in names:
            columns[name].append(row[name])
    if not by_feature:
        return columns
    return {signature.inputs[0].name: [list(values) for values in zip(*columns.values(), strict=True)]}


def _refuse_row(i: int, row: dict[str, Any], names: tuple[str, ...], kind: str) -> None:
    known = ", ".join(names)
    for name in row:
        if name not in names:
            raise UnknownInput(
                f"row {i} has '{name[:64]}', which is no {kind}; expected {known}.", pointer=f"/instances/{i}/{escaped(name[:64])}"
            )
    missing = ", ".join(name for name in names if name not in row)
    raise MissingInput(f"row {i} has no {kind} {missing}; expected {known}.", pointer=f"/instances/{i}")


def predictions(shown: Mapping[str, Any], count: int, signature: Signature) -> list[Any]:
    """One prediction for each row: the bare value of a single output, else an object by output name.

    :param shown: what :func:`app.codecs.json_output.jsonable` made of each output.
    :raises Invalid: for an output that does not have one value for each row.
    """
    columns = {name: _unstacked(name, value, count) for name, value in shown.items() if name not in signature.constant_outputs}
    if not columns:
        raise Invalid(f'{", ".join(shown)} does not vary by row; send "inputs" instead of "instances".', pointer="/outputs")
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _unstacked(name: str, value: Any, count: int) -> list[Any]:
    # Scalars of narrow floats stay NumPy's, which are written with their own shortest digits.
    narrow = isinstance(value, np.ndarray) and (value.ndim > 1 or value.dtype in {np.float16, np.float32})
    rows = list(value) if narrow else value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(rows, list) or len(rows) != count:
        raise Invalid(f'output \'{name}\' does not have one value for each of the {count} rows; send "inputs" instead of "instances".')
    return rows
