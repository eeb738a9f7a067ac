"""Arrays whose first dimension is the rows of a file: what both of NumPy's formats have in common."""

import io
from collections.abc import Mapping
from math import prod
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from app.batches import lines
from app.codecs import npy
from app.errors import Invalid, Unreadable, WrongShape
from app.tensors import Signature, TensorSpec

# Rows of no bytes are cut too.
_MOST_ROWS = 65_536


class Array(NamedTuple):
    """What the header of an array in a file says; ``begin`` is where its values do."""

    place: str
    begin: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool

    @property
    def rows(self) -> int:
        """Its first dimension."""
        return self.shape[0]

    @property
    def row_bytes(self) -> int:
        """What a row takes."""
        return prod(self.shape[1:]) * self.dtype.itemsize

    def head(self, rows: int) -> bytes:
        """The header of so many of its rows."""
        header = io.BytesIO()
        shape = (rows, *self.shape[1:])
        np.lib.format.write_array_header_1_0(header, {"descr": self.dtype.str, "fortran_order": self.fortran, "shape": shape})
        return header.getvalue()


def read(stream: BinaryIO, size: int, place: str) -> Array:
    """The header at a stream's beginning, which is left behind it; ``size`` are the bytes of all.

    :raises Unreadable: for what is no array, or of another size than it says.
    :raises WrongShape: for an array without rows.
    """
    begin, dtype, shape, fortran = npy.head(lines.read(stream, npy.MOST_HEAD_BYTES), place)
    if not shape or not shape[0]:
        raise WrongShape(f"{place} has the shape {list(shape)!s:.200}: there is no row in it.")
    found = Array(place, begin, dtype, shape, fortran and len(shape) > 1)
    expected = prod(shape) * dtype.itemsize
    if expected != size - begin:
        raise Unreadable(
            f"{place} says {list(shape)!s:.200} values of {dtype.itemsize} bytes, {expected} in all, but {size - begin} follow."
        )
    return found


def rows_in(row_bytes: int, target_bytes: int) -> int:
    """The rows of a chunk."""
    return max(1, min(target_bytes // max(row_bytes, 1), _MOST_ROWS))


def values(array: Array, data: bytes) -> bytes:
    """Some rows as a file of their own; ``data`` are their values."""
    return array.head(len(data) // array.row_bytes if array.row_bytes else 0) + data


def check(arrays: Mapping[str, Array], signature: Signature) -> None:
    """Compare what the headers say with what the model takes, for the rows there are.

    :raises Invalid: for a model that has no rows.
    :raises WrongDatatype: for values that are no row's fault.
    :raises WrongShape: for rows of another shape.
    """
    for name, array in arrays.items():
        check_rows(signature.input_by_name[name])
        # No value of it: that the datatype is none of the model's is wrong with every row.
        npy.tensor(np.empty((0, *array.shape[1:]), array.dtype), signature.input_by_name[name], "")
        signature.check_shapes({name: np.broadcast_to(np.zeros((), np.float32), (1, *array.shape[1:]))}, {name: ""})
    counts = {array.rows for array in arrays.values()}
    if len(counts) > 1:
        raise WrongShape(f"The arrays have {min(counts)} to {max(counts)} rows; in a file each must have as many as the others.")


def check_rows(spec: TensorSpec) -> None:
    """Whether an input's first dimension is rows.

    :raises Invalid: naming it.
    """
    fixed = spec.shape is not None and (not spec.shape or isinstance(spec.shape[0], int))
    if spec.sequence or spec.optional or fixed:
        raise Invalid(f"input '{spec.name}' is {spec.describe()}, which has no rows; a file of arrays is predicted row by row.")
