"""The project's own dialect in JSON: ``{"inputs": …}`` → ``{"outputs": …}``, ``{"instances": […]}`` → ``{"predictions": […]}``."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from app.codecs import json_document, json_tensor
from app.codecs.call import Call, ModelTag, batch_size
from app.codecs.json_output import dumps, jsonable, top_k
from app.codecs.number_array import NumberArray
from app.errors import Invalid, MissingInput, Problem, UnknownInput, UnknownOutput, WrongShape
from app.tensors import Signature, TensorSpec, Value

_KEYS = ("inputs", "instances", "outputs", "parameters", "id")
_MOST_CLASSES = 10_000
content_type = "application/json"


def decode(body: bytes, signature: Signature) -> Call:
    """Read a request; see :class:`app.codecs.call.Codec`."""
    document = json_document.loads(body)
    if not isinstance(document, dict):
        raise Invalid('The body must be a JSON object with "inputs" or "instances".', pointer="")
    for key in document:
        if key not in _KEYS:
            raise Invalid(f"The body has the unknown key '{key[:64]}'; known are {', '.join(_KEYS)}.", pointer=f"/{key[:64]}")
    rows = "instances" in document
    if rows == ("inputs" in document):
        raise Invalid('The body must have exactly one of "inputs" (tensors by name) and "instances" (a list of rows).', pointer="")
    places = _places(document.get("inputs"), signature)
    inputs = _from_rows(document["instances"], signature) if rows else _from_columns(document["inputs"], signature, places)
    signature.check_shapes(inputs, dict.fromkeys(places, "/instances") if rows else places)
    return Call(
        inputs,
        _outputs(document.get("outputs"), signature),
        form="rows" if rows else "columns",
        id=_id(document.get("id")),
        top_k=_top_k(document.get("parameters")),
    )


def encode(call: Call, signature: Signature, tag: ModelTag, outputs: Mapping[str, Value]) -> bytes:
    """Write the answer; see :class:`app.codecs.call.Codec`."""
    answer: dict[str, Any] = {"model": {"name": tag.name, "version": tag.version, "digest": tag.digest}}
    shown = {name: jsonable(name, outputs[name], signature.nan_output) for name in call.outputs}
    if call.top_k:
        shown |= _ranked(call, signature, outputs)
    if call.form == "rows":
        answer["predictions"] = _rows(shown, batch_size(call.inputs), signature)
    else:
        answer["outputs"] = shown
    if call.id is not None:
        answer["id"] = call.id
    return dumps(answer)


def _places(inputs: Any, signature: Signature) -> dict[str, str]:
    """Where each input stands in the body: by its name, or for a bare tensor in the place of all."""
    return {name: f"/inputs/{_escaped(name)}" if isinstance(inputs, dict) else "/inputs" for name in signature.input_by_name}


def _from_columns(value: Any, signature: Signature, places: Mapping[str, str]) -> dict[str, Value]:
    specs = signature.input_by_name
    # A bare tensor will do where the model has one input; an object is always one of tensors by name.
    if not isinstance(value, dict):
        if len(signature.inputs) != 1:
            raise Invalid(
                f'"inputs" must be an object of tensors by name, because the model has {signature.describe_inputs()}.', pointer="/inputs"
            )
        value = {signature.inputs[0].name: value}
    _check_names(value, signature, "/inputs")
    allow_nan = signature.nan_input == "allow"
    return {name: json_tensor.decode(value.get(name), specs[name], places[name], allow_nan=allow_nan) for name in specs}


def _check_names(value: Mapping[str, Any], signature: Signature, pointer: str) -> None:
    for name in value:
        if name not in signature.input_by_name:
            raise UnknownInput(
                f"There is no input '{name[:64]}'; the model expects {signature.describe_inputs()}.",
                pointer=f"{pointer}/{_escaped(name[:64])}",
            )
    missing = [spec.name for spec in signature.inputs if spec.name not in value and not spec.optional]
    if missing:
        raise MissingInput(
            f"expected {len(signature.inputs)} inputs but got {len(value)}: missing required input(s) {', '.join(missing)}; "
            f"the model expects {signature.describe_inputs()}.",
            pointer=pointer,
        )


def _from_rows(rows: Any, signature: Signature) -> dict[str, Value]:
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
    if isinstance(rows, list) and isinstance(rows[0], dict):
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


def _column(column: Any, spec: TensorSpec, rows: Any, features: tuple[str, ...], *, allow_nan: bool) -> Value:
    try:
        return json_tensor.decode(column, spec, "/instances", allow_nan=allow_nan)
    except Problem as problem:
        # The tensor was put together from the rows; its indices are turned back into places of the body.
        if isinstance(rows, list) and isinstance(rows[0], dict) and problem.pointer:
            _, start, index, *rest = problem.pointer.split("/") + [""] * (problem.pointer.count("/") < 2)
            inner = [spec.name, *rest] if spec.name in rows[0] else [features[int(i)] for i in rest[:1]] + rest[1:]
            problem.pointer = "/".join(["", start, index, *map(_escaped, inner)]).rstrip("/")
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
                f"row {i} has '{name[:64]}', which is no {kind}; expected {known}.", pointer=f"/instances/{i}/{_escaped(name[:64])}"
            )
    missing = ", ".join(name for name in names if name not in row)
    raise MissingInput(f"row {i} has no {kind} {missing}; expected {known}.", pointer=f"/instances/{i}")


def _outputs(wanted: Any, signature: Signature) -> tuple[str, ...]:
    if wanted is None:
        return signature.default_outputs or tuple(signature.output_by_name)
    if not isinstance(wanted, list) or not wanted or not all(isinstance(name, str) for name in wanted):
        raise Invalid('"outputs" must be an array of output names.', pointer="/outputs")
    for i, name in enumerate(wanted):
        if name not in signature.output_by_name:
            known = ", ".join(signature.output_by_name)
            raise UnknownOutput(f"There is no output '{name[:64]}'; the model has {known}.", pointer=f"/outputs/{i}")
        if name in wanted[:i]:
            raise Invalid(f"output '{name}' already exists in request.", pointer=f"/outputs/{i}")
    return tuple(wanted)


def _id(value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or len(value) > 256):
        raise Invalid('"id" must be a string of at most 256 characters.', pointer="/id")
    return value


def _top_k(parameters: Any) -> int:
    if parameters is None:
        return 0
    if not isinstance(parameters, dict):
        raise Invalid('"parameters" must be an object.', pointer="/parameters")
    for key in parameters:
        if key != "top_k":
            raise Invalid(f"There is no parameter '{key[:64]}'; known is top_k.", pointer=f"/parameters/{_escaped(key[:64])}")
    k = parameters.get("top_k", 0)
    if type(k) is not int or not 1 <= k <= _MOST_CLASSES:
        raise Invalid(f'"top_k" must be a whole number from 1 to {_MOST_CLASSES}.', pointer="/parameters/top_k")
    return k


def _ranked(call: Call, signature: Signature, outputs: Mapping[str, Value]) -> dict[str, Any]:
    """The outputs of scores, ranked: floats with a dimension of classes, as long as the labels where there are labels."""
    ranked: dict[str, Any] = {}
    mismatches: list[str] = []
    for name in call.outputs:
        value = outputs[name]
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim >= 2:
            if signature.labels and value.shape[-1] != len(signature.labels):
                mismatches.append(f"'{name}' has {value.shape[-1]} classes")
                continue
            ranked[name] = top_k(name, value, call.top_k, signature, outputs.get(f"{name}_labels"))
    if mismatches and not ranked:
        raise Invalid(
            f"top_k needs an output with a score for each of the {len(signature.labels)} labels; {', '.join(mismatches)}.",
            pointer="/parameters/top_k",
        )
    if not ranked:
        known = ", ".join(f"'{spec.name}' {spec.describe()}" for spec in (signature.output_by_name[n] for n in call.outputs))
        raise Invalid(f"top_k needs an output of scores [N, classes]; the request's outputs are {known}.", pointer="/parameters/top_k")
    return ranked


def _rows(shown: Mapping[str, Any], count: int, signature: Signature) -> list[Any]:
    """One prediction for each row: the bare value of a single output, else an object by output name."""
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


def _escaped(name: str) -> str:
    """A reference token of a JSON Pointer (RFC 6901, section 4)."""
    return name.replace("~", "~0").replace("/", "~1")
