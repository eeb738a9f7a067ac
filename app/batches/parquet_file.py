"""A file of Parquet, read by pyarrow in pages. A row's share of its row group says how many rows are a chunk."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from app.batches import Chunk, table_rows
from app.batches.arrow_file import reading
from app.codecs import arrow_columns
from app.errors import WrongDatatype, WrongShape
from app.tensors import Signature

_BUFFER_BYTES = 1024 * 1024
_MOST_ROWS = 65_536


class ParquetFile:
    """The rows of row groups; see :class:`app.batches.Format`.

    :raises UnsupportedContentType: where pyarrow is not installed.
    """

    answer = "application/vnd.apache.parquet"
    in_rows = True

    def __init__(self, signature: Signature, content_type: str) -> None:  # noqa: ARG002 - it has no parameters
        arrow_columns.library()
        self._signature = signature

    def chunks(self, stream: BinaryIO, target_bytes: int) -> Iterator[Chunk]:
        """Batches of rows, as Arrow streams."""
        with reading("Parquet"):
            import pyarrow.parquet as pq

            # buffer_size: pages are read one by one, and not all of a column first.
            with pq.ParquetFile(stream, pre_buffer=False, memory_map=False, buffer_size=_BUFFER_BYTES) as file:
                schema = file.schema_arrow
                arrow_columns.check_types(schema, self._signature)
                for field in schema:
                    if arrow_columns.is_list_of_strings(field.type):
                        raise WrongDatatype(
                            f"column '{field.name[:64]}' holds arrays of strings; use JSON Lines or an Arrow stream instead."
                        )
                if not file.metadata.num_rows:
                    raise WrongShape("The table has no rows; send at least one.")
                yield from table_rows.chunks(self._batches(file, target_bytes), target_bytes)

    @staticmethod
    def _batches(file: Any, target_bytes: int) -> Iterator[Any]:
        for number in range(file.metadata.num_row_groups):
            group = file.metadata.row_group(number)
            rows = max(1, min(target_bytes * group.num_rows // max(group.total_byte_size, 1), _MOST_ROWS))
            for batch in file.iter_batches(batch_size=rows, row_groups=[number], use_threads=False):
                batch.validate(full=True)
                yield batch

    def part(self, chunk: Chunk, start: int, end: int) -> Chunk:
        """Some rows; see :class:`app.batches.Format`."""
        return table_rows.part(chunk, start, end)

    def told(self, detail: str, chunk: Chunk) -> str:
        """The row in the file."""
        return table_rows.told(detail, chunk)
