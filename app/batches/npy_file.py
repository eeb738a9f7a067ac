"""A file of one of NumPy's arrays: rows of it are files as well. Nothing is ever unpickled."""

import re
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from app.batches import Chunk, array_rows, lines
from app.batches.array_rows import Array
from app.codecs import npy
from app.errors import Invalid, Unreadable
from app.tensors import Signature

_PLACE = re.compile(r"at \[0\b")


def needed_input(signature: Signature) -> str:
    """The one input that an array alone can be.

    :raises Invalid: for a model of several.
    """
    needed = [spec.name for spec in signature.inputs if not spec.optional] or [spec.name for spec in signature.inputs[:1]]
    if len(needed) != 1:
        raise Invalid(f"An .npy file holds one array, but the model has {signature.describe_inputs()}; use an .npz with the inputs' names.")
    return needed[0]


class NpyFile:
    """The rows of one array; see :class:`app.batches.Format`."""

    in_rows = True

    def __init__(self, signature: Signature, content_type: str) -> None:  # noqa: ARG002 - it has no parameters
        self._signature = signature
        answered = [name for name in signature.chosen_outputs(None, "") if name not in signature.constant_outputs]
        # One array holds one output.
        self.answer = "application/x-npy" if len(answered) == 1 else "application/x-npz"
        array_rows.check_rows(signature.input_by_name[needed_input(signature)])

    def chunks(self, stream: BinaryIO, target_bytes: int) -> Iterator[Chunk]:
        """Slices of the first dimension; an array in Fortran's order is read column by column, which costs a seek for each."""
        size = stream.seek(0, 2)
        stream.seek(0)
        array = array_rows.read(stream, size, "The file")
        array_rows.check({needed_input(self._signature): array}, self._signature)
        stream.seek(array.begin)
        step = array_rows.rows_in(array.row_bytes, target_bytes)
        for start in range(0, array.rows, step):
            rows = min(step, array.rows - start)
            data = _columns(stream, array, start, rows) if array.fortran else lines.read(stream, rows * array.row_bytes)
            if len(data) != rows * array.row_bytes:
                raise Unreadable("The file ends before its last row.")
            yield Chunk(array.head(rows) + data, rows, start, start + 1, "application/x-npy")

    def part(self, chunk: Chunk, start: int, end: int) -> Chunk:
        """Some rows; see :class:`app.batches.Format`."""
        return chunk._replace(
            body=sliced(chunk.body, start, end), rows=end - start, first_row=chunk.first_row + start, first_line=chunk.first_line + start
        )

    def told(self, detail: str, chunk: Chunk) -> str:
        """The index of the row in the file."""
        return told(detail, chunk)


def sliced(body: bytes, start: int, end: int) -> bytes:
    """Some rows of an array as a file of their own."""
    begin, dtype, shape, fortran = npy.head(body, "The file")
    part = np.frombuffer(body, dtype, offset=begin).reshape(shape, order="F" if fortran else "C")[start:end]
    return Array("", 0, dtype, shape, fortran=False).head(end - start) + part.tobytes()


def told(detail: str, chunk: Chunk) -> str:
    """The index of a row, which counts from 0, as it is in the file."""
    return _PLACE.sub(f"at [{chunk.first_row}", detail)


def _columns(stream: BinaryIO, array: Array, start: int, rows: int) -> bytes:
    item = array.dtype.itemsize
    parts: list[bytes] = []
    for column in range(array.row_bytes // item if item else 0):
        stream.seek(array.begin + (column * array.rows + start) * item)
        parts.append(lines.read(stream, rows * item))
    return b"".join(parts)
