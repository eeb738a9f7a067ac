"""The engine that answers records, with models of the tests and a place in memory for its results."""

import io
import itertools
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from onnx import TensorProto as T

from app.errors import Problem
from app.inference.session import Session
from app.observability import Observer
from app.prediction import Predictor
from app.results import Result
from app.settings import Settings
from app.triggers.deliveries import Deliveries
from app.triggers.outcomes import Outcomes
from app.triggers.records import Record, Times
from app.triggers.requests import Reference
from app.wiring import open_repository
from tests import graphs
from tests.shells import copy_models

_NUMBERS = itertools.count()


class Place:
    """Where results go; those whose ids are in ``refuses`` are not kept, unless they are errors and those are taken."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        self.refuses: dict[str, Problem] = {}
        self.takes_errors = False

    def put(self, results: Sequence[Result]) -> list[Problem | None]:
        kept = [None if self.takes_errors and result.problem else self.refuses.get(result.id) for result in results]
        self.results += [result for result, problem in zip(results, kept, strict=True) if problem is None]
        return kept


class Engine:
    """An engine, and what it told, ran and logged. Results go to ``place``; without it nowhere."""

    def __init__(self, models: Path, *, told: bool = True, reply_to: Sequence[str] = ()) -> None:
        self.place, self.replies, self.lines = Place(), Place(), io.StringIO()
        self.objects: dict[str, bytes] = {}
        self.deadlines: list[float] = []
        self.predictor = Predictor(open_repository(Settings(model_dir=str(models))), max_body_bytes=10**7, max_result_bytes=10**7)
        # Powertools keeps a logger and its stream by name.
        observer = Observer(
            service=f"tests-{next(_NUMBERS)}", level="INFO", namespace=None, log_values=False, stream=self.lines, cold_start=None
        )
        places = {"usual": self.place} | dict.fromkeys(reply_to, self.replies)
        outcomes = Outcomes(places.__getitem__, results_to="usual" if told else "", reply_to=reply_to)
        self.deliveries = Deliveries(self.predictor, observer, outcomes, self._fetch, self.deadlines.append)

    def answer(self, *records: Record, seconds: float = 60.0) -> list[Problem | None]:
        """Answer records within a time."""
        now = time.monotonic()
        return self.deliveries.answer(records, Times(now + seconds, now + seconds + 5))

    def bodies(self) -> dict[str, Any]:
        """The results' bodies by record."""
        return {result.id: json.loads(result.body) for result in self.place.results}

    def log(self) -> list[dict[str, Any]]:
        """The lines that were logged."""
        return [json.loads(line) for line in self.lines.getvalue().splitlines()]

    def _fetch(self, reference: Reference, deadline: float) -> bytes:
        return self.objects[reference.uri]


class Runs:
    """Counts the runs of all sessions."""

    def __init__(self, monkeypatch: Any) -> None:
        self.sizes: list[int] = []
        run = Session.run

        def counted(session: Session, inputs: Any, *arguments: Any, **named: Any) -> Any:
            self.sizes.append(len(next(iter(inputs.values()))))
            return run(session, inputs, *arguments, **named)

        monkeypatch.setattr(Session, "run", counted)

    def taken(self) -> list[int]:
        """The rows of each run since the last look."""
        taken, self.sizes = self.sizes, []
        return taken


def models_in(folder: Path) -> Path:
    """The project's models, iris by default, and some that are odd."""
    copy_models(folder)
    for name, content in {
        "pick": graphs.pick(),
        "slow": graphs.slow(),
        "brittle": graphs.brittle(),
        "identity": graphs.identity(T.FLOAT, ["n", 4]),
    }.items():
        graphs.put(folder, name, content)
    return folder
