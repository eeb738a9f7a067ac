"""Arrow's tables in rows: what files of Arrow and of Parquet have in common. A chunk of either is an Arrow stream."""

import re
from collections.abc import Iterator
from typing import Any

from app.batches import Chunk
from app.codecs import arrow_columns

CONTENT_TYPE = "application/vnd.apache.arrow.stream"
_PLACE = re.compile(r"\brow 1 of column")


def chunks(batches: Iterator[Any], target_bytes: int) -> Iterator[Chunk]:
    """Record batches in slices of about so many bytes."""
    row = 0
    for batch in batches:
        step = max(1, batch.num_rows * target_bytes // max(batch.nbytes, 1))
        for start in range(0, batch.num_rows, step):
            part = batch.slice(start, step)
            yield Chunk(_stream(part), part.num_rows, row, row + 1, CONTENT_TYPE)
            row += part.num_rows


def part(chunk: Chunk, start: int, end: int) -> Chunk:
    """Some rows of a chunk."""
    pa = arrow_columns.library()
    with pa.ipc.open_stream(pa.py_buffer(chunk.body)) as stream:
        batch = stream.read_next_batch().slice(start, end - start)
    return chunk._replace(body=_stream(batch), rows=end - start, first_row=chunk.first_row + start, first_line=chunk.first_line + start)


def told(detail: str, chunk: Chunk) -> str:
    """The row as it is in the file, counted from 1."""
    return _PLACE.sub(f"row {chunk.first_row + 1} of column", detail)


def _stream(batch: Any) -> bytes:
    pa = arrow_columns.library()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())
