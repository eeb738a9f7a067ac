"""CSV in (RFC 4180): a line is a row of the model's inputs, in the columns that :mod:`app.codecs.table_columns` names.

Large tables of plain numbers are read by simdjson, because their lines are nearly arrays of JSON: 42 ms for a million float32, which
take 570 the plain way. What it does not take goes that way, which names the line and the column of a bad cell.
"""

import csv
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, cast

import numpy as np

from app.codecs import number_array, table_columns
from app.codecs.call import Call
from app.codecs.csv_cells import Column, is_number, is_word, stacked
from app.codecs.number_array import NumberArray
from app.codecs.table_columns import Columns
from app.codecs.tensor_cast import cast_numbers
from app.errors import Problem, Unreadable, UnsupportedContentType, WrongShape
from app.tensors import EXACT_DOUBLE, Array, Signature, Value

_BOM = "\ufeff"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# An integer to simdjson, which has no such zero; a float to everybody else.
_MINUS_ZERO = re.compile(rb"-0(?=[,\n \t]|\Z)")
_NUMBER_BYTES = b"0123456789+-.eE \t"
# The module's own limit of 128 KB is less than a text may have; the body's limit bounds a cell too.
csv.field_size_limit(sys.maxsize)

# So many columns too many are still read as names, to say which of them the model does not know.
_SPARE_CELLS = 1000
# What ends a line of CSV, and nothing else that Unicode calls a line's end.
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")


class _Record(NamedTuple):
    """The cells of one record, the line in which it begins, and where it ends in the text."""

    line: int
    end: int
    cells: list[str]


def decode(body: bytes, parameters: Mapping[str, str], signature: Signature) -> Call:
    """Read a table; see :class:`app.codecs.call.Reader`. The parameter ``header`` is ``present``, ``absent`` or left to be recognised.

    :raises UnsupportedContentType: for another charset than UTF-8, or another ``header``.
    """
    table_columns.check_rows(signature)
    text = _text(body, parameters)
    records = _records(text)
    first = next(records, _Record(0, 0, []))
    names, columns = columns_of(first.line, first.cells, parameters.get("header", ""), signature)
    rows = text[first.end :] if names else text
    records = records if names else chain([first], records)
    width = len(first.cells)
    values = _quick(rows, width, columns) or _plain(records, width, names, columns, allow_nan=signature.nan_input == "allow")
    inputs: dict[str, Value] = {spec.name: table_columns.shaped(values[spec.name], spec) for spec, _ in columns}
    signature.check_shapes(inputs, dict.fromkeys(inputs, ""))
    return Call(inputs, signature.chosen_outputs(None, ""), form="rows")


def columns_of(line: int, cells: list[str], said: str, signature: Signature) -> tuple[list[str], list[Columns]]:
    """The names in the first record, none where it is a row already, and the columns of each input.

    :param said: the media type's parameter ``header``; empty for none.
    :raises Problem: for columns that are none of the model's, naming the line.
    """
    first = _Record(line, 0, cells)
    _check_width(first, signature)
    names = [cell.strip(" \t") for cell in cells]
    if _is_header(names, said, signature):
        return names, _by_name(line, names, signature, sure=bool(said))
    return [], _by_position(first, signature)


def _text(body: bytes, parameters: Mapping[str, str]) -> str:
    charset = parameters.get("charset", "utf-8").lower()
    if charset not in {"utf-8", "utf8", "us-ascii"}:
        raise UnsupportedContentType(f"CSV is read as UTF-8, not as '{charset[:40]}'.")
    if body.startswith(_UTF_16):
        raise Unreadable("The table is UTF-16; save it as UTF-8.")
    try:
        return body.decode("utf-8").removeprefix(_BOM)
    except UnicodeDecodeError as error:
        raise Unreadable(f"The table is no UTF-8 text: byte {error.start} is wrong.") from error


def _records(text: str) -> Iterator[_Record]:
    """The records that are not blank."""
    end = 0

    def lines() -> Iterator[str]:
        nonlocal end
        for found in _LINE.finditer(text):
            end = found.end()
            yield found[0]

    reader = csv.reader(lines(), strict=True)
    before = 0
    try:
        for cells in reader:
            if cells:
                yield _Record(before + 1, end, cells)
            before = reader.line_num
    except csv.Error as error:
        raise Unreadable(f"line {before + 1}: a quote is not closed, or text follows one (RFC 4180).") from error


