"""The steps of one answer: find the model, decode, run, encode. :class:`app.prediction.Predictor` puts them together."""

import time
from typing import NamedTuple

from app import result_size
from app.codecs import reader_of, writer_of
from app.codecs.call import Call, ModelTag, Writer, batch_size
from app.errors import BodyTooLarge, InternalError, Problem
from app.inference.loading import Loaded
from app.inference.repository import Repository
from app.report import Report
from app.tensors import Signature, Value


class PredictionRequest(NamedTuple):
    """What a caller wants, still as bytes: it can be answered now, or stored and answered later with the same bytes.

    ``model`` None is the default model, ``version`` None the newest. ``accept`` is an ``Accept`` header, None for whatever
    the dialect answers by itself. ``outputs`` are those to answer, for formats whose bodies cannot say it; empty for the
    model's choice. ``id`` is what answers carry where the dialect requires an id and the body has none, ``echo`` the header
    fields that the caller wants to read again. ``deadline`` is in ``time.monotonic()`` seconds.
    """

    body: bytes
    model: str | None = None
    version: str | None = None
    dialect: str = "predict"
    content_type: str = "application/json"
    accept: str | None = None
    outputs: tuple[str, ...] = ()
    id: str = ""
    echo: tuple[tuple[str, str], ...] = ()
    deadline: float | None = None


class PredictionResponse(NamedTuple):
    """The answer, as bytes."""

    body: bytes
    content_type: str


class Decoded(NamedTuple):
    """A request that is ready to run; ``place`` is its own among several."""

    place: int
    request: PredictionRequest
    report: Report
    loaded: Loaded
    call: Call
    writer: Writer
    media_type: str


class Steps:
    """The steps, for the models of one repository."""

    def __init__(self, repository: Repository, *, max_body_bytes: int, max_result_bytes: int) -> None:
        self._repository = repository
        self.max_body_bytes = max_body_bytes
        self._max_result_bytes = max_result_bytes

    def check_size(self, size: int) -> None:
        """See :meth:`app.prediction.Predictor.check_size`."""
        if size > self.max_body_bytes:
            raise BodyTooLarge(f"The body has {size} bytes, but at most {self.max_body_bytes} are taken (MAX_BODY_BYTES).")

    def loaded(self, request: PredictionRequest, report: Report) -> Loaded:
        """The model that a request asks for.

        :raises Problem: where it is not there, or the body is too large.
        """
        report.dialect = request.dialect
        self.check_size(len(request.body))
        loaded = self._repository.get(request.model, request.version)
        report.model, report.version, report.digest = loaded.name, loaded.version, loaded.digest
        return loaded

    def decoded(self, request: PredictionRequest, loaded: Loaded, report: Report, place: int = 0) -> Decoded:
        """The request as checked arrays.

        :raises Problem: where it is not of its format, or does not fit the model.
        """
        signature = loaded.signature
        reader, parameters = reader_of(request.dialect, request.content_type)
        writer, media_type = writer_of(request.dialect, request.accept)
        started = time.perf_counter()
        call = reader.decode(request.body, parameters, signature)
        if request.outputs:
            call = call._replace(outputs=_chosen(signature, request.outputs))
        report.phases["decode"] = time.perf_counter() - started
        report.inputs, report.rows = call.inputs, batch_size(call.inputs)
        return Decoded(place, request, report, loaded, call, writer, media_type)

    def encoded(self, decoded: Decoded, outputs: dict[str, Value]) -> PredictionResponse:
        """The answer as bytes.

        :raises Problem: where it is too large, or not finite and the model's policy refuses that.
        """
        request, loaded, report = decoded.request, decoded.loaded, decoded.report
        started = time.perf_counter()
        result_size.check(outputs, decoded.call.top_k, self._max_result_bytes)
        report.outputs = outputs
        tag = ModelTag(loaded.name, loaded.version, loaded.digest, request.id)
        body, content_type = decoded.writer.encode(decoded.call, loaded.signature, tag, outputs)
        report.phases["encode"] = time.perf_counter() - started
        if len(body) > self._max_result_bytes:
            raise result_size.too_large(outputs, len(body), self._max_result_bytes)
        return PredictionResponse(body, content_type or decoded.media_type)

    def run(self, loaded: Loaded, call: Call, deadline: float | None) -> dict[str, Value]:
        """The outputs that a call asks for, and those that ranking needs.

        :raises Problem: see :meth:`app.inference.session.Session.run`.
        """
        # Ranking needs the class labels, also where the caller did not ask to see them.
        hidden = loaded.signature.constant_outputs.difference(call.outputs) if call.top_k else ()
        return loaded.session.run(call.inputs, (*call.outputs, *hidden), deadline)


def problem_of(error: Exception) -> Problem:
    """What a caller hears of an error; one that is none of ours stays its cause."""
    if isinstance(error, Problem):
        return error
    problem = InternalError("Something failed on our side; the log tells under this request's id.")
    problem.__cause__ = error
    return problem


def _chosen(signature: Signature, names: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return signature.chosen_outputs(names, "")
    except Problem as problem:
        # They did not stand in the body.
        problem.pointer = None
        raise
