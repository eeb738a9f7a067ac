"""Wire formats: one file a format, and this table. A reader turns bytes into checked arrays, a writer a model's outputs into bytes."""

import functools
import importlib
from collections.abc import Mapping
from typing import NamedTuple, cast

from app.codecs import media_types
from app.codecs.call import Reader, Writer
from app.errors import NotAcceptable, UnsupportedContentType


class Dialect(NamedTuple):
    """Media types in the order in which they are offered → the file of this folder that reads or writes them."""

    readers: Mapping[str, str]
    writers: Mapping[str, str]


JSON = "application/json"
# A new content type is one file and one row here; the first writer is the one for callers who accept anything.
DIALECTS: dict[str, Dialect] = {
    "predict": Dialect({JSON: "predict_json"}, {JSON: "predict_json"}),
}


@functools.lru_cache(maxsize=256)
def reader_of(dialect: str, content_type: str) -> tuple[Reader, dict[str, str]]:
    """What reads a body of this content type, and the content type's parameters.

    :raises UnsupportedContentType: with the content types that are taken.
    """
    readers = DIALECTS[dialect].readers
    media_type, parameters = media_types.parse(content_type)
    if media_type not in readers:
        got = f"'{media_type[:80]}'" if media_type else "no content type"
        hint = f" (curl -d sends that unless it is told -H 'Content-Type: {JSON}')" if "form" in media_type else ""
        raise UnsupportedContentType(f"The body came with {got}{hint}; send one of {', '.join(readers)}.")
    # Imported at its first use: a cold start pays for the one format that is spoken to it.
    return cast(Reader, importlib.import_module(f"app.codecs.{readers[media_type]}")), parameters


@functools.lru_cache(maxsize=256)
def writer_of(dialect: str, accept: str | None) -> tuple[Writer, str]:
    """What writes the answer that an ``Accept`` header likes best, and its media type.

    :raises NotAcceptable: with what can be answered.
    """
    writers = DIALECTS[dialect].writers
    media_type = media_types.choose(accept, writers)
    if media_type is None:
        raise NotAcceptable(f"The answer can be {', '.join(writers)}; accept one of them, or */*.")
    return cast(Writer, importlib.import_module(f"app.codecs.{writers[media_type]}")), media_type
