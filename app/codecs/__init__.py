"""Wire formats: one file a format, and this table. A reader turns bytes into checked arrays, a writer a model's outputs into bytes."""

import functools
import importlib
from collections.abc import Mapping
from typing import NamedTuple, cast

from app.codecs import media_types
from app.codecs.call import Reader, Writer
from app.errors import NotAcceptable, UnsupportedContentType


class Dialect(NamedTuple):
    """Media types in the order in which they are offered → what reads or writes them: a file of this folder, or ``file:object``."""

    readers: Mapping[str, str]
    writers: Mapping[str, str]


JSON = "application/json"
# Open Inference's binary bodies, with the length of the JSON before the tensors as a parameter of the media type, as Triton's
# SageMaker front has it. Over HTTP a header field says the same.
BINARY = "application/vnd.sagemaker-triton.binary+json"
SIZE_PARAMETER = "json-header-size"
SIZE_HEADER = "Inference-Header-Content-Length"
LINES = "application/jsonl"
NPY = "application/x-npy"
NPZ = "application/x-npz"
CSV = "text/csv"
# Every spelling that is in use for one JSON value a line.
_LINES = dict.fromkeys((LINES, "application/jsonlines", "application/x-jsonlines", "application/x-ndjson"), "json_lines")
_READERS = {
    CSV: "csv_input",
    NPY: "npy",
    NPZ: "npz",
    **_LINES,
    "image/png": "image:png",
    "image/jpeg": "image:jpeg",
    "application/vnd.apache.arrow.stream": "arrow_stream",
    "application/vnd.apache.parquet": "parquet",
}
_NAMED = {f"{CSV};header=present": "csv_output"}
_BARE = {f"{CSV};header=absent": "csv_output:bare"}
_ARRAYS_AND_LINES = {NPY: "npy", NPZ: "npz", **_LINES}
_WRITERS = {**_NAMED, **_BARE, **_ARRAYS_AND_LINES}
# SageMaker's clients read every line of CSV as a row, and its transform jobs join answers line by line with what was sent.
_SAGEMAKER_WRITERS = {**_BARE, **_NAMED, **_ARRAYS_AND_LINES}

# A new content type is one file and one row here; the first writer is the one for callers who accept anything.
DIALECTS: dict[str, Dialect] = {
    "predict": Dialect({JSON: "predict_json", **_READERS}, {JSON: "predict_json", **_WRITERS}),
    "sagemaker": Dialect({JSON: "sagemaker_json", **_READERS}, {JSON: "sagemaker_json", **_SAGEMAKER_WRITERS}),
    "open_inference": Dialect({JSON: "open_inference", BINARY: "open_inference"}, {JSON: "open_inference", BINARY: "open_inference"}),
    "tensorflow_serving": Dialect({JSON: "tensorflow_serving"}, {JSON: "tensorflow_serving"}),
    "openai": Dialect({JSON: "embeddings"}, {JSON: "embeddings"}),
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
    return cast(Reader, _load(readers[media_type])), parameters


@functools.lru_cache(maxsize=256)
def writer_of(dialect: str, accept: str | None) -> tuple[Writer, str]:
    """What writes the answer that an ``Accept`` header likes best, and its media type.

    :raises NotAcceptable: with what can be answered.
    """
    writers = DIALECTS[dialect].writers
    media_type = media_types.choose(accept, writers)
    if media_type is None:
        raise NotAcceptable(f"The answer can be {', '.join(writers)}; accept one of them, or */*.")
    return cast(Writer, _load(writers[media_type])), media_type


def _load(place: str) -> object:
    """Import a codec. That happens at its first use: a cold start pays for the one format that is spoken to it."""
    file, _, name = place.partition(":")
    module = importlib.import_module(f"app.codecs.{file}")
    return getattr(module, name) if name else module
