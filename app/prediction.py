"""The one door to a model: every way in makes a ``PredictionRequest``, every way out reads a ``PredictionResponse``."""

import time
from collections.abc import Hashable, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple, cast

from app import result_size
from app.codecs import reader_of, writer_of
from app.codecs.call import Call, ModelTag, Writer, batch_size
from app.errors import BodyTooLarge, DeadlineExceeded, InternalError, Problem
from app.inference.loading import Loaded
from app.inference.repository import Repository
from app.report import Report
from app.tensors import Signature, Value

if TYPE_CHECKING:
    from app.packing import Packs

# What requests that have their answers may wait while packs of their shape are tried for the next ones.
_TRIAL_S = 5.0


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


class _Decoded(NamedTuple):
    """One of several requests, ready to run."""

    place: int
    request: PredictionRequest
    report: Report
    loaded: Loaded
    call: Call
    writer: Writer
    media_type: str


class Predictor:
    """Answers prediction requests from the models of one repository."""

    def __init__(self, repository: Repository, *, max_body_bytes: int, max_result_bytes: int) -> None:
        self._repository = repository
        self.max_body_bytes = max_body_bytes
        self._max_result_bytes = max_result_bytes

    @cached_property
    def _packs(self) -> "Packs":
        from app.packing import Packs

        return Packs()

    def answer(self, request: PredictionRequest, report: Report | None = None) -> PredictionResponse:
        """Decode, run, encode.

        :param report: filled in on the way, so that it also tells of a request that failed.
        :raises Problem: for whatever goes wrong that a caller should hear of.
        """
        report = report if report is not None else Report()
        loaded = self._loaded(request, report)
        started = time.perf_counter()
        try:
            decoded = self._decoded(request, loaded, report)
            ran = time.perf_counter()
            outputs = self._run(loaded, decoded.call, request.deadline)
            report.phases["run"] = time.perf_counter() - ran
            response = self._encoded(decoded, outputs)
        except Exception as error:
            if not (report.provisional and isinstance(error, DeadlineExceeded)):
                loaded.statistics.count(report.phases, time.perf_counter() - started, rows=report.rows, failed=True)
            raise
        loaded.statistics.count(report.phases, time.perf_counter() - started, rows=report.rows, failed=False)
        return response

    def answer_many(self, requests: Sequence[PredictionRequest], reports: Sequence[Report]) -> list[PredictionResponse | Problem]:
        """Answer several requests in as few runs as their models and shapes allow. A bad one never hurts its neighbours.

        :returns: for each request its answer or what went wrong with it.
        """
        from app import packing

        found: list[PredictionResponse | Problem | None] = [None] * len(requests)
        packs: dict[Hashable, list[_Decoded]] = {}
        for place, (request, report) in enumerate(zip(requests, reports, strict=True)):
            try:
                loaded = self._loaded(request, report)
                decoded = self._decoded(request, loaded, report, place)
            except Exception as error:
                found[place] = _problem(error)
                continue
            key = packing.key_of(decoded.call, loaded.signature)
            packs.setdefault((place,) if key is None else (loaded.name, loaded.version, key), []).append(decoded)
        for key, pack in packs.items():
            self._answer_pack(key, pack, found)
        return cast(list[PredictionResponse | Problem], found)

    def _answer_pack(self, key: Hashable, pack: list[_Decoded], found: list[PredictionResponse | Problem | None]) -> None:
        from app import packing

        if len(pack) > 1:
            # Packs of the same rows in another order have one shape.
            pack.sort(key=lambda decoded: packing.rows_of(decoded.call))
        for part in packing.portions(pack, lambda decoded: decoded.call):
            shape = (key, tuple(packing.rows_of(decoded.call) for decoded in part)) if len(part) > 1 else None
            outputs = self._run_pack(part) if shape and self._packs.may_run(shape) else None
            for i, decoded in enumerate(part):
                found[decoded.place] = self._finish(decoded, outputs[i] if outputs else None)
            until = time.monotonic() + _TRIAL_S
            if shape and not outputs and all(d.request.deadline is None or until < d.request.deadline for d in part):
                loaded = part[0].loaded
                self._packs.learn(shape, [d.call for d in part], loaded.signature, partial(self._run, loaded, deadline=until))

    def _run_pack(self, pack: list[_Decoded]) -> list[dict[str, Value]] | None:
        """Each request's outputs from one run; None where that fails: whoever makes it fail then fails alone."""
        from app import packing

        loaded, calls = pack[0].loaded, [decoded.call for decoded in pack]
        deadline = min((d.request.deadline for d in pack if d.request.deadline is not None), default=None)
        started = time.perf_counter()
        try:
            together = self._run(loaded, calls[0]._replace(inputs=packing.joined(calls)), deadline)
        except Exception:
            return None
        for decoded in pack:
            decoded.report.phases["run"] = (time.perf_counter() - started) / len(pack)
        return packing.split(together, [packing.rows_of(call) for call in calls], loaded.signature)

    def _finish(self, decoded: _Decoded, outputs: dict[str, Value] | None) -> PredictionResponse | Problem:
        phases, failed = decoded.report.phases, True
        try:
            if outputs is None:
                started = time.perf_counter()
                outputs = self._run(decoded.loaded, decoded.call, decoded.request.deadline)
                phases["run"] = time.perf_counter() - started
            response = self._encoded(decoded, outputs)
            failed = False
            return response
        except Exception as error:
            return _problem(error)
        finally:
            decoded.loaded.statistics.count(phases, sum(phases.values()), rows=decoded.report.rows, failed=failed)

    def check(self, request: PredictionRequest, report: Report) -> ModelTag:
        """Decode and check a request that is to be answered later; nothing is run.

        :returns: the model that would answer it now.
        :raises Problem: whatever of :meth:`answer` does not depend on the run.
        """
        loaded = self._loaded(request, report)
        self._decoded(request, loaded, report)
        return ModelTag(loaded.name, loaded.version, loaded.digest)

    def check_size(self, size: int) -> None:
        """Compare a body's size with the limit.

        :raises BodyTooLarge: with the limit and the size.
        """
        if size > self.max_body_bytes:
            raise BodyTooLarge(f"The body has {size} bytes, but at most {self.max_body_bytes} are taken (MAX_BODY_BYTES).")

    def _loaded(self, request: PredictionRequest, report: Report) -> Loaded:
        report.dialect = request.dialect
        self.check_size(len(request.body))
        loaded = self._repository.get(request.model, request.version)
        report.model, report.version, report.digest = loaded.name, loaded.version, loaded.digest
        return loaded

    def _decoded(self, request: PredictionRequest, loaded: Loaded, report: Report, place: int = 0) -> _Decoded:
        signature = loaded.signature
        reader, parameters = reader_of(request.dialect, request.content_type)
        writer, media_type = writer_of(request.dialect, request.accept)
        started = time.perf_counter()
        call = reader.decode(request.body, parameters, signature)
        if request.outputs:
            call = call._replace(outputs=_chosen(signature, request.outputs))
        report.phases["decode"] = time.perf_counter() - started
        report.inputs, report.rows = call.inputs, batch_size(call.inputs)
        return _Decoded(place, request, report, loaded, call, writer, media_type)

    def _encoded(self, decoded: _Decoded, outputs: dict[str, Value]) -> PredictionResponse:
        request, loaded, report = decoded.request, decoded.loaded, decoded.report
        started = time.perf_counter()
        report.outputs = outputs
        tag = ModelTag(loaded.name, loaded.version, loaded.digest, request.id)
        body, content_type = decoded.writer.encode(decoded.call, loaded.signature, tag, outputs)
        report.phases["encode"] = time.perf_counter() - started
        if len(body) > self._max_result_bytes:
            raise result_size.too_large(outputs, len(body), self._max_result_bytes)
        return PredictionResponse(body, content_type or decoded.media_type)

    def _run(self, loaded: Loaded, call: Call, deadline: float | None) -> dict[str, Value]:
        signature = loaded.signature
        # Ranking needs the class labels, also where the caller did not ask to see them.
        hidden = signature.constant_outputs.difference(call.outputs) if call.top_k else ()
        outputs = loaded.session.run(call.inputs, (*call.outputs, *hidden), deadline)
        result_size.check(outputs, call.top_k, self._max_result_bytes)
        return outputs


def _problem(error: Exception) -> Problem:
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
