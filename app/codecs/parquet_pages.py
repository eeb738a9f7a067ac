"""What a Parquet file says of itself, read without unpacking anything of it: its columns' parts, and their pages.

A page's header says how large the page is when it is unpacked, and that much is allocated before its data is looked at. pyarrow does
not show pages, and of a footer that contradicts itself its accessors end the process: https://parquet.apache.org/docs/file-format/
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from app.codecs.thrift_compact import Compact

_MAGIC = b"PAR1"
STRINGS = 6  # BYTE_ARRAY in parquet.thrift's Type
# Bytes of one value in memory, by Type: BOOLEAN, INT32 and FLOAT; of others at least what leads to the value.
_VALUE_BYTES = {0: 1, 1: 4, 4: 4}
_OTHER_BYTES = 8
# Each string of this encoding may repeat the one before and add a byte, so that its size is nowhere written.
DELTA_BYTE_ARRAY = 7
# In a footer some 20 for each column of each row group; pyarrow makes some 600 bytes of the largest of them.
MOST_VALUES = 1_000_000
_MOST_PAGE_VALUES = 1000
# A file of 64 MB in pages of 1 MB, as writers make them, has 64.
_MOST_PAGES = 100_000


class Chunk(NamedTuple):
    """The part of a column in one row group."""

    path: str
    physical_type: int
    values: int
    start: int
    end: int


class Footer(NamedTuple):
    """What stands at the end of a file; ``arrow_schema`` is Arrow's own, in base64, where Arrow wrote the file."""

    chunks: list[Chunk]
    arrow_schema: bytes


class Page(NamedTuple):
    """One page: its bytes in memory at least, when it is unpacked, and its encoding by its number in parquet.thrift."""

    size: int
    encoding: int


def footer(body: bytes) -> Footer:
    """The footer of a file.

    :raises ValueError: or another error, for what is none.
    """
    if len(body) < 12 or not body.startswith(_MAGIC) or not body.endswith(_MAGIC):
        raise ValueError
    size = int.from_bytes(body[-8:-4], "little")
    # FileMetaData: 4 are the row groups, whose 1 are the columns, whose 3 is ColumnMetaData; 5 are keys and values.
    found = Compact(body[-8 - size : -8], most_values=MOST_VALUES).struct()
    chunks = [_chunk(column[3]) for group in found[4] for column in group[1]]
    return Footer(chunks, next((pair.get(2, b"") for pair in found.get(5, ()) if pair[1] == b"ARROW:schema"), b""))


def _chunk(column: dict[int, Any]) -> Chunk:
    start = column[9]
    # A dictionary stands before the data that uses it; some writers say 0 for none.
    if 0 < column.get(11, 0) < start:
        start = column[11]
    path = ".".join(part.decode("utf-8") for part in column[3])
    return Chunk(path, column[1], column[5], start, start + column[7])


def pages(body: bytes, chunks: list[Chunk]) -> Iterator[tuple[Chunk, Page]]:
    """The pages of all chunks, as a reader goes through them: in each until its number of values was seen.

    :raises ValueError: or another error, for what is no page's header, and for more pages than a file has.
    """
    count = 0
    for chunk in chunks:
        at, left = chunk.start, chunk.values
        of_value = _VALUE_BYTES.get(chunk.physical_type, _OTHER_BYTES)
        while left > 0 and at < chunk.end:
            reader = Compact(body, at, most_values=_MOST_PAGE_VALUES)
            header = reader.struct()
            # PageHeader: 2 and 3 are its sizes; 5, 7 and 8 its part for data, a dictionary, and data of version 2.
            data = header.get(5) or header.get(8)
            part = data or header.get(7) or {1: 0}
            count += 1
            if min(header[2], header[3], part[1], at) < 0 or count > _MOST_PAGES:
                raise ValueError
            yield chunk, Page(header[2] + part[1] * of_value, part.get(4 if 8 in header else 2, 0))
            left -= part[1] if data else 0
            at = reader.at + header[3]
