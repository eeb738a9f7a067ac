"""JSON Lines in and out: one instance a line, as in ``"instances"``, and one prediction a line. https://jsonlines.org"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from app.codecs import number_array
from app.codecs.call import Call, Encoded, ModelTag, batch_size
from app.codecs.json_output import dumps
from app.codecs.json_rows import from_rows, predictions
from app.codecs.json_text import checked
from app.codecs.number_array import NumberArray
from app.codecs.predict_json import shown_outputs
from app.errors import Problem, WrongShape
from app.tensors import Signature, Value

_BOM = b"\xef\xbb\xbf"
_NUMBER_BYTES = b"0123456789+-.eE \t\r"


def decode(body: bytes, parameters: Mapping[str, str], signature: Signature) -> Call:  # noqa: ARG001 - it has none
    """Read a row from each line that is not blank; see :class:`app.codecs.call.Reader`. Messages name the line, counted from 1."""
    inputs = _inputs(body.removeprefix(_BOM), signature)
    signature.check_shapes(inputs, dict.fromkeys(inputs, ""))
    return Call(inputs, signature.chosen_outputs(None, ""), form="rows")


def encode(call: Call, signature: Signature, tag: ModelTag, outputs: Mapping[str, Value]) -> Encoded:  # noqa: ARG001 - names no model
    """Write a line for each row; see :class:`app.codecs.call.Writer`."""
    shown = shown_outputs(call, signature, outputs)
    return Encoded(b"".join(dumps(row) + b"\n" for row in predictions(shown, batch_size(call.inputs), signature)))


def _inputs(body: bytes, signature: Signature) -> dict[str, Value]:
    if (alike := _alike(body)) is not None:
        # What is wrong is named by its line below.
        with suppress(Problem):
            return from_rows(alike, signature)
    rows = _rows(body)
    try:
        return from_rows(rows, signature)
    except Problem as problem:
        # The rows are the body's lines here.
        index, _, inner = (problem.pointer or "").removeprefix("/instances").removeprefix("/").partition("/")
        place = f"line {_line_numbers(body)[int(index)]}: " if index else ""
        raise type(problem)(f"{place}{problem.detail}", pointer=f"/{index}/{inner}".rstrip("/")) from problem


def _rows(body: bytes) -> list[Any]:
    rows: list[Any] = []
    for number, line in enumerate(body.split(b"\n"), 1):
        if line.strip():
            try:
                rows.append(checked(line))
            except Problem as problem:
                raise type(problem)(f"line {number}: {problem.detail.replace('The body', 'it', 1)}") from problem
    if not rows:
        raise WrongShape("There is no line with a value; send at least one row.")
    return rows


def _line_numbers(body: bytes) -> list[int]:
    return [number for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]


def _alike(body: bytes) -> NumberArray | None:
    """The rows of a large body whose lines are numbers, or arrays of equally many numbers; None for any other."""
    lines = body.strip()
    if len(lines) < number_array.CUT_FROM:
        return None
    first, *_ = lines.split(b"\n", 1)
    shape = first.translate(None, _NUMBER_BYTES)
    width = shape.count(b",") + 1
    if shape not in {b"", b"[" + b"," * (width - 1) + b"]"}:
        return None
    skeleton = lines.translate(None, _NUMBER_BYTES) + b"\n"
    count = skeleton.count(b"\n")
    if skeleton != (shape + b"\n") * count:
        return None
    # That the numbers between are whole is simdjson's to check.
    return NumberArray(b"[" + lines.replace(b"\n", b",") + b"]", (count, width) if shape else (count,))
