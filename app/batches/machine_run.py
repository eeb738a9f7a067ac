"""A run of the batch machine: what its execution is told, what it is called, and what its batches are told. Pure.

The name of an execution is made of everything that decides about the predictions, so that the same question is the same execution
(StartExecution: names are unique for 90 days), and so is the folder of its results.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from app.batches.parts import SUMMARY, errors_name, span_of
from app.errors import Invalid
from app.storage.s3_requests import key_of

# How a file's name ends → what Step Functions reads it as. All else is predicted as a whole, each file by one invocation.
READERS = {".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
INPUT_FORMATS = (*dict.fromkeys(READERS.values()), "objects")
OUTPUT_FORMATS = ("csv", "jsonl")
# What rows are answered as where nobody says it; files as whatever they are.
_ANSWERS = {"csv": "csv", "json": "jsonl", "jsonl": "jsonl", "parquet": "jsonl", "objects": ""}
# States.ToleratedFailurePercentage's own range, and 10,000 child executions at a time (Step Functions quotas).
_LARGEST = {"tolerated_failure_percentage": 100, "max_concurrency": 10_000, "max_items_per_batch": 10_000}
_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(.*)", re.DOTALL)
# Of an execution's name, at most 80 characters of A-Z, a-z, 0-9, - and _ (StartExecution).
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_STEM = 48
# The longest names below a run's folder: those of parts, and of what Step Functions writes itself.
_LONGEST_NAMES = (errors_name(span_of(10**8, 10_000), 10_000), f"map/{'0' * 36}/SUCCEEDED_{10**6}.jsonl", SUMMARY)


class Asked(NamedTuple):
    """What is to be predicted: an object, or with a ``/`` at its end all objects of a prefix.

    ``output`` is a prefix, ``input_version`` whatever names the input's very bytes (version id, ETag), ``digest`` that of the model
    where it is known, ``mark`` what tells runs apart that are else the same, such as the time of a schedule.
    """

    input: str
    output: str
    input_version: str = ""
    model: str = ""
    version: str = ""
    digest: str = ""
    output_format: str = ""
    mark: str = ""
    max_concurrency: int = 100
    max_items_per_batch: int = 1000
    tolerated_failure_percentage: float = 5


class Run(NamedTuple):
    """The execution that does it."""

    name: str
    input: dict[str, Any]

    @property
    def output(self) -> str:
        """The prefix of all its results, as ``s3://bucket/prefix/``."""
        return f"s3://{self.input['output_bucket']}/{self.input['output_prefix']}"


class Batch(NamedTuple):
    """What each of its batches is told beside the items (``BatchInput``)."""

    bucket: str
    key: str
    output_bucket: str
    output_prefix: str
    input_format: str
    output_format: str = ""
    model: str = ""
    model_version: str = ""
    digest: str = ""
    tolerated_failure_percentage: float = 0


