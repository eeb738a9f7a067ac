"""Answers to many small requests that differ in their rows alone: decoded, run and counted together, encoded when they are asked for.

A request of one row costs about 50 µs by itself, most of it for what it has in common with the next. Here that is done once.
"""

import time
from collections import Counter
from collections.abc import Hashable
from functools import cached_property, partial
from typing import Literal, NamedTuple, cast

import numpy as np

from app import packing
from app.answering import Decoded, PredictionRequest, PredictionResponse, Steps, problem_of
from app.codecs import predict_json, predict_json_rows, writer_of
from app.codecs.call import Call, ModelTag
from app.codecs.plain_rows import PlainRows
from app.errors import DeadlineExceeded, Problem
from app.inference.loading import Loaded
from app.packing import Packs
from app.report import Report
from app.tensors import Array, Value


class _Part(NamedTuple):
    """Consecutive bodies that were run together: from ``first`` on, as many rows from ``row`` on."""

    first: int
    row: int
    rows: int
    outputs: dict[str, Value]


class RowAnswers:
    """The answers. Some may be :attr:`left` to be asked by themselves."""

    def __init__(
        self,
        steps: Steps,
        packs: Packs,
        asked: PredictionRequest,
        rows: PlainRows | None,
        *,
        bodies: int,
        loaded: Loaded,
        form: Literal["columns", "rows"],
        report: Report,
        pack_bytes: int,
    ) -> None:
        """See :meth:`app.prediction.Predictor.answer_rows`. All that can be run together is run now, until the deadline of ``asked``.

        :param bodies: how many requests there are.
        """
        self._steps, self._loaded, self._asked, self._form, self._report = steps, loaded, asked, form, report
        self._writer, self._media_type = writer_of(asked.dialect, asked.accept)
        self._outputs = loaded.signature.chosen_outputs(None, "")
        self._problems: dict[int, Problem] = {}
        self._parts: list[_Part] = []
        self._texts: dict[int, list[bytes] | None] = {}
        self._rows = rows if rows and self._may_share(rows, packs) else _NONE
        self._bodies = bodies
        self._are_single = len(self._rows.matrix) == len(self._rows.places)
        started = time.perf_counter()
        self._run_all(pack_bytes)
        report.phases["run"] = time.perf_counter() - started
        report.rows = self._rows.starts[-1]
        self._count(sum(report.phases.values()))

    @cached_property
    def left(self) -> list[int]:
        """Places of requests that must be asked by themselves, because they are more than plain rows."""
        return [place for place in range(self._bodies) if place not in self._at]

    @property
    def are_all_answered(self) -> bool:
        """Whether no request is left, and none failed."""
        return len(self._rows.places) == self._bodies and not self._problems

    @cached_property
    def _at(self) -> dict[int, int]:
        return {place: at for at, place in enumerate(self._rows.places)}

    def texts(self) -> tuple[list[bytes], str] | None:
        """The bodies of all answers, and their content type, where none is left or failed and all are alike; else None."""
        if not self.are_all_answered:
            return None
        found: list[bytes] = []
        for part in self._parts:
            written = self._written(part)
            if written is None:
                return None
            found += written
        return found, self._media_type

    def problem(self, place: int) -> Problem | None:
        """What went wrong with the run of a request that is not left."""
        return self._problems.get(self._at[place])

    def response(self, place: int, request_id: str | None = None) -> PredictionResponse | Problem:
        """The answer of a request that is not left, as its dialect writes it.

        :param request_id: the ``id`` of its body.
        """
        at = self._at[place]
        if (problem := self._problems.get(at)) is not None:
            return problem
        part = next(part for part in reversed(self._parts) if part.first <= at)
        if request_id is None and (written := self._written(part)):
            return PredictionResponse(written[at - part.first], self._media_type)
        start, end = self._rows.starts[at], self._rows.starts[at + 1]
        constant = self._loaded.signature.constant_outputs
        outputs = {
            name: value if name in constant else cast(Array, value)[start - part.row : end - part.row]
            for name, value in part.outputs.items()
        }
        call = self._call(start, end)._replace(id=request_id)
        try:
            return self._steps.encoded(Decoded(place, self._asked, Report(), self._loaded, call, self._writer, self._media_type), outputs)
        except Exception as error:
            return problem_of(error)

    def _written(self, part: _Part) -> list[bytes] | None:
        """The answers of a part, where all are alike."""
        if part.first not in self._texts:
            found = None
            if self._writer is predict_json and self._form == "columns" and self._are_single:
                tag = ModelTag(self._loaded.name, self._loaded.version, self._loaded.digest)
                found = predict_json_rows.bodies(self._outputs, self._loaded.signature, tag, part.outputs, part.rows)
            self._texts[part.first] = found
        return self._texts[part.first]

    def _call(self, start: int, end: int) -> Call:
        return Call({self._loaded.signature.inputs[0].name: self._rows.matrix[start:end]}, self._outputs, self._form)

    def _may_share(self, rows: PlainRows, packs: Packs) -> bool:
        signature, self._rows = self._loaded.signature, rows
        calls = [self._call(start, end) for start, end in zip(rows.starts[:2], rows.starts[1:3], strict=False)]
        shapes = packing.key_of(calls[0], signature)
        key: Hashable = (self._loaded.name, self._loaded.version, shapes)
        run = partial(self._steps.run, self._loaded, deadline=packing.half_of(self._asked.deadline))
        worth = len(rows.places) >= packing.WORTH_A_TRIAL
        return shapes is not None and packs.may_share(key, calls, signature, run, try_it=worth)

    def _run_all(self, pack_bytes: int) -> None:
        starts, first = self._rows.starts, 0
        most_rows = max(1, pack_bytes // max(1, self._rows.matrix[:1].nbytes))
        while first < len(self._rows.places):
            last = max(first + 1, int(np.searchsorted(starts, starts[first] + most_rows, side="right")) - 1)
            self._run(first, last)
            first = last

    def _run(self, first: int, last: int) -> None:
        """Run the bodies from one to before another; where that fails, each half, until what makes it fail is alone."""
        starts = self._rows.starts
        call = self._call(starts[first], starts[last])
        try:
            outputs = self._steps.run(self._loaded, call, self._asked.deadline)
            if packing.split(outputs, [starts[last] - starts[first]], self._loaded.signature) is None:
                raise _NotRows
            self._parts.append(_Part(first, starts[first], starts[last] - starts[first], outputs))
        except Exception as error:
            if isinstance(error, DeadlineExceeded) or last - first == 1:
                self._problems |= dict.fromkeys(range(first, last), problem_of(error))
                return
            middle = (first + last) // 2
            self._run(first, middle)
            self._run(middle, last)

    def _count(self, seconds: float) -> None:
        starts, done = self._rows.starts, len(self._rows.places) or 1
        phases = {"encode": 0.0} | {name: taken / done for name, taken in self._report.phases.items()}
        if isinstance(starts, range) and not self._problems:
            sizes = {(starts.step, False): done}
        else:
            sizes = Counter((starts[at + 1] - starts[at], at in self._problems) for at in range(len(self._rows.places)))
        for (rows, failed), requests in sizes.items():
            self._loaded.statistics.count(phases, seconds / done, rows=rows, failed=failed, requests=requests)


_NONE = PlainRows(np.empty(0, np.float32), [], [0])


class _NotRows(Exception):
    """The outputs have other rows than went in."""
