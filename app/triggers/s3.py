"""Objects that are put into the inbox, each predicted into a file below the output prefix.

Which model: what was said with the object (``x-amz-meta-model``, and ``x-amz-meta-version``), else the folder below the inbox that
is called like a model (``inbox/iris/…``, ``inbox/iris/2/…``), else the default model. Nothing that is written can be taken for
input: the two prefixes lie beside each other, and no object of another place is looked at, whatever an event says.
"""

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Literal, NamedTuple

import orjson

from app.batches import Place, Source
from app.batches.machine_run import Asked, format_of
from app.batches.manifest import Manifest
from app.errors import DeadlineExceeded, InternalError, Problem, SettingError
from app.inference.repository import Repository
from app.observability import Observer
from app.report import Report
from app.storage.aws_clients import within
from app.storage.s3_requests import MOST_KEY_BYTES
from app.storage.s3_streams import ObjectChanged, S3Place, S3Source
from app.triggers.records import Times, times_of
from app.triggers.s3_notifications import S3Object, objects_of

# What became of an object; all of them are over. "passed over" is no input, "gone" is deleted by now.
Outcome = Literal["done", "refused", "handed over", "passed over", "gone"]
OUTCOMES: Final[tuple[Outcome, ...]] = ("done", "refused", "handed over", "passed over", "gone")
# How often a file is begun again that is overwritten while it is read.
_TRIES = 3
# A file that had about all of an invocation will not be done by another one either.
_ABOUT_ALL = 0.8
_JSON = "application/json"


# Predicts a file into a place, by a model and version (None: the default and the newest), until a deadline (``time.monotonic()``
# seconds); what is there already is answered and not made again.
PredictFile = Callable[[Source, Place, str | None, str | None, float], Manifest]
# Starts the batch machine; the same question twice is one run.
StartBatch = Callable[[Asked], object]


class _File(NamedTuple):
    """An object of the inbox: ``path`` is its key below the prefix."""

    path: str
    source: S3Source
    model: str | None
    version: str | None

    @property
    def folder(self) -> str:
        return self.path[: self.path.rfind("/") + 1]

    @property
    def stem(self) -> str:
        name = self.path[len(self.folder) :]
        return name.rpartition(".")[0] or name


