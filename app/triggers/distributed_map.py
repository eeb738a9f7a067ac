"""Invokes by the batch machine (statemachines/batch_predict.asl.json): ``{"Items": […], "BatchInput": {…}}``, and at its end ``{"Summary": {…}}``.

Predictions go to S3, and only counts and a key are answered, because what goes between states has at most 256 KiB. Failures are
raised, under the names that the machine's Retry knows: Step Functions takes whatever is returned for a success.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import orjson

from app.batches import items as rows
from app.batches import parts
from app.batches.items import Item
from app.batches.machine_errors import TooManyFailedRows, raised
from app.batches.machine_run import Batch, batch_of, check_output
from app.errors import DeadlineExceeded, Invalid, Problem, UnknownVersion
from app.observability import Observer
from app.prediction import PredictionRequest, Predictor
from app.report import Report
from app.storage.aws_clients import within
from app.storage.s3_parts import S3Parts
from app.triggers.records import Times, times_of

# From its beginning, a batch of rows is answered and written within so many seconds: its task has 60 of the machine's, of which a cold
# start takes some, and a function that goes on after that works for nobody. Files have what the function has.
RUN_S, WRITE_S = 40.0, 50.0
_SUFFIXES = {"csv": ".csv", "jsonl": ".jsonl"}


class _Done(Protocol):
    """What predicting a file comes to; see :class:`app.batches.machine_object.Predicted`."""

    @property
    def rows(self) -> int: ...
    @property
    def failures(self) -> int: ...
    @property
    def folder(self) -> str: ...


# Predicts the file of a key, as a whole; raises Problem.
PredictObject = Callable[[str, Batch, Times], _Done]


def is_batch(event: Any) -> bool:
    """What ItemBatcher makes with a BatchInput, and nothing beside it."""
    return isinstance(event, dict) and event.keys() == {"Items", "BatchInput"}


class DistributedMapTrigger:
    """Predicts one batch of a Distributed Map."""

    def __init__(
        self, predictor: Predictor, observer: Observer, predict_object: PredictObject | None = None, *, allowed_outputs: Sequence[str] = ()
    ) -> None:
        """:param allowed_outputs: prefixes (``s3://bucket/prefix/``) that results may be written under; none: wherever the role allows it."""
        self._predictor = predictor
        self._observer = observer
        self._predict_object = predict_object
        self._allowed_outputs = tuple(allowed_outputs)

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Counts of rows, of bad rows, and the key of the answers, of the first where there are several; empty where no row has one.

        :raises BatchInterrupted: where trying again may help.
        :raises BatchRefused: where it does not.
        :raises TooManyFailedRows: after all is written.
        """
        times, began, started, report = times_of(context), time.monotonic(), time.perf_counter(), Report()
        request_id = str(getattr(context, "aws_request_id", ""))
        code = ""
        try:
            batch = batch_of(event["BatchInput"])
            check_output(batch, self._allowed_outputs)
            items = rows.items_of(event["Items"])
            if batch.input_format != "objects":
                times = Times(min(times.run, began + RUN_S), min(times.write, began + WRITE_S))
            with within(times.write):
                found, why = self._batch(items, batch, times, report)
        except Problem as problem:
            code = problem.code
            raise raised(problem) from problem
        finally:
            fields = {"request_id": request_id, "correlation_id": request_id, "trigger": "distributed_map"}
            cold = self._observer.take_cold_start()
            report.tell(self._observer, lambda: fields, seconds=time.perf_counter() - started, code=code, failure=None, cold=cold)
        if found["failed"] * 100 > batch.tolerated_failure_percentage * found["rows"]:
            raise TooManyFailedRows(
                f"{found['failed']} of {found['rows']} rows are bad{why}, and {batch.tolerated_failure_percentage} % are tolerated; "
                "errors/ beside the parts says which and why."
            )
        return found

    def _batch(self, items: list[Item], batch: Batch, times: Times, report: Report) -> tuple[dict[str, Any], str]:
        found = [self._part(run, batch, times, report) for run in rows.runs_of(items)]
        key = next((key for _, key, _ in found if key), "")
        return {"rows": len(items), "failed": sum(failed for failed, _, _ in found), "key": key}, next(
            (why for _, _, why in found if why), ""
        )

    def _part(self, items: list[Item], batch: Batch, times: Times, report: Report) -> tuple[int, str, str]:
        """Bad rows, the key of the answers, and why the first row is bad."""
        kept = S3Parts(batch.output_bucket, batch.output_prefix)
        span = parts.span_of(items[0].number, len(items))
        name = next((name for folder in (parts.PARTS, parts.ERRORS) for name in kept.names(f"{folder}{span}-") if parts.is_whole(name)), "")
        why = ""
        if not name:
            if batch.input_format == "objects":
                answered = self._objects(items, batch, times)
            else:
                answered = self._rows(items, batch, times, report)
            name, why = _write(kept, span, answered, batch), _reason(answered)
        key = batch.output_prefix + name if name.startswith(parts.PARTS) else ""
        return parts.failed_in(name), key, why

    def _rows(self, items: list[Item], batch: Batch, times: Times, report: Report) -> rows.Answered:
        def predict(body: bytes, content_type: str, accept: str) -> bytes:
            request = PredictionRequest(
                body, batch.model or None, batch.model_version or None, content_type=content_type, accept=accept, deadline=times.run
            )
            try:
                answer = self._predictor.answer(request, report).body
            except DeadlineExceeded as error:
                raise DeadlineExceeded(f"{len(items)} rows are not answered in {RUN_S:g} s; lower max_items_per_batch.") from error
            if batch.digest and batch.digest != report.digest:
                raise UnknownVersion("The model is not the one that the run was started for any more; start another run.")
            return answer

        before = report.rows
        answered = rows.answer(items, predict, table=batch.input_format == "csv", output_format=batch.output_format)
        report.rows = before + len(items) - len(answered.bad)
        return answered

    def _objects(self, items: list[Item], batch: Batch, times: Times) -> rows.Answered:
        if self._predict_object is None:
            raise Invalid("This function predicts no files of S3.")
        lines: list[bytes] = []
        bad: list[tuple[Item, Problem]] = []
        passing: Problem | None = None
        for item in items:
            try:
                key = _key(item.value, batch)
                if not key:
                    continue
                done = self._predict_object(key, batch, times)
                lines.append(orjson.dumps({"key": key, "rows": done.rows, "failed": done.failures, "folder": done.folder}) + b"\n")
            except Problem as problem:
                if problem.retryable:
                    # The others do not wait for it: when the batch comes again, they are found done.
                    passing = passing or problem
                    continue
                bad.append((item, problem))
        if passing:
            raise passing
        return rows.Answered(b"".join(lines), rows.LINES, bad)


def _key(value: Any, batch: Batch) -> str:
    """The key of an entry of a listing; empty for what is no file to predict: a folder's mark, an object of another name, the run's own results.

    The guide's example of an entry has Etag, Key, LastModified, Size and StorageClass; none but the key is relied on.
    """
    if not isinstance(value, dict) or not isinstance(key := value.get("Key"), str):
        raise Invalid("An item is to be an entry of a listing, with its Key.")
    is_own = batch.bucket == batch.output_bucket and key.startswith(batch.output_prefix)
    is_other = not batch.key.endswith("/") and batch.key not in {"", key}
    return "" if key.endswith("/") or is_own or is_other else key


def _write(kept: S3Parts, span: str, answered: rows.Answered, batch: Batch) -> str:
    """Errors first: the answers say that the batch is done."""
    failed = len(answered.bad)
    name = ""
    if failed:
        name = parts.errors_name(span, failed)
        errors = rows.errors_of(answered.bad)
        if batch.input_format == "objects":
            errors = _errors_of_objects(answered)
        kept.add(name, errors, rows.LINES)
    if answered.body or not failed:
        suffix = ".jsonl" if batch.input_format == "objects" else _SUFFIXES[batch.output_format]
        name = parts.part_name(span, failed, suffix)
        kept.add(name, answered.body, answered.content_type)
    return name


def _errors_of_objects(answered: rows.Answered) -> bytes:
    found = [(item.value.get("Key", ""), problem) for item, problem in answered.bad if isinstance(item.value, dict)]
    return b"".join(orjson.dumps({"key": key, "error": problem.detail, "code": problem.code}) + b"\n" for key, problem in found)


def _reason(answered: rows.Answered) -> str:
    return f" (the first: {answered.bad[0][1].code})" if answered.bad else ""
