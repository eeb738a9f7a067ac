"""The one door to a model: every way in makes a ``PredictionRequest``, every way out reads a ``PredictionResponse``."""

import time
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from app.answering import PredictionRequest, PredictionResponse, Steps
from app.codecs.call import ModelTag
from app.errors import DeadlineExceeded, Problem
from app.inference.loading import Loaded
from app.inference.repository import Repository
from app.report import Report

if TYPE_CHECKING:
    from app.codecs.plain_rows import PlainRows
    from app.packing import Packs
    from app.row_answers import RowAnswers
    from app.together import Together

__all__ = ["PACK_BYTES", "PredictionRequest", "PredictionResponse", "Predictor"]

# Joined inputs are a copy, and what a graph keeps on its way grows with them.
PACK_BYTES = 32 * 1024 * 1024


class Predictor:
    """Answers prediction requests from the models of one repository."""

    def __init__(self, repository: Repository, *, max_body_bytes: int, max_result_bytes: int, pack_bytes: int = PACK_BYTES) -> None:
        self._steps = Steps(repository, max_body_bytes=max_body_bytes, max_result_bytes=max_result_bytes)
        self._pack_bytes = pack_bytes
        self.max_body_bytes = max_body_bytes

    def answer(self, request: PredictionRequest, report: Report | None = None) -> PredictionResponse:
        """Decode, run, encode.

        :param report: filled in on the way, so that it also tells of a request that failed.
        :raises Problem: for whatever goes wrong that a caller should hear of.
        """
        report = report if report is not None else Report()
        steps = self._steps
        loaded = steps.loaded(request, report)
        started = time.perf_counter()
        try:
            decoded = steps.decoded(request, loaded, report)
            ran = time.perf_counter()
            outputs = steps.run(loaded, decoded.call, request.deadline)
            report.phases["run"] = time.perf_counter() - ran
            response = steps.encoded(decoded, outputs)
        except Exception as error:
            if not (report.provisional and isinstance(error, DeadlineExceeded)):
                loaded.statistics.count(report.phases, time.perf_counter() - started, rows=report.rows, failed=True)
            raise
        loaded.statistics.count(report.phases, time.perf_counter() - started, rows=report.rows, failed=False)
        return response

    def answer_many(
        self, requests: Sequence[PredictionRequest], reports: Sequence[Report], *, exact: bool = True
    ) -> list[PredictionResponse | Problem]:
        """Answer several requests in as few runs as their models and shapes allow. A bad one never hurts its neighbours.

        :param exact: whether each must be answered to the bit as it is alone; else rows may share a run wherever they do not
            know of each other, which may round them otherwise.
        :returns: for each request its answer or what went wrong with it.
        """
        return self._together.answer(requests, reports, exact=exact)

    def answer_rows(
        self, asked: PredictionRequest, bodies: Sequence[list[Any]], form: Literal["columns", "rows"], report: Report
    ) -> "RowAnswers":
        """Answer many small requests that differ in their rows alone, parsed already; see :class:`app.row_answers.RowAnswers`.

        :param asked: what they have in common; its body is not looked at.
        :param bodies: for each request what stands under ``inputs`` (form ``columns``) or ``instances`` (``rows``).
        :raises Problem: where the model that they ask for is not there.
        """
        from app.codecs import plain_rows

        loaded, started = self._steps.loaded(asked, report), time.perf_counter()
        rows = plain_rows.stacked(bodies, loaded.signature)
        report.phases["decode"] = time.perf_counter() - started
        return self._row_answers(asked, rows, len(bodies), loaded, form=form, report=report)

    def answer_alike(self, asked: PredictionRequest, bodies: Sequence[str], report: Report) -> "RowAnswers | None":
        """Answer many small requests that are alike but for their numbers; None where they are not, and nothing is answered.

        :param bodies: JSON as in ``POST /predict``.
        :raises Problem: where the model that they ask for is not there.
        """
        from app.codecs import plain_rows

        loaded, started = self._steps.loaded(asked, report), time.perf_counter()
        found = plain_rows.alike(bodies, loaded.signature)
        report.phases["decode"] = time.perf_counter() - started
        return self._row_answers(asked, found.rows, len(bodies), loaded, form=found.form, report=report) if found else None

    def _row_answers(
        self,
        asked: PredictionRequest,
        rows: "PlainRows | None",
        bodies: int,
        loaded: Loaded,
        *,
        form: Literal["columns", "rows"],
        report: Report,
    ) -> "RowAnswers":
        from app.row_answers import RowAnswers

        return RowAnswers(
            self._steps, self._packs, asked, rows, bodies=bodies, loaded=loaded, form=form, report=report, pack_bytes=self._pack_bytes
        )

    def check(self, request: PredictionRequest, report: Report) -> ModelTag:
        """Decode and check a request that is to be answered later; nothing is run.

        :returns: the model that would answer it now.
        :raises Problem: whatever of :meth:`answer` does not depend on the run.
        """
        loaded = self._steps.loaded(request, report)
        self._steps.decoded(request, loaded, report)
        return ModelTag(loaded.name, loaded.version, loaded.digest)

    def check_size(self, size: int) -> None:
        """Compare a body's size with the limit.

        :raises BodyTooLarge: with the limit and the size.
        """
        self._steps.check_size(size)

    @cached_property
    def _packs(self) -> "Packs":
        from app.packing import Packs

        return Packs()

    @cached_property
    def _together(self) -> "Together":
        from app.together import Together

        return Together(self._steps, self._packs, pack_bytes=self._pack_bytes)