def _check_width(first: _Record, signature: Signature) -> None:
    """Refuse a line far too wide before each of its cells is looked at: two million took 11 s. A few too many are named later."""
    most = table_columns.most(signature)
    if most is not None and len(first.cells) > most + _SPARE_CELLS:
        _by_position(first, signature)


def _is_header(first: list[str], said: str, signature: Signature) -> bool:
    """Whether the first line names the columns: it is said so, or it has nothing but names, or no value where values are expected."""
    if not first:
        raise WrongShape("The table is empty; send at least one row.")
    if said not in {"", "present", "absent"}:
        raise UnsupportedContentType(f"The media type's parameter header is 'present' or 'absent', not '{said[:40]}'.")
    if said:
        return said == "present"
    known = {name for spec in signature.inputs for name in table_columns.names(spec, signature.features)}
    if len(set(first)) == len(first) and known.issuperset(first):
        return True
    textual = all(spec.datatype.kind == "string" for spec in signature.inputs)
    cells = set(first)
    return not textual and not any(map(is_number, cells)) and any(map(is_word, cells))


def _by_name(line: int, names: list[str], signature: Signature, *, sure: bool) -> list[Columns]:
    try:
        return table_columns.by_name(names, signature)
    except Problem as problem:
        sure = sure or any(name in names for spec in signature.inputs for name in table_columns.names(spec, signature.features))
        guess = "" if sure else " (It has no number, so it was taken for names; Content-Type: text/csv; header=absent says it has none.)"
        raise type(problem)(f"line {line}: {problem.detail}{guess}{_separator_hint(names)}") from problem


def _by_position(first: _Record, signature: Signature) -> list[Columns]:
    try:
        return table_columns.by_position(len(first.cells), signature)
    except Problem as problem:
        raise type(problem)(f"line {first.line}: {problem.detail}{_separator_hint(first.cells)}") from problem


def _separator_hint(cells: Sequence[str]) -> str:
    found = next(
        (name for letter, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")) if any(letter in cell for cell in cells)), ""
    )
    return f" There are {found} in the line: separate cells by commas, and write decimals with a point." if found else ""


def _quick(text: str, width: int, columns: Sequence[Columns]) -> dict[str, Array] | None:
    """The values of each input, ``[N, k]``, of a large table that is nothing but regular plain numbers; None for any other."""
    if len(text) < number_array.CUT_FROM or any(column.spec.datatype.kind not in {"float", "integer"} for column in columns):
        return None
    lines = text.encode().replace(b"\r\n", b"\n").strip(b"\n")
    row = b"," * (width - 1) + b"\n"
    skeleton = lines.translate(None, _NUMBER_BYTES) + b"\n"
    count = len(skeleton) // width
    if skeleton != row * count:
        return None
    del skeleton
    numbers = NumberArray(b"[" + lines.replace(b"\n", b",") + b"]", (count, width))
    whole = all(column.spec.datatype.kind == "integer" for column in columns)
    unsigned = all(column.spec.datatype.name.startswith("U") for column in columns)
    matrix = cast(Any, numbers.integers(unsigned=unsigned) if whole else numbers.doubles())
    if matrix is None or (not matrix.all() and _MINUS_ZERO.search(lines)):
        return None
    found: dict[str, Array] = {}
    for spec, positions in columns:
        # The one input of a model mostly has all columns in order: then nothing is copied.
        part = matrix if positions == tuple(range(width)) else matrix[:, list(positions)]
        if spec.datatype.kind == "integer" and not whole and part.size and np.abs(part).max() >= EXACT_DOUBLE:
            return None
        try:
            found[spec.name] = cast_numbers(part, spec, lambda _: "")
        except Problem:
            return None
    return found


def _plain(records: Iterator[_Record], width: int, names: list[str], columns: Sequence[Columns], *, allow_nan: bool) -> dict[str, Array]:
    """The values of each input, ``[N, k]``.

    :raises Problem: naming the line, the row and the column of the first cell that is wrong.
    """
    lines: list[int] = []
    rows: list[list[str]] = []
    for line, _, cells in records:
        if len(cells) != width:
            raise WrongShape(
                f"line {line} (row {len(rows) + 1}) has {len(cells)} cells, and the lines before have {width}.{_separator_hint(cells)}"
            )
        lines.append(line)
        rows.append(cells)
    if not rows:
        raise WrongShape("The table has names and no rows; send at least one.")
    texts = list(zip(*rows, strict=True))
    return {
        spec.name: stacked(
            [Column(texts[at], lines, at, names[at] if names else "") for at in positions], spec, len(rows), allow_nan=allow_nan
        )
        for spec, positions in columns
    }