class Inbox:
    """Predicts the objects of a bucket's input prefix."""

    def __init__(
        self,
        repository: Repository,
        observer: Observer,
        predict: PredictFile,
        *,
        bucket: str,
        input_prefix: str,
        output_prefix: str,
        bytes_per_s: int,
        start_batch: StartBatch | None = None,
    ) -> None:
        """:param bytes_per_s: how much one invocation predicts at least; what would take longer is handed over before it is begun.
        :param start_batch: None where there is no batch machine.
        :raises SettingError: for prefixes that lie one in the other.
        """
        self._input, self._output = f"{input_prefix.rstrip('/')}/", f"{output_prefix.rstrip('/')}/"
        nested = self._input.startswith(self._output) or self._output.startswith(self._input)
        if nested or "/" in {self._input, self._output}:
            raise SettingError(
                f"INBOX_PREFIX is '{input_prefix}' and OUTPUT_PREFIX '{output_prefix}': they must be two folders of which none is in the "
                "other, or predictions would be predicted again. For example inbox/ and predictions/."
            )
        self._repository, self._observer, self._predict = repository, observer, predict
        self._bucket, self._bytes_per_s, self._start_batch = bucket, bytes_per_s, start_batch
        # The most time that an invocation has had here.
        self._longest_s = 0.0

    def answer_object(self, found: S3Object, times: Times, request_id: str = "") -> Outcome:
        """Predict an object, if it is one of the inbox.

        :raises Problem: for what may go better when the event comes again. What would not is written to ``error.json``.
        """
        if found.bucket != self._bucket or not found.key.startswith(self._input) or found.key.endswith("/"):
            return "passed over"
        started, report = time.perf_counter(), Report()
        fields: dict[str, Any] = {"request_id": request_id, "trigger": "s3", "object": found.key}
        code, failure = "", None
        try:
            with within(times.write):
                outcome, problem = self._answer(found, times, report, fields)
            code = problem.code if problem else ""
            return outcome
        except Problem as error:
            code, failure = error.code, (error.__cause__ or error) if isinstance(error, InternalError) else None
            fields |= {"outcome": "failed"} | ({"reason": error.detail} if error.tells_no_payload else {})
            raise
        except Exception as error:
            code, failure = InternalError.code, error
            raise InternalError("Something failed on our side; the log tells under the object's key.") from error
        finally:
            seconds, cold = time.perf_counter() - started, self._observer.take_cold_start()
            report.tell(self._observer, lambda: fields, seconds=seconds, code=code, failure=failure, cold=cold)

    def _answer(self, found: S3Object, times: Times, report: Report, fields: dict[str, Any]) -> tuple[Outcome, Problem | None]:
        for left in reversed(range(_TRIES)):
            source = S3Source.find(found.bucket, found.key, found.version_id, deadline=times.run)
            if source is None:
                fields["outcome"] = "gone"
                return "gone", None
            file = self._file(source)
            problem: Problem | None = None
            try:
                outcome = self._predict_or_hand_over(file, times, report, fields)
            except ObjectChanged:
                # S3 may tell of two writes at a time once ("Event notifications", versioning), so that this event may be the only one.
                if not left:
                    raise
                continue
            except Problem as error:
                if error.retryable:
                    raise
                self._write_refusal(file, error)
                outcome, problem = "refused", error
                fields |= {"reason": error.detail} if error.tells_no_payload else {}
            fields |= {"outcome": outcome, "bytes": source.size}
            return outcome, problem
        raise AssertionError("the last try returns or raises")

    def _predict_or_hand_over(self, file: _File, times: Times, report: Report, fields: dict[str, Any]) -> Outcome:
        left_s = times.run - time.monotonic()
        self._longest_s = max(self._longest_s, left_s)
        needed_s = file.source.size / self._bytes_per_s
        if needed_s > self._longest_s and self._hand_over(file):
            return "handed over"
        if left_s < needed_s <= self._longest_s:
            raise DeadlineExceeded("Too little of this invocation is left for the file; it comes again.")
        place = S3Place(self._bucket, self._output + file.folder)
        try:
            manifest = self._predict(file.source, place, file.model, file.version, times.run)
        except DeadlineExceeded as error:
            if left_s < _ABOUT_ALL * self._longest_s:
                raise
            if self._hand_over(file):
                return "handed over"
            raise DeadlineExceeded(
                f"The file has {file.source.size} bytes, which one invocation does not predict in its time. Set up the batch machine "
                "(BATCH_STATE_MACHINE_ARN), which takes CSV, JSON, JSON Lines and Parquet; or put smaller files."
            ) from error
        self._count(manifest, report, fields)
        return "done"

    def _count(self, manifest: Manifest, report: Report, fields: dict[str, Any]) -> None:
        report.model, report.version, report.digest = manifest.model, manifest.version, manifest.digest
        fields |= {"failed_rows": manifest.failures, "found": manifest.found}
        if manifest.found:
            # Counted when it was made.
            return
        report.dialect, report.rows = "predict", manifest.rows - manifest.failures
        report.phases = {name: seconds for name, seconds in manifest.timings.items() if name != "total"}
        if manifest.failures:
            self._observer.count({"FailedRows": (float(manifest.failures), "Count")}, {"model": manifest.model}, None)

    def _hand_over(self, file: _File) -> bool:
        """Start the batch machine, if there is one that can cut the file."""
        if self._start_batch is None or format_of(file.source.key) == "objects":
            return False
        loaded = self._repository.get(file.model, file.version)
        output = f"s3://{self._bucket}/{self._output}{file.folder}"
        self._start_batch(Asked(file.source.name, output, file.source.version, loaded.name, loaded.version, loaded.digest))
        return True

    def _file(self, source: S3Source) -> _File:
        path = source.key.removeprefix(self._input)
        model, version = source.metadata.get("model") or None, source.metadata.get("version") or None
        if model is None:
            folders = path.split("/")[:-1]
            if folders and folders[0] in self._repository.names():
                model = folders[0]
                if version is None and len(folders) > 1 and folders[1] in self._repository.versions(model):
                    version = folders[1]
        return _File(path, source, model, version)

    def _write_refusal(self, file: _File, problem: Problem) -> None:
        """Say once why a file is not predicted: the same bytes and the same model would be refused again."""
        digest = ""
        with suppress(Problem):
            digest = self._repository.get(file.model, file.version).digest
        source, whole = file.source, f"{file.folder}{file.stem}"
        identity = hashlib.sha256(f"{digest}\0{source.version}".encode()).hexdigest()[:16]
        room = MOST_KEY_BYTES - len(f"{self._output}/{identity}/error.json".encode())
        if len(whole.encode()) > room:
            # What is cut off may be what tells two files apart.
            identity = hashlib.sha256(f"{digest}\0{source.version}\0{whole}".encode()).hexdigest()[:16]
            whole = whole.encode()[:room].decode(errors="ignore")
        told = problem.as_object("") | {"source": source.name, "source_version": source.version, "source_bytes": source.size}
        # It is told once, whichever invocation finds it.
        del told["request_id"]
        with S3Place(self._bucket, self._output).create(f"{whole}/{identity}/error.json", _JSON) as output:
            output.write(orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
            output.commit()


class S3Trigger:
    """Answers events of S3 and of EventBridge about S3. They are invoked asynchronously: an error is what makes them come again."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, int]:
        """Predict what an event names; the answer counts what became of it.

        :raises Problem: the first object's that failed, after the others were tried. Lambda invokes twice more, which finds the others
            done, and then tells the on-failure destination:
            https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
        """
        times, request_id = times_of(context), str(getattr(context, "aws_request_id", ""))
        counts: dict[str, int] = dict.fromkeys(OUTCOMES, 0)
        failures = []
        for found in objects_of(event):
            try:
                counts[self._inbox.answer_object(found, times, request_id)] += 1
            except Problem as problem:
                failures.append(problem)
        if failures:
            raise failures[0]
        return counts