def run_of(asked: Asked) -> Run:
    """The execution for what is asked; equal for equal questions.

    :raises Invalid: naming what is wrong.
    """
    bucket, key = split(asked.input, "input")
    output_bucket, prefix = split(asked.output, "output")
    if prefix and not prefix.endswith("/"):
        raise Invalid(f"The output is a prefix: let it end with '/', as in {asked.output}/.")
    for name, most in _LARGEST.items():
        least = 0 if name == "tolerated_failure_percentage" else 1
        if not least <= getattr(asked, name) <= most:
            raise Invalid(f"{name} is {getattr(asked, name)}, but takes a number from {least} to {most}.")
    input_format = format_of(key)
    output_format = asked.output_format or _ANSWERS[input_format]
    if output_format not in {*OUTPUT_FORMATS, _ANSWERS[input_format]}:
        raise Invalid(f"The answer's format is '{output_format[:20]}', but here one of {', '.join(OUTPUT_FORMATS)}.")
    # Parts of rows that are cut otherwise have other names: in one folder they would tell of a row twice.
    cut = "" if input_format == "objects" else str(asked.max_items_per_batch)
    deciding = (asked.input, asked.input_version, asked.output, asked.model, asked.version, asked.digest, output_format, asked.mark, cut)
    identity = hashlib.sha256("\0".join(deciding).encode()).hexdigest()[:16]
    stem = key.rstrip("/").rpartition("/")[2] or bucket
    _check_length(f"{prefix}{stem}/{identity}/")
    return Run(
        f"{_NOT_IN_A_NAME.sub('-', stem)[:_STEM]}-{identity}",
        {
            "bucket": bucket,
            "key": key,
            "version": asked.input_version,
            "output_bucket": output_bucket,
            "output_prefix": f"{prefix}{stem}/{identity}/",
            "input_format": input_format,
            "output_format": output_format,
            "model": asked.model,
            "model_version": asked.version,
            "digest": asked.digest,
            "max_concurrency": asked.max_concurrency,
            "max_items_per_batch": asked.max_items_per_batch,
            "tolerated_failure_percentage": asked.tolerated_failure_percentage,
        },
    )


def format_of(key: str) -> str:
    """How Step Functions reads an object, by the end of its name; ``objects`` for prefixes and for what it cannot read."""
    return READERS.get("." + key.lower().rpartition(".")[2], "objects") if key and not key.endswith("/") else "objects"


def split(url: str, what: str) -> tuple[str, str]:
    """Bucket and key of ``s3://bucket/key``.

    :raises Invalid: for another address.
    """
    found = _URL.fullmatch(url)
    if not found:
        raise Invalid(f"The {what} is to be an address such as s3://bucket/key.")
    return found[1], found[2]


def batch_of(found: Any) -> Batch:
    """What a batch is told, checked.

    :raises Invalid: naming the member that is wrong.
    """
    if not isinstance(found, Mapping):
        raise Invalid("BatchInput is to be an object.", pointer="/BatchInput")
    known = {name: found[name] for name in Batch._fields if name in found}
    for name in Batch._fields:
        kinds: tuple[type, ...] = (int, float) if name == "tolerated_failure_percentage" else (str,)
        if name not in known and name not in Batch._field_defaults:
            raise Invalid(f"BatchInput has no '{name}'.", pointer="/BatchInput")
        if name in known and type(known[name]) not in kinds:
            raise Invalid(f"'{name}' is to be a {'string' if str in kinds else 'number'}.", pointer=f"/BatchInput/{name}")
    batch = Batch(**known)
    if batch.input_format not in INPUT_FORMATS:
        raise Invalid(f"'input_format' is one of {', '.join(INPUT_FORMATS)}.", pointer="/BatchInput/input_format")
    output_format = batch.output_format or _ANSWERS[batch.input_format]
    if output_format not in {*OUTPUT_FORMATS, _ANSWERS[batch.input_format]}:
        raise Invalid(f"'output_format' is one of {', '.join(OUTPUT_FORMATS)}.", pointer="/BatchInput/output_format")
    return batch._replace(output_format=output_format)


def check_output(batch: Batch, allowed: Sequence[str]) -> None:
    """Check where results are to go.

    :param allowed: prefixes (``s3://bucket/prefix/``); none allows all.
    :raises Invalid: for another place, for a prefix that is none, and for one that is too long.
    """
    if not batch.output_prefix.endswith("/"):
        raise Invalid("'output_prefix' is to end with '/'.", pointer="/BatchInput/output_prefix")
    _check_length(batch.output_prefix)
    if allowed and not f"s3://{batch.output_bucket}/{batch.output_prefix}".startswith(tuple(allowed)):
        raise Invalid(f"Results may not be written there, but under {', '.join(allowed)}.", pointer="/BatchInput/output_prefix")


def _check_length(output_prefix: str) -> None:
    for name in _LONGEST_NAMES:
        key_of(output_prefix, name)
