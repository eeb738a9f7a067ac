"""Which files can be predicted: by the end of their name, or else by their content type."""

import importlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import cast

from app.batches import Format
from app.codecs import media_types
from app.errors import UnsupportedContentType
from app.tensors import Signature

SUFFIXES: Mapping[str, str] = {
    ".csv": "text/csv",
    ".jsonl": "application/jsonl",
    ".ndjson": "application/jsonl",
    ".npy": "application/x-npy",
    ".npz": "application/x-npz",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".arrow": "application/vnd.apache.arrow.stream",
    ".arrows": "application/vnd.apache.arrow.stream",
    ".parquet": "application/vnd.apache.parquet",
}
# A new format is one file and one row here, and its suffix above.
_FORMATS: Mapping[str, str] = {
    "text/csv": "csv_file:CsvFile",
    "application/jsonl": "json_lines_file:JsonLinesFile",
    "application/x-npy": "npy_file:NpyFile",
    "application/x-npz": "npz_file:NpzFile",
    "image/png": "image_file:ImageFile",
    "image/jpeg": "image_file:ImageFile",
    "application/vnd.apache.arrow.stream": "arrow_file:ArrowFile",
    "application/vnd.apache.parquet": "parquet_file:ParquetFile",
}
_LINES = ("application/jsonlines", "application/x-jsonlines", "application/x-ndjson")
_MEDIA_TYPES: Mapping[str, str] = {name: name for name in SUFFIXES.values()} | dict.fromkeys(_LINES, "application/jsonl")


def media_type_of(name: str, content_type: str = "") -> str | None:
    """The media type of a file, None for one that cannot be predicted: stores give many files no type of their own."""
    suffix = PurePosixPath(name).suffix.lower()
    return SUFFIXES.get(suffix) or _MEDIA_TYPES.get(media_types.parse(content_type)[0])


def format_of(name: str, content_type: str, signature: Signature) -> Format:
    """A file's format for a model.

    :param content_type: what its store says of it; its parameters count where it is of the same type.
    :raises UnsupportedContentType: for a file of no known format, or of one whose library is not installed.
    :raises Invalid: for a model that has no such rows.
    """
    found = said(name, content_type)
    file, _, kind = _FORMATS[media_types.parse(found)[0]].partition(":")
    # Imported at the first use, as the codecs are.
    return cast(Format, getattr(importlib.import_module(f"app.batches.{file}"), kind)(signature, found))


def said(name: str, content_type: str) -> str:
    """A file's content type, with the parameters that its store says where it is of the same type.

    :raises UnsupportedContentType: for a file of no known format.
    """
    found = media_type_of(name, content_type)
    if found is None:
        raise UnsupportedContentType(f"A file is predicted by the end of its name, {', '.join(SUFFIXES)}; '{name[-40:]}' ends otherwise.")
    media_type, _, parameters = content_type.partition(";")
    return f"{found};{parameters}" if parameters and media_type_of("", media_type) == found else found
