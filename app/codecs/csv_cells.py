"""The cells of a column of CSV as values, strictly; a cell that is none is named by its line, its row and its column."""

from collections.abc import Callable, Sequence
from math import inf, isinf, nan
from typing import Any, NamedTuple, NoReturn, TypeVar, cast

import numpy as np

from app.codecs.tensor_cast import cast_numbers, cast_strings
from app.errors import NotFinite, OutOfRange, WrongDatatype
from app.tensors import EXACT_DOUBLE, Array, Datatype, TensorSpec, strings

_Number = TypeVar("_Number", int, float)
_FLOAT_BYTES = b"0123456789+-.eE"
_INTEGER_BYTES = b"0123456789+-"
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
# How pandas, R and spreadsheets write that there is no value, and how every language writes infinity.
_NOT_FINITE = dict.fromkeys(("", "nan", "+nan", "-nan", "na", "n/a", "null"), nan)
_NOT_FINITE |= dict.fromkeys(("inf", "+inf", "infinity", "+infinity"), inf) | dict.fromkeys(("-inf", "-infinity"), -inf)
# From 2^53 on a double does not hold every integer: 9007199254740993.0 is read as 9007199254740992.0.


def is_number(cell: str) -> bool:
    """Whether a cell is a number or a boolean, so that its line cannot be one of names."""
    return _number(cell.strip(" \t")) is not None or cell.strip(" \t").lower() in _BOOLEANS


def is_word(cell: str) -> bool:
    """Whether a cell is text that can be no value of a number or a boolean."""
    return not is_number(cell) and cell.strip(" \t").lower() not in _NOT_FINITE


class Column(NamedTuple):
    """The cells of one column, the line in which each row begins, and the column's position and name; empty for none."""

    cells: Sequence[str]
    lines: Sequence[int]
    position: int
    name: str

    def place(self, row: int) -> str:
        """For messages: lines, rows and columns count from 1, as spreadsheets and editors show them."""
        name = f" '{self.name[:64]}'" if self.name else ""
        return f"line {self.lines[row]} (row {row + 1}), column {self.position + 1}{name}"

    def values(self, datatype: Datatype, *, allow_nan: bool) -> Array:
        """The values, ``[N]``, floats as float64; strings as they stand.

        :raises Problem: naming the first cell that is wrong.
        """
        if datatype.kind == "float":
            return np.array(self._floats(datatype, allow_nan=allow_nan), np.float64)
        if datatype.kind == "integer":
            return np.array(self._integers(datatype), datatype.numpy)
        if datatype.kind == "bool":
            return np.array([self._boolean(row, cell) for row, cell in enumerate(self.cells)], np.bool_)
        return strings(self.cells, (len(self.cells),))

    def _floats(self, datatype: Datatype, *, allow_nan: bool) -> list[float]:
        numbers = _all(float, self.cells, _FLOAT_BYTES)
        if numbers is None or inf in numbers or -inf in numbers:
            numbers = [self._float(row, cell, datatype, allow_nan=allow_nan) for row, cell in enumerate(self.cells)]
        return numbers

    def _float(self, row: int, cell: str, datatype: Datatype, *, allow_nan: bool) -> float:
        text = cell.strip(" \t")
        number = _number(text)
        if number is not None:
            if isinf(number):
                self._refuse(OutOfRange, row, text[:40], f"a number ({datatype.name}); no datatype holds more than 1.8e308")
            return number
        number = _NOT_FINITE.get(text.lower())
        if number is None:
            self._refuse(WrongDatatype, row, "no number", f"a number ({datatype.name})")
        if not allow_nan:
            self._refuse(NotFinite, row, text or "empty", f"a finite number ({datatype.name})")
        return number

    def _integers(self, datatype: Datatype) -> list[int]:
        limits = np.iinfo(cast(Any, datatype.numpy))
        numbers = _all(int, self.cells, _INTEGER_BYTES)
        if numbers is None or min(numbers) < limits.min or max(numbers) > limits.max:
            numbers = [self._integer(row, cell, datatype) for row, cell in enumerate(self.cells)]
        return numbers

    def _integer(self, row: int, cell: str, datatype: Datatype) -> int:
        text = cell.strip(" \t")
        expected = f"a whole number ({datatype.name})"
        limits = np.iinfo(cast(Any, datatype.numpy))
        found = _all(int, [text], _INTEGER_BYTES)
        if found is None:
            number = _number(text)
            if number is None:
                missing = text.lower() in _NOT_FINITE
                self._refuse(NotFinite if missing else WrongDatatype, row, (text or "empty") if missing else "no number", expected)
            if not number.is_integer():
                self._refuse(OutOfRange, row, text[:40], expected)
            if abs(number) >= EXACT_DOUBLE:
                self._refuse(OutOfRange, row, f"{text[:40]}, beyond what a decimal holds exactly", f"{expected} written with digits only")
            found = [int(number)]
        if not limits.min <= found[0] <= limits.max:
            self._refuse(OutOfRange, row, text[:40], f"{expected} from {limits.min} to {limits.max}")
        return found[0]

    def _boolean(self, row: int, cell: str) -> bool:
        found = _BOOLEANS.get(cell.strip(" \t").lower())
        if found is None:
            self._refuse(WrongDatatype, row, "no boolean" if cell.strip() else "empty", "true, false, 1 or 0 (BOOL)")
        return found

    def _refuse(self, kind: type[WrongDatatype | OutOfRange | NotFinite], row: int, got: str, expected: str) -> NoReturn:
        raise kind(f"{self.place(row)} is {got}; the model expects {expected}.")


def stacked(columns: Sequence[Column], spec: TensorSpec, rows: int, *, allow_nan: bool) -> Array:
    """The columns of one input side by side, ``[N, k]``, in its datatype.

    :raises Problem: naming the first cell that is wrong.
    """
    if not columns:
        return np.empty((rows, 0), spec.datatype.numpy)
    matrix = np.stack([column.values(spec.datatype, allow_nan=allow_nan) for column in columns], axis=1)

    def where(position: tuple[int, ...]) -> str:
        return columns[position[1]].place(position[0]) if position else f"input '{spec.name}'"

    if spec.datatype.kind == "string":
        return cast_strings(matrix.reshape(-1).tolist(), matrix.shape, spec, where)
    return cast_numbers(matrix, spec, where)


def _all(kind: Callable[[str], _Number], cells: Sequence[str], taken: bytes) -> list[_Number] | None:
    """Every cell as a number, or None if one is none. Python takes more than digits, such as ``1_000``."""
    if "".join(cells).encode().translate(None, taken):
        return None
    try:
        return list(map(kind, cells))
    except ValueError:
        return None


def _number(text: str) -> float | None:
    found = _all(float, [text], _FLOAT_BYTES)
    return None if found is None else found[0]
