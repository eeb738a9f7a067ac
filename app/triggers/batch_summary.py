"""The batch machine's last step, ``{"Summary": {…}}``: what a run came to, counted from what is in S3 and written beside it."""

from collections.abc import Sequence
from typing import Any

import orjson

from app.batches import parts
from app.batches.machine_errors import InputChanged, TooManyFailedRows, raised
from app.batches.machine_run import Batch, batch_of, check_output
from app.errors import Invalid, Problem
from app.storage.aws_clients import within
from app.storage.s3_parts import S3Parts, version_of
from app.triggers.records import times_of


def is_summary(event: Any) -> bool:
    """``{"Summary": {…}}`` and nothing beside it."""
    return isinstance(event, dict) and event.keys() == {"Summary"} and isinstance(event["Summary"], dict)


class SummaryTrigger:
    """Writes ``summary.json``."""

    def __init__(self, *, allowed_outputs: Sequence[str] = ()) -> None:
        """:param allowed_outputs: see :class:`app.triggers.distributed_map.DistributedMapTrigger`."""
        self._allowed_outputs = tuple(allowed_outputs)

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Counts and the summary's key.

        :raises InputChanged: after all is written, and so for the next.
        :raises TooManyFailedRows: for more than tolerated over all rows.
        """
        told = event["Summary"]
        try:
            batch = batch_of(told)
            check_output(batch, self._allowed_outputs)
            total, version = told.get("total"), told.get("version", "")
            if type(total) is not int or total < 0:
                raise Invalid("'total' is to be the number of items.", pointer="/Summary/total")
            with within(times_of(context).write):
                found = self._written(batch, total)
                now = version_of(batch.bucket, batch.key) if version and batch.input_format != "objects" else version
        except Problem as problem:
            raise raised(problem) from problem
        if now != version:
            raise InputChanged("The input was written again while it was read, so that rows may be missing or twice; start another run.")
        bad = found["failed"] + found["missing"]
        if bad * 100 > batch.tolerated_failure_percentage * total:
            raise TooManyFailedRows(
                f"Of {total} rows {found['failed']} are bad and {found['missing']} missing, and {batch.tolerated_failure_percentage} % are "
                "tolerated; errors/ beside the parts says why."
            )
        return found

    def _written(self, batch: Batch, total: int) -> dict[str, Any]:
        kept = S3Parts(batch.output_bucket, batch.output_prefix)
        counted = parts.counted(name for folder in (parts.PARTS, parts.ERRORS) for name in kept.names(folder))
        if counted.repeated or counted.end > total:
            raise Invalid(
                f"Of the input's {total} rows the parts tell of {counted.rows} up to row {counted.end}, and of {counted.repeated} more than "
                "once: another run, or one with other batches, has written here. Start one with another output."
            )
        found = {
            "rows": total,
            "answered": counted.rows - counted.failed,
            "failed": counted.failed,
            "missing": total - counted.rows,
            "parts": counted.parts,
        }
        names = {name: getattr(batch, name) for name in ("model", "model_version", "digest", "input_format", "output_format")}
        body = {"input": f"s3://{batch.bucket}/{batch.key}", **names, **found}
        kept.replace(parts.SUMMARY, orjson.dumps(body, option=orjson.OPT_INDENT_2) + b"\n", "application/json")
        return {**found, "key": batch.output_prefix + parts.SUMMARY}
