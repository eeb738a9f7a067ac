"""Parquet in, by pyarrow. https://parquet.apache.org/docs/file-format/"""

from collections.abc import Mapping
from typing import Any

from app.codecs import arrow_columns, arrow_stream, parquet_pages
from app.codecs.call import Call
from app.codecs.unpacked import check_unpacked
from app.errors import WrongDatatype
from app.tensors import Signature


def decode(body: bytes, parameters: Mapping[str, str], signature: Signature) -> Call:  # noqa: ARG001 - it has none
    """Read a table; see :class:`app.codecs.call.Reader`."""
    pa = arrow_columns.library()
    with arrow_columns.parsing("Parquet"):
        footer = parquet_pages.footer(body)
        if footer.arrow_schema:
            import binascii

            arrow_stream.check_messages(pa, binascii.a2b_base64(footer.arrow_schema), body)
        _check_pages(body, footer)
        with _opened(pa, body, footer) as file:
            arrow_columns.check_types(file.schema_arrow, signature)
            for field in file.schema_arrow:
                if arrow_columns.is_list_of_strings(field.type):
                    raise WrongDatatype(f"column '{field.name[:64]}' holds arrays of strings; send JSON or an Arrow stream instead.")
            table = file.read(use_threads=False)
        table.validate(full=True)
    return arrow_columns.call_of(table, signature, body)


def _check_pages(body: bytes, footer: parquet_pages.Footer) -> None:
    """Check what all pages take when they are unpacked.

    :raises BodyTooLarge: with the size.
    :raises WrongDatatype: for strings whose size cannot be known.
    """
    size = 0
    for chunk, page in parquet_pages.pages(body, footer.chunks):
        if page.encoding == parquet_pages.DELTA_BYTE_ARRAY:
            raise WrongDatatype(f"column '{chunk.path[:64]}' is encoded as DELTA_BYTE_ARRAY; write it as PLAIN or with a dictionary.")
        size += page.size
    check_unpacked(size, body)


def _opened(pa: Any, body: bytes, footer: parquet_pages.Footer) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetFile(
        pa.BufferReader(body),
        pre_buffer=False,
        memory_map=False,
        # Strings stay a dictionary: one of a megabyte may stand in each row.
        read_dictionary=sorted({chunk.path for chunk in footer.chunks if chunk.physical_type == parquet_pages.STRINGS}),
        # What Thrift allocates for a list or a string of the footer before it reads it
        thrift_container_size_limit=parquet_pages.MOST_VALUES,
        thrift_string_size_limit=len(body),
    )
