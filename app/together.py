"""Several requests in as few runs as their models and shapes allow. A bad one never hurts its neighbours."""

import time
from collections.abc import Hashable, Sequence
from functools import partial
from typing import cast

from app import packing
from app.answering import Decoded, PredictionRequest, PredictionResponse, Steps, problem_of
from app.errors import Problem
from app.packing import Packs
from app.report import Report
from app.tensors import Value

# What requests that have their answers may wait while packs of their shape are tried for the next ones.
_TRIAL_S = 5.0


class Together:
    """Answers requests in packs."""

    def __init__(self, steps: Steps, packs: Packs, *, pack_bytes: int) -> None:
        """:param pack_bytes: what the inputs of one pack may take together."""
        self._steps = steps
        self._packs = packs
        self._pack_bytes = pack_bytes

    def answer(
        self, requests: Sequence[PredictionRequest], reports: Sequence[Report], *, exact: bool
    ) -> list[PredictionResponse | Problem]:
        """For each request its answer, or what went wrong with it; see :meth:`app.prediction.Predictor.answer_many`."""
        found: list[PredictionResponse | Problem | None] = [None] * len(requests)
        packs: dict[Hashable, list[Decoded]] = {}
        for place, (request, report) in enumerate(zip(requests, reports, strict=True)):
            try:
                loaded = self._steps.loaded(request, report)
                decoded = self._steps.decoded(request, loaded, report, place)
            except Exception as error:
                found[place] = problem_of(error)
                continue
            key = packing.key_of(decoded.call, loaded.signature)
            packs.setdefault((place,) if key is None else (loaded.name, loaded.version, key), []).append(decoded)
        for key, pack in packs.items():
            if exact:
                self._answer_exactly(key, pack, found)
            else:
                self._answer_independent(key, pack, found)
        return cast(list[PredictionResponse | Problem], found)

    def _answer_exactly(self, key: Hashable, pack: list[Decoded], found: list[PredictionResponse | Problem | None]) -> None:
        if len(pack) > 1:
            # Packs of the same rows in another order have one shape.
            pack.sort(key=lambda decoded: packing.rows_of(decoded.call))
        for part in packing.portions(pack, lambda decoded: decoded.call, self._pack_bytes):
            shape = (key, tuple(packing.rows_of(decoded.call) for decoded in part)) if len(part) > 1 else None
            outputs = self._run_pack(part) if shape and self._packs.may_run(shape) else None
            for i, decoded in enumerate(part):
                found[decoded.place] = self._finish(decoded, outputs[i] if outputs else None)
            until = time.monotonic() + _TRIAL_S
            if shape and not outputs and all(d.request.deadline is None or until < d.request.deadline for d in part):
                loaded = part[0].loaded
                self._packs.learn(shape, [d.call for d in part], loaded.signature, partial(self._steps.run, loaded, deadline=until))

    def _answer_independent(self, key: Hashable, pack: list[Decoded], found: list[PredictionResponse | Problem | None]) -> None:
        first = pack[0]
        packed = len(pack) > 1 and self._packs.may_share(
            key,
            [decoded.call for decoded in pack],
            first.loaded.signature,
            partial(self._steps.run, first.loaded, deadline=packing.half_of(first.request.deadline)),
            try_it=len(pack) >= packing.WORTH_A_TRIAL,
        )
        for part in packing.portions(pack, lambda decoded: decoded.call, self._pack_bytes):
            outputs = self._halved(part) if packed else [None] * len(part)
            for decoded, mine in zip(part, outputs, strict=True):
                found[decoded.place] = self._finish(decoded, mine)

    def _halved(self, pack: list[Decoded]) -> Sequence[dict[str, Value] | None]:
        """Each request's outputs; a run that fails is halved until what makes it fail is alone, which then fails by itself (None)."""
        if len(pack) == 1:
            return [None]
        found = self._run_pack(pack)
        if found is not None:
            return found
        middle = len(pack) // 2
        return [*self._halved(pack[:middle]), *self._halved(pack[middle:])]

    def _run_pack(self, pack: list[Decoded]) -> list[dict[str, Value]] | None:
        """Each request's outputs from one run; None where that fails: whoever makes it fail then fails alone."""
        loaded, calls = pack[0].loaded, [decoded.call for decoded in pack]
        deadline = min((d.request.deadline for d in pack if d.request.deadline is not None), default=None)
        started = time.perf_counter()
        try:
            together = self._steps.run(loaded, calls[0]._replace(inputs=packing.joined(calls)), deadline)
        except Exception:
            return None
        for decoded in pack:
            decoded.report.phases["run"] = (time.perf_counter() - started) / len(pack)
        return packing.split(together, [packing.rows_of(call) for call in calls], loaded.signature)

    def _finish(self, decoded: Decoded, outputs: dict[str, Value] | None) -> PredictionResponse | Problem:
        phases, failed = decoded.report.phases, True
        try:
            if outputs is None:
                started = time.perf_counter()
                outputs = self._steps.run(decoded.loaded, decoded.call, decoded.request.deadline)
                phases["run"] = time.perf_counter() - started
            response = self._steps.encoded(decoded, outputs)
            failed = False
            return response
        except Exception as error:
            return problem_of(error)
        finally:
            decoded.loaded.statistics.count(phases, sum(phases.values()), rows=decoded.report.rows, failed=failed)
