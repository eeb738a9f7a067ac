"""Answers the records of a delivery together: decoded, packed, run, split, and their results put where they belong.

A record is done when its result is where it belongs, and not before. One that fails never hurts its neighbours.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import repeat
from typing import Any

from app.answering import problem_of
from app.errors import DeadlineExceeded, InternalError, Problem
from app.observability import Observer
from app.prediction import PredictionRequest, PredictionResponse, Predictor
from app.report import Report
from app.results import Result
from app.triggers.outcomes import Answer, Outcomes
from app.triggers.records import Record, Times
from app.triggers.requests import Alike, Asked, Plain, Reference, asked_of, plain_of

# Fewer are answered as quickly by themselves.
_MANY = 8
# Reads what a reference names, until a deadline (``time.monotonic()`` seconds).
Fetch = Callable[[Reference, float], bytes]


class Deliveries:
    """Answers records of any source."""

    def __init__(
        self, predictor: Predictor, observer: Observer, outcomes: Outcomes, fetch: Fetch, set_deadline: Callable[[float], None]
    ) -> None:
        """:param set_deadline: hears until when calls to AWS may go on."""
        self._predictor, self._observer, self._outcomes = predictor, observer, outcomes
        self._fetch, self._set_deadline = fetch, set_deadline

    def answer(self, records: Sequence[Record], times: Times) -> list[Problem | None]:
        """Answer records.

        :returns: for each None, where all is done, or why it must come again.
        """
        self._set_deadline(times.write)
        answers: list[Answer | None] = [None] * len(records)
        plain: dict[Alike, list[tuple[int, Plain]]] = {}
        others: list[int] = []
        for place, record in enumerate(records):
            found = plain_of(record)
            if found is None:
                others.append(place)
            else:
                plain.setdefault(found.alike, []).append((place, found))
        for alike, members in plain.items():
            others += self._answer_plain(alike, members, records, times, answers)
        referring = self._answer_others(sorted(others), records, times, answers)
        if any(record.group for record in records):
            # Results of a group keep their order.
            for place, one in referring.items():
                answers[place] = self._answer_reference(records[place], one)
            referring = {}
        done = self._concluded(records, {place: answer for place, answer in enumerate(answers) if answer is not None})
        for place, one in referring.items():
            # Kept before the next is read: all of them may be more than the memory holds.
            done |= self._concluded(records, {place: self._answer_reference(records[place], one)})
        return [done[place] for place in range(len(records))]

    def _concluded(self, records: Sequence[Record], answers: Mapping[int, Answer]) -> dict[int, Problem | None]:
        """What became of answers, by the places of their records."""
        problems = self._outcomes.keep([records[place] for place in answers], list(answers.values()))
        for (place, answer), problem in zip(answers.items(), problems, strict=True):
            if problem is not None:
                self._tell_failure(_fields(records[place], answer), answer.report, problem)
        return dict(zip(answers, problems, strict=True))

    def answer_alike(self, ids: Sequence[str], bodies: Sequence[str], source: str, times: Times) -> list[Problem | None] | None:
        """Answer records of which there is nothing but their bodies, if these are alike but for their numbers.

        :returns: as :meth:`answer`; None where they are not, and nothing is done.
        """
        if len(bodies) < _MANY:
            return None
        self._set_deadline(times.write)
        report, started = Report(), time.perf_counter()
        try:
            rows = self._predictor.answer_alike(PredictionRequest(b"", deadline=times.run), bodies, report)
        except Exception:  # each of them says what is wrong
            return None
        if rows is None or not rows.are_all_answered:
            return None
        self._tell(report, {"trigger": source, "records": len(bodies)}, time.perf_counter() - started)
        if not self._outcomes.is_told:
            return [None] * len(bodies)
        if (texts := rows.texts()) is not None:
            tag = map(repeat, (report.model, report.version, report.digest))
            # A named tuple made by its name takes three times as long.
            results = list(
                map(Result._make, zip(ids, repeat(source), texts[0], repeat(texts[1]), *tag, repeat(None), repeat(""), repeat("")))
            )
            problems = self._outcomes.put(results)
            for result, problem in zip(results, problems, strict=True):
                if problem is not None:
                    self._tell_failure({"trigger": source, "record": result.id}, report, problem)
            return problems
        records = [Record(name, source, body) for name, body in zip(ids, bodies, strict=True)]
        done = self._concluded(records, {at: Answer(report, "", "", partial(rows.response, at)) for at in range(len(bodies))})
        return list(done.values())

    def _answer_plain(
        self, alike: Alike, members: list[tuple[int, Plain]], records: Sequence[Record], times: Times, answers: list[Answer | None]
    ) -> list[int]:
        """Answer records that differ in their rows alone; the places of those that must be asked by themselves."""
        source, started = records[members[0][0]].source, time.perf_counter()
        report = Report()
        asked = PredictionRequest(b"", alike.model, alike.version, accept=alike.accept, deadline=times.run)
        try:
            self._outcomes.check(alike.reply_to)
            rows = self._predictor.answer_rows(asked, [plain.rows for _, plain in members], alike.form, report)
        except Exception:  # each of them says what is wrong
            return [place for place, _ in members]
        left = set(rows.left)
        for at, (place, plain) in enumerate(members):
            if at not in left:
                make = partial(rows.response, at, plain.id)
                answers[place] = Answer(report, alike.reply_to, plain.correlation_id, make, rows.problem(at))
        if len(left) < len(members):
            self._tell(report, {"trigger": source, "records": len(members) - len(left)}, time.perf_counter() - started)
        return [members[at][0] for at in rows.left]

    def _answer_others(self, places: list[int], records: Sequence[Record], times: Times, answers: list[Answer | None]) -> dict[int, Asked]:
        """Answer records each as what it asks; those whose bodies are still to be read are returned."""
        asked: dict[int, Asked] = {}
        for place in places:
            try:
                asked[place] = asked_of(records[place], times)
                self._outcomes.check(asked[place].reply_to)
            except Exception as error:  # whatever is wrong with this one, the others are not to pay for it
                asked.pop(place, None)
                answers[place] = self._failed(records[place], problem_of(error))
        direct = [place for place in asked if asked[place].reference is None]
        reports = [Report() for _ in direct]
        found = self._predictor.answer_many([asked[place].request for place in direct], reports, exact=False) if direct else []
        for place, report, response in zip(direct, reports, found, strict=True):
            answer = answers[place] = _answered(asked[place], report, response)
            self._tell_answer(records[place], answer)
        return {place: one for place, one in asked.items() if one.reference is not None}

    def _answer_reference(self, record: Record, asked: Asked) -> Answer:
        report = Report()
        assert asked.reference is not None
        try:
            if time.monotonic() >= (asked.request.deadline or 0):
                raise DeadlineExceeded("The time was up before this record's turn; it comes again.")
            body = self._fetch(asked.reference, asked.request.deadline or 0)
            answer = _answered(asked, report, self._predictor.answer(asked.request._replace(body=body), report))
        except Exception as error:  # as above
            answer = _answered(asked, report, problem_of(error))
        self._tell_answer(record, answer)
        return answer

    def _failed(self, record: Record, problem: Problem) -> Answer:
        """A record that cannot be asked: told at the place that it names, or where that may not be named, at the usual one."""
        reply_to = record.attributes.get("reply-to", "")
        with suppress(Problem):
            self._outcomes.check(reply_to)
            return Answer(Report(), reply_to, record.attributes.get("correlation-id", ""), lambda: problem, problem)
        return Answer(Report(), "", record.attributes.get("correlation-id", ""), lambda: problem, problem)

    def _tell_answer(self, record: Record, answer: Answer) -> None:
        if answer.problem is None:
            self._tell(answer.report, _fields(record, answer), sum(answer.report.phases.values()))

    def _tell_failure(self, fields: dict[str, Any], report: Report, problem: Problem) -> None:
        failure = (problem.__cause__ or problem) if isinstance(problem, InternalError) else None
        told = fields | {"status": problem.status} | ({"reason": problem.detail} if problem.tells_no_payload else {})
        of_model = Report(report.dialect, report.model, report.version, report.digest)
        of_model.tell(self._observer, lambda: told, seconds=0.0, code=problem.code, failure=failure, cold=None)

    def _tell(self, report: Report, fields: dict[str, Any], seconds: float) -> None:
        report.tell(self._observer, lambda: fields, seconds=seconds, code="", failure=None, cold=self._observer.take_cold_start())


def _answered(asked: Asked, report: Report, answer: PredictionResponse | Problem) -> Answer:
    problem = answer if isinstance(answer, Problem) else None
    return Answer(report, asked.reply_to, asked.correlation_id, lambda: answer, problem)


def _fields(record: Record, answer: Answer) -> dict[str, Any]:
    return {"trigger": record.source, "record": record.id, "correlation_id": answer.correlation_id}
