"""What becomes of answers: their results are put where they belong, and a record is done when that is so."""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import orjson

from app.answering import problem_of
from app.errors import Invalid, Problem, StoreUnavailable
from app.prediction import PredictionResponse
from app.report import Report
from app.results import Result, Sink
from app.triggers.records import Record


class Answer(NamedTuple):
    """One record's answer. ``make`` writes it, which is left undone where nobody reads it; ``problem`` is what is known to be wrong before.

    ``reply_to`` is the place that the record names, empty for the usual one.
    """

    report: Report
    reply_to: str
    correlation_id: str
    make: Callable[[], PredictionResponse | Problem]
    problem: Problem | None = None


class Outcomes:
    """Keeps answers."""

    def __init__(self, sink_of: Callable[[str], Sink], *, results_to: str = "", reply_to: Collection[str] = ()) -> None:
        """:param sink_of: the place of an address.
        :param results_to: where results go; empty: nowhere but to the metrics.
        :param reply_to: the places that a record may name instead.
        """
        self._sink_of, self._results_to, self._reply_to = sink_of, results_to, frozenset(reply_to)

    @property
    def is_told(self) -> bool:
        """Whether results go anywhere by themselves."""
        return bool(self._results_to)

    def check(self, reply_to: str) -> None:
        """Compare the place that a record names with those it may name: its sender is not to send with this function's rights.

        :raises Invalid: for any other.
        """
        if reply_to and reply_to not in self._reply_to:
            raise Invalid(
                "The attribute reply-to names a place that is not among those of REPLY_QUEUE_URLS; leave it out, or have it added there."
            )

    def put(self, results: Sequence[Result]) -> list[Problem | None]:
        """Put results of records that name no place and have no order where results go."""
        return list(self._put(self._results_to, results))

    def keep(self, records: Sequence[Record], answers: Sequence[Answer]) -> list[Problem | None]:
        """Put every result where it belongs, in the order of the records; in a group nothing goes on after a failure.

        What is wrong with a request is a result too, told each time that the record comes; what may pass is not.

        :returns: for each record None, where all is done, or why it must come again.
        """
        outcomes: list[Problem | None] = []
        results: dict[str, list[tuple[int, Result]]] = {}
        broken: set[str] = set()
        for place, (record, answer) in enumerate(zip(records, answers, strict=True)):
            problem: Problem | None = _AFTER_A_FAILURE
            if not record.group or record.group not in broken:
                target = answer.reply_to or self._results_to
                result = _result_of(record, answer) if target else None
                problem = result.problem if result else answer.problem
                if result and not (problem and problem.retryable):
                    results.setdefault(target, []).append((place, result))
                if problem and record.group:
                    broken.add(record.group)
            outcomes.append(problem)
        for target, members in results.items():
            kept = self._put(target, [result for _, result in members])
            for (place, _), problem in zip(members, kept, strict=True):
                outcomes[place] = outcomes[place] or problem
        return _in_order(records, outcomes)

    def _put(self, target: str, results: Sequence[Result]) -> Sequence[Problem | None]:
        try:
            sink = self._sink_of(target)
            kept = sink.put(results)
            # A result that its place will never take (too large, say) is told as the error that it is.
            refused = [
                _error_of(result, why)
                for result, why in zip(results, kept, strict=True)
                if why and not result.problem and not why.retryable
            ]
            if refused:
                sink.put(refused)
        except Problem as problem:
            return [problem] * len(results)
        return kept


# The place in a group's order is kept for what failed before it.
_AFTER_A_FAILURE = StoreUnavailable("A record before it in its group failed; it comes again after that.")


def _in_order(records: Sequence[Record], outcomes: Sequence[Problem | None]) -> list[Problem | None]:
    broken: set[str] = set()
    found: list[Problem | None] = []
    for record, outcome in zip(records, outcomes, strict=True):
        problem = outcome or (_AFTER_A_FAILURE if record.group in broken else None)
        if problem and record.group:
            broken.add(record.group)
        found.append(problem)
    return found


def _made(answer: Answer) -> PredictionResponse | Problem:
    try:
        return answer.make()
    except Exception as error:  # one that cannot be written is not the others'
        return problem_of(error)


def _result_of(record: Record, answer: Answer) -> Result:
    made = answer.problem or _made(answer)
    report, (body, content_type) = answer.report, (b"", "") if isinstance(made, Problem) else made
    tag = (report.model, report.version, report.digest)
    result = Result(record.id, record.source, body, content_type, *tag, None, answer.correlation_id, record.group)
    return _error_of(result, made) if isinstance(made, Problem) else result


def _error_of(result: Result, problem: Problem) -> Result:
    body = orjson.dumps(problem.as_object(result.id) | {"retryable": problem.retryable})
    return result._replace(body=body, content_type="application/json", problem=problem)
