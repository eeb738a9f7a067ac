"""Results as objects under a prefix of a bucket: one a record, under the same key each time, checked by S3 against its SHA-256."""

import hashlib
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from app.errors import Problem, ResultTooLarge
from app.results import Result
from app.results.sending import Entry, Limits, Refusal, Service, kept
from app.storage.aws_clients import call
from app.storage.s3_requests import checked

_SUFFIXES = {
    "application/json": "json",
    "application/problem+json": "json",
    "application/jsonl": "jsonl",
    "application/jsonlines": "jsonl",
    "application/x-jsonlines": "jsonl",
    "application/x-ndjson": "jsonl",
    "application/x-npy": "npy",
    "application/x-npz": "npz",
    "application/vnd.apache.arrow.stream": "arrows",
    "application/vnd.apache.parquet": "parquet",
    "text/csv": "csv",
    "text/plain": "txt",
}
# A key has at most 1,024 bytes ("Creating object key names"), of which the prefix needs some.
_LONGEST_NAME = 200
# "Working with object metadata": 2 KB, names and values together.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
_LARGEST_METADATA = 2048
_UNSAFE = re.compile(rb"[^A-Za-z0-9.-]")


class S3Prefix:
    """A prefix of a bucket."""

    def __init__(self, bucket: str, prefix: str) -> None:
        """:param prefix: as keys begin, with the ``/`` at its end."""
        self._bucket = bucket
        self._prefix = prefix
        # An object a request, of up to 5 GB: nothing that this program makes.
        self._service = Service("s3", "put_object", Limits(1, 5 * 1024**3), self._send)

    def put(self, results: Sequence[Result]) -> list[Problem | None]:
        """Put an object for each result, in the place of one that a delivery before has put."""
        return kept(self._service, results, self._entry)

    def _entry(self, place: int, result: Result) -> Entry:
        written: dict[str, Any] = {
            "Key": self._prefix + key_of(result),
            **checked(result.body),
            "ContentType": result.content_type,
            "Metadata": _metadata(result),
        }
        return Entry(place, len(result.body), written)

    def _send(self, batch: Sequence[Entry]) -> list[Refusal | None]:
        for entry in batch:
            call("s3", "put_object", Bucket=self._bucket, **entry.content)
        return [None] * len(batch)


def key_of(result: Result) -> str:
    """The name of a result's object: the record's id, and a suffix for what it holds."""
    media_type = result.content_type.partition(";")[0].strip().lower()
    return f"{safe(result.id)}.{'error.json' if result.problem else _SUFFIXES.get(media_type, 'bin')}"


def safe(record_id: str) -> str:
    """An id in characters that need no care in a key, different for each id; one that is very long ends in its SHA-256.

    "Creating object key names", safe characters: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
    """
    written = record_id.encode()
    name = _UNSAFE.sub(lambda found: b"_%02X" % found[0][0], written).decode()
    # No hexadecimal digit follows the mark, so that no short id is written like that.
    return name if len(name) <= _LONGEST_NAME else f"{name[:100]}_H{hashlib.sha256(written).hexdigest()}"


def _metadata(result: Result) -> dict[str, str]:
    named = {
        "record-id": result.id,
        "source": result.source,
        "model": result.model,
        "version": result.version,
        "digest": result.digest,
        "status": str(result.problem.status if result.problem else 200),
        "correlation-id": result.correlation_id,
    }
    # Header fields are ASCII, and lose spaces around them.
    metadata = {name: quote(value, safe="/:@!$&'()*+,;=-._~") for name, value in named.items() if value}
    size = sum(len(name) + len(value) for name, value in metadata.items())
    if size > _LARGEST_METADATA:
        raise ResultTooLarge(
            f"The names of the result (record, source, correlation id) have {size} bytes; S3 keeps at most {_LARGEST_METADATA} beside an object. "
            "Give the record a shorter correlation id."
        )
    return metadata
