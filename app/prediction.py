"""The one door to a model: every way in makes a ``PredictionRequest``, every way out reads a ``PredictionResponse``."""

import time
from typing import NamedTuple

import numpy as np

from app.codecs import reader_of, writer_of
from app.codecs.call import Call, ModelTag, batch_size
from app.errors import BodyTooLarge, DeadlineExceeded, Problem, ResultTooLarge
from app.inference.loading import Loaded
from app.inference.repository import Repository
from app.report import Report
from app.tensors import Signature, Value, elements, largest


class PredictionRequest(NamedTuple):
    """What a caller wants, still as bytes: it can be answered now, or stored and answered later with the same bytes.

    ``model`` None is the default model, ``version`` None the newest. ``accept`` is an ``Accept`` header, None for whatever
    the dialect answers by itself. ``outputs`` are those to answer, for formats whose bodies cannot say it; empty for the
    model's choice. ``deadline`` is in ``time.monotonic()`` seconds.
    """

    body: bytes
    model: str | None = None
    version: str | None = None
    dialect: str = "predict"
    content_type: str = "application/json"
    accept: str | None = None
    outputs: tuple[str, ...] = ()
    deadline: float | None = None


class PredictionResponse(NamedTuple):
    """The answer, as bytes."""

    body: bytes
    content_type: str


class Predictor:
    """Answers prediction requests from the models of one repository."""

    def __init__(self, repository: Repository, *, max_body_bytes: int, max_result_bytes: int) -> None:
        self._repository = repository
        self.max_body_bytes = max_body_bytes
        self._max_result_bytes = max_result_bytes

    def answer(self, request: PredictionRequest, report: Report | None = None) -> PredictionResponse:
        """Decode, run, encode.

        :param report: filled in on the way, so that it also tells of a request that failed.
        :raises Problem: for whatever goes wrong that a caller should hear of.
        """
        report = report if report is not None else Report()
        report.dialect = request.dialect
        self.check_size(len(request.body))
        loaded = self._repository.get(request.model, request.version)
        report.model, report.version, report.digest = loaded.name, loaded.version, loaded.digest
        started = time.perf_counter()
        try:
            response = self._answer(request, loaded, report)
        except Exception as error:
            if not (report.provisional and isinstance(error, DeadlineExceeded)):
                loaded.statistics.count(report.phases, time.perf_counter() - started, rows=report.rows, failed=True)
            raise
        loaded.statistics.count(report.phases, time.perf_counter() - started, rows=report.rows, failed=False)
        return response

    def check_size(self, size: int) -> None:
        """Compare a body's size with the limit.

        :raises BodyTooLarge: with the limit and the size.
        """
        if size > self.max_body_bytes:
            raise BodyTooLarge(f"The body has {size} bytes, but at most {self.max_body_bytes} are taken (MAX_BODY_BYTES).")

    def _answer(self, request: PredictionRequest, loaded: Loaded, report: Report) -> PredictionResponse:
        signature = loaded.signature
        reader, parameters = reader_of(request.dialect, request.content_type)
        writer, media_type = writer_of(request.dialect, request.accept)
        started = time.perf_counter()
        call = reader.decode(request.body, parameters, signature)
        if request.outputs:
            call = call._replace(outputs=_chosen(signature, request.outputs))
        decoded = time.perf_counter()
        report.phases["decode"] = decoded - started
        report.inputs, report.rows = call.inputs, batch_size(call.inputs)
        outputs = self._run(loaded, call, request.deadline)
        ran = time.perf_counter()
        report.phases["run"] = ran - decoded
        report.outputs = outputs
        body, content_type = writer.encode(call, signature, ModelTag(loaded.name, loaded.version, loaded.digest), outputs)
        report.phases["encode"] = time.perf_counter() - ran
        if len(body) > self._max_result_bytes:
            raise self._too_large(outputs, len(body))
        return PredictionResponse(body, content_type or media_type)

    def _run(self, loaded: Loaded, call: Call, deadline: float | None) -> dict[str, Value]:
        signature = loaded.signature
        # Ranking needs the class labels, also where the caller did not ask to see them.
        hidden = signature.constant_outputs.difference(call.outputs) if call.top_k else ()
        outputs = loaded.session.run(call.inputs, (*call.outputs, *hidden), deadline)
        # Known before the megabytes are written.
        if sum(map(elements, outputs.values())) > self._max_result_bytes // 2:
            least = sum(_least_bytes(value, call.top_k) for value in outputs.values())
            if least > self._max_result_bytes:
                raise self._too_large(outputs, least, at_least=True)
        return outputs

    def _too_large(self, outputs: dict[str, Value], size: int, *, at_least: bool = False) -> ResultTooLarge:
        name = largest(outputs)
        return ResultTooLarge(
            f"The result has {'at least ' if at_least else ''}{size} bytes, but at most {self._max_result_bytes} can be answered "
            f"(MAX_RESULT_BYTES); output '{name}' is the largest with {elements(outputs[name])} values. "
            'Ask for fewer rows, or leave it out with "outputs".'
        )


def _chosen(signature: Signature, names: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return signature.chosen_outputs(names, "")
    except Problem as problem:
        # They did not stand in the body.
        problem.pointer = None
        raise


def _least_bytes(value: Value, top_k: int) -> int:
    """What a value takes in any format at least: a number two bytes of JSON, or its own in binary; a ranked class six."""
    item_bytes = min(2, value.dtype.itemsize) if isinstance(value, np.ndarray) else 1
    least = item_bytes * elements(value)
    if top_k and isinstance(value, np.ndarray) and value.ndim > 1 and value.dtype.kind != "O":
        # Which outputs are ranked, and how those of more dimensions, is the codec's to know.
        return min(least, len(value) * min(top_k, int(value.shape[-1])) * 6)
    return least
