"""Predictions as NumPy's files. Their headers say how many rows there are and how wide strings are, so values wait on the disk till then.

A zero may be an answer or the place of a failed row. Where rows failed, an array of booleans says of each whether it did; as one file
then holds two arrays, it is an ``.npz``.
"""

import io
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from math import prod
from typing import IO, Any, NamedTuple

import numpy as np

from app.batches.answers import Write, uneven
from app.codecs import npy
from app.errors import NotAcceptable, ResultTooLarge
from app.tensors import Array

_IN_MEMORY_BYTES = 1024 * 1024
_FAILED = "failed"


class _Run(NamedTuple):
    """Rows of one datatype after one another; None for rows without an answer."""

    rows: int
    dtype: np.dtype[Any] | None


class Waiting:
    """The rows of one output, on the disk once they are many."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._values: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 - closed with the answers
        self._runs: list[_Run] = []
        self._inner: tuple[int, ...] = ()
        # Of strings, the widest.
        self._dtype: np.dtype[Any] | None = None

    def add(self, array: Array) -> None:
        """Some rows.

        :raises NotAcceptable: for rows of another shape or kind than those before.
        """
        kept = self._dtype
        alike = kept is None or kept == array.dtype or kept.kind == array.dtype.kind in "SU"
        if kept is not None and (array.shape[1:] != self._inner or not alike):
            raise NotAcceptable(f"output '{self._name}' has another shape for some rows, which no array holds; accept application/jsonl.")
        self._dtype = array.dtype if kept is None or kept.itemsize < array.dtype.itemsize else kept
        self._inner = array.shape[1:]
        try:
            self._values.write(array.tobytes())
        except OSError as error:
            raise ResultTooLarge(
                f"The disk cannot hold the predictions ({error.strerror}); accept application/jsonl or text/csv."
            ) from error
        self._note(len(array), array.dtype)

    def skip(self, rows: int) -> None:
        """Rows without an answer: NaN in floats, else zero or empty."""
        self._note(rows, None)

    def _note(self, rows: int, dtype: np.dtype[Any] | None) -> None:
        if self._runs and self._runs[-1].dtype == dtype:
            rows += self._runs.pop().rows
        self._runs.append(_Run(rows, dtype))

    def file(self) -> tuple[int, Iterator[bytes]]:
        """The size of the output's file, and the file."""
        assert self._dtype is not None
        shape = (sum(run.rows for run in self._runs), *self._inner)
        return _file(self._dtype, shape, self._parts(self._dtype))

    def failed(self) -> tuple[int, Iterator[bytes]]:
        """The same of an array that is True for each row without an answer."""
        return _file(np.dtype(np.bool_), (sum(run.rows for run in self._runs),), self._failures())

    def _failures(self) -> Iterator[bytes]:
        for run in self._runs:
            for start in range(0, run.rows, _IN_MEMORY_BYTES):
                yield (b"\1" if run.dtype is None else b"\0") * min(_IN_MEMORY_BYTES, run.rows - start)

    def _parts(self, dtype: np.dtype[Any]) -> Iterator[bytes]:
        self._values.seek(0)
        width = prod(self._inner)
        step = max(1, _IN_MEMORY_BYTES // max(width * dtype.itemsize, 1))
        for run in self._runs:
            for start in range(0, run.rows, step):
                count = min(step, run.rows - start) * width
                if run.dtype is None:
                    yield np.full(count, np.nan if dtype.kind == "f" else np.zeros((), dtype), dtype).tobytes()
                    continue
                data = self._values.read(count * run.dtype.itemsize)
                yield data if run.dtype == dtype else np.frombuffer(data, run.dtype).astype(dtype).tobytes()

    def close(self) -> None:
        """Give the disk back."""
        self._values.close()


class ArrayAnswers:
    """An ``.npy`` or ``.npz``; see :class:`app.batches.Assembler`. Outputs that do not vary with the rows stand once."""

    def __init__(self, accept: str, write: Write, constants: frozenset[str], varying: Sequence[str]) -> None:
        self.accept = self.offer = accept
        self._write = write
        self._constants = constants
        # An array alone does not say which output it is.
        self._only = varying[0] if varying else ""
        self._has_failed = False
        self._waiting: dict[str, Waiting] = {}
        self._once: dict[str, bytes] = {}
        self._skipped = 0

    def add(self, body: bytes, rows: int) -> None:
        """Keep the rows; see :class:`app.batches.Assembler`."""
        for name, array in self._arrays(body, rows):
            if name not in self._waiting:
                self._waiting[name] = Waiting(name)
                self._waiting[name].skip(self._skipped)
            self._waiting[name].add(array)

    def blank(self, example: Callable[[], bytes | None]) -> bool:
        """Arrays of NaN or zero; see :class:`app.batches.Assembler`."""
        body = example()
        for name, array in self._arrays(body, 1) if body is not None else ():
            self._waiting[name] = Waiting(name)
            self._waiting[name].add(array[:0])
            self._waiting[name].skip(self._skipped)
        return body is not None

    def _arrays(self, body: bytes, rows: int) -> Iterator[tuple[str, Array]]:
        for name, data in (files_in(body) if self.accept == "application/x-npz" else {self._only: body}).items():
            if name in self._constants:
                self._once.setdefault(name, data)
                continue
            array = npy.read(data, f"output '{name}'")
            if not array.ndim or len(array) != rows:
                raise uneven(rows)
            yield name, array

    def skip(self, rows: int) -> None:
        """Remember the rows; see :class:`app.batches.Assembler`."""
        self._has_failed = self._has_failed or rows > 0
        self._skipped += 0 if self._waiting else rows
        for waiting in self._waiting.values():
            waiting.skip(rows)

    def finish(self) -> None:
        """Write the file."""
        if self._has_failed:
            self.offer = "application/x-npz"
        if self.offer == "application/x-npz":
            self._write_archive()
            return
        for waiting in self._waiting.values():
            for part in waiting.file()[1]:
                self._write(part)

    def close(self) -> None:
        """Give the disk back."""
        for waiting in self._waiting.values():
            waiting.close()

    def _write_archive(self) -> None:
        with zipfile.ZipFile(Sink(self._write), "w") as archive:
            for name, data in self._once.items():
                archive.writestr(zipfile.ZipInfo(f"{name}.npy"), data)
            for name, waiting in self._waiting.items():
                _put(archive, name, waiting.file())
            if self._has_failed and self._waiting:
                name = _FAILED
                while name in self._waiting or name in self._once:
                    name += "_"
                _put(archive, name, next(iter(self._waiting.values())).failed())


def _put(archive: zipfile.ZipFile, name: str, file: tuple[int, Iterator[bytes]]) -> None:
    entry = zipfile.ZipInfo(f"{name}.npy")
    # Past 2 GB an entry needs longer fields, which come before its values.
    entry.file_size, parts = file
    with archive.open(entry, "w") as member:
        for part in parts:
            member.write(part)


def _file(dtype: np.dtype[Any], shape: tuple[int, ...], values: Iterator[bytes]) -> tuple[int, Iterator[bytes]]:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": dtype.str, "fortran_order": False, "shape": shape})
    return len(header.getvalue()) + prod(shape) * dtype.itemsize, chain([header.getvalue()], values)


class Sink(io.RawIOBase):
    """What libraries take for a file that is written from its beginning to its end."""

    def __init__(self, write: Write) -> None:
        super().__init__()
        self._out = write
        self._size = 0

    def writable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The bytes so far."""
        return self._size

    def write(self, data: Any) -> int:
        """Pass bytes on."""
        content = bytes(data)
        self._out(content)
        self._size += len(content)
        return len(content)


def files_in(body: bytes) -> dict[str, bytes]:
    """The arrays of an archive that a codec has written."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return {entry.filename.removesuffix(".npy"): archive.read(entry) for entry in archive.infolist()}
