"""Predictions as an Arrow stream or as Parquet, by pyarrow: a column for each output; null for a row without an answer."""

from collections.abc import Callable
from typing import Any

from app.batches.answers import Write, uneven
from app.batches.array_answers import Sink, files_in
from app.codecs import arrow_columns, npy
from app.errors import NotAcceptable
from app.tensors import Array

# Rows of a row group, which is as little as a reader of Parquet can pass over.
_GROUP_ROWS = 131_072


class TableAnswers:
    """A table; see :class:`app.batches.Assembler`. An output of several values for each row is a column of lists of fixed size."""

    accept = "application/x-npz"

    def __init__(self, offer: str, write: Write, constants: frozenset[str]) -> None:
        self.offer = offer
        self._pa = arrow_columns.library()
        self._parquet = offer == "application/vnd.apache.parquet"
        self._sink = Sink(write)
        self._constants = constants
        self._writer: Any = None
        self._schema: Any = None
        self._waiting: list[Any] = []
        self._skipped = 0

    def add(self, body: bytes, rows: int) -> None:
        """Rows; see :class:`app.batches.Assembler`."""
        batch = self._batch(body, rows)
        if self._schema is None:
            self._begin(batch.schema)
        if batch.schema != self._schema:
            raise NotAcceptable("The model answers rows of the file in several shapes, which no column holds; accept application/jsonl.")
        self._put(batch)

    def skip(self, rows: int) -> None:
        """Rows of nulls, once the columns are known."""
        if self._schema is None:
            self._skipped += rows
        elif rows:
            self._put(self._pa.record_batch([self._pa.nulls(rows, field.type) for field in self._schema], schema=self._schema))

    def blank(self, example: Callable[[], bytes | None]) -> bool:
        """Rows of nulls; see :class:`app.batches.Assembler`."""
        body = example()
        if body is not None:
            self._begin(self._batch(body, 1).schema)
        return body is not None

    def finish(self) -> None:
        """Write what is left."""
        self._write_group()
        if self._writer is not None:
            self._writer.close()

    def close(self) -> None:
        """Nothing is held but memory."""

    def _batch(self, body: bytes, rows: int) -> Any:
        arrays = {name: npy.read(data, f"output '{name}'") for name, data in files_in(body).items() if name not in self._constants}
        if any(not array.ndim or len(array) != rows for array in arrays.values()):
            raise uneven(rows)
        return self._pa.record_batch({name: self._column(array) for name, array in arrays.items()})

    def _begin(self, schema: Any) -> None:
        self._schema = schema
        if self._parquet:
            import pyarrow.parquet as pq

            self._writer = pq.ParquetWriter(self._sink, schema)
        else:
            self._writer = self._pa.ipc.new_stream(self._sink, schema)
        self.skip(self._skipped)

    def _put(self, batch: Any) -> None:
        if not self._parquet:
            self._writer.write_batch(batch)
            return
        self._waiting.append(batch)
        if sum(waiting.num_rows for waiting in self._waiting) >= _GROUP_ROWS:
            self._write_group()

    def _write_group(self) -> None:
        if self._waiting:
            self._writer.write_table(self._pa.Table.from_batches(self._waiting, self._schema))
            self._waiting = []

    def _column(self, array: Array) -> Any:
        pa = self._pa
        found = pa.array(array.reshape(-1).tolist()) if array.dtype.kind in "SU" else pa.array(array.reshape(-1))
        shape = array.shape[1:]
        for size in reversed(shape if shape != (1,) else ()):
            found = pa.FixedSizeListArray.from_arrays(found, size)
        return found
