"""A file of several of NumPy's arrays by name, each with as many rows as the others."""

import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import BinaryIO, cast

from app.batches import Chunk, array_rows, lines, npy_file
from app.batches.array_rows import Array
from app.codecs import npz
from app.errors import Invalid, Problem, StoreUnavailable, Unreadable
from app.tensors import Signature

# An array in Fortran's order has its rows all over it, and an archive cannot be read at will.
_MOST_FORTRAN_BYTES = 8 * 1024 * 1024
_MOST_ENTRIES = 4096


class NpzFile:
    """The rows of arrays; see :class:`app.batches.Format`."""

    answer = "application/x-npz"
    in_rows = True

    def __init__(self, signature: Signature, content_type: str) -> None:  # noqa: ARG002 - it has no parameters
        self._signature = signature

    def chunks(self, stream: BinaryIO, target_bytes: int) -> Iterator[Chunk]:
        """Slices of all arrays at once."""
        try:
            with ExitStack() as opened:
                yield from self._chunks(opened, stream, target_bytes)
        except (Problem, StoreUnavailable, GeneratorExit, OSError):
            raise
        except Exception as error:
            # What a damaged archive raises is not documented: BadZipFile, zlib.error, struct.error, NotImplementedError, EOFError, …
            raise Unreadable("The file is not in NumPy's .npz format, or damaged.") from error

    def _chunks(self, opened: ExitStack, stream: BinaryIO, target_bytes: int) -> Iterator[Chunk]:
        archive = opened.enter_context(zipfile.ZipFile(stream))
        entries = archive.infolist()
        if len(entries) > _MOST_ENTRIES:
            raise Unreadable(f"The archive has over {_MOST_ENTRIES} entries.")
        npz.check_entries(entries)
        arrays: dict[str, Array] = {}
        readers: dict[str, BinaryIO] = {}
        for entry in entries:
            name = entry.filename.removesuffix(".npy")
            reader = cast(BinaryIO, opened.enter_context(archive.open(entry)))
            arrays[name], readers[name] = _opened(name, reader, entry)
        step = array_rows.rows_in(sum(array.row_bytes for array in arrays.values()), target_bytes)
        self._check(arrays)
        total = next(iter(arrays.values())).rows
        for start in range(0, total, step):
            rows = min(step, total - start)
            members = {name: _rows(readers[name], array, rows) for name, array in arrays.items()}
            yield Chunk(_archive(members), rows, start, start + 1, self.answer)
        for reader in readers.values():
            # At the end zipfile compares the checksum.
            reader.read(1)

    def _check(self, arrays: Mapping[str, Array]) -> None:
        if arrays.keys() == {"arr_0"} and len(self._signature.inputs) == 1:
            arrays = {self._signature.inputs[0].name: arrays["arr_0"]}
        self._signature.check_input_names(arrays, "")
        array_rows.check(arrays, self._signature)

    def part(self, chunk: Chunk, start: int, end: int) -> Chunk:
        """Some rows; see :class:`app.batches.Format`."""
        with zipfile.ZipFile(io.BytesIO(chunk.body)) as archive:
            members = {
                entry.filename.removesuffix(".npy"): npy_file.sliced(archive.read(entry), start, end) for entry in archive.infolist()
            }
        return chunk._replace(
            body=_archive(members), rows=end - start, first_row=chunk.first_row + start, first_line=chunk.first_line + start
        )

    def told(self, detail: str, chunk: Chunk) -> str:
        """The index of the row in the file."""
        return npy_file.told(detail, chunk)


def _opened(name: str, reader: BinaryIO, entry: zipfile.ZipInfo) -> tuple[Array, BinaryIO]:
    place = f"array '{name[:64]}'"
    array = array_rows.read(reader, entry.file_size, place)
    if not array.fortran:
        reader.seek(array.begin)
        return array, reader
    if entry.file_size > _MOST_FORTRAN_BYTES:
        raise Invalid(f"{place} is in Fortran's order, whose rows lie all over the archive; save it with np.ascontiguousarray.")
    reader.seek(0)
    turned = npy_file.sliced(lines.read(reader, entry.file_size), 0, array.rows)
    array = array._replace(fortran=False)
    return array, io.BytesIO(turned[len(array.head(array.rows)) :])


def _rows(reader: BinaryIO, array: Array, rows: int) -> bytes:
    data = lines.read(reader, rows * array.row_bytes)
    if len(data) != rows * array.row_bytes:
        raise Unreadable(f"{array.place} ends before its last row.")
    return array.head(rows) + data


def _archive(members: Mapping[str, bytes]) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), data)
    return body.getvalue()
