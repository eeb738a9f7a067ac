"""Answers jobs: claim, run, keep the result, commit; a job that is not finished comes again."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from app.errors import DeadlineExceeded, Problem, StoreUnavailable
from app.jobs import job as jobs
from app.jobs.backend import Change
from app.jobs.errors import JobGivenUp
from app.jobs.job import Job, Payload
from app.jobs.stores import Stores, end, stored_request
from app.prediction import PredictionRequest, PredictionResponse, Predictor
from app.report import Report

# After a run has ended by its deadline the worker still has to write; a lease lasts until then, and a little for slow clocks.
_AFTER_RUN_S = 30.0
# Bodies that are in memory together.
_MOST_PACKED_BYTES = 32 * 1024 * 1024
Observe = Callable[[Job, Report, "PredictionResponse | Problem", float], None]


def _unobserved(job: Job, report: Report, answer: PredictionResponse | Problem, seconds: float) -> None:
    pass


class Claimed(NamedTuple):
    """A job in this worker's hands, and what it asks."""

    job: Job
    request: PredictionRequest


class Worker:
    """Works off deliveries of job ids."""

    def __init__(self, stores: Stores, predictor: Predictor, *, packed: bool, observe: Observe = _unobserved) -> None:
        """:param packed: whether jobs of one delivery may share a run.
        :param observe: hears of every attempt: the job, what happened, the answer, and the seconds of the run that it had a part in.
        """
        self._observe = observe
        self._stores = stores
        self._predictor = predictor
        self._packed = packed

    def work(self, ids: Sequence[str], deadline: float) -> list[str]:
        """Answer jobs: those that were never tried share a run, every other is claimed just before its own.

        So a job whose run ends the process, or takes all the time, costs its neighbours one attempt at most, and never their last.

        :param deadline: ``time.monotonic()`` seconds at which runs are ended.
        :returns: those whose messages must come again. A job is in the list, or has ended and that is kept, or is another's to answer.
        """
        begun = False
        half = (time.monotonic() + deadline) / 2
        again: list[str] = []
        for pack in self._packs(list(dict.fromkeys(ids))):
            if begun and time.monotonic() > half:
                # What is begun with little time left costs an attempt; what is not begun comes again and has all of it.
                again += pack
                continue
            claimed = []
            for job_id in pack:
                taken = self._tried(job_id, deadline)
                if isinstance(taken, Claimed):
                    claimed.append(taken)
                elif not taken:
                    again.append(job_id)
            if claimed:
                begun = True
                again += self._answer(claimed)
        return again

    def _packs(self, ids: list[str]) -> list[list[str]]:
        """What is claimed together: new jobs whose bodies together are small; first, as they are the quickest. Each other by itself."""
        if len(ids) < 2 or not self._packed:
            return [[job_id] for job_id in ids]
        together: list[str] = []
        room = _MOST_PACKED_BYTES
        for job_id in ids:
            try:
                job = self._stores.backend.read(Job, job_id)
            except Problem:
                continue
            if job is not None and job.attempt == 0 and job.payload.size <= room:
                together.append(job_id)
                room -= job.payload.size
        return [*([together] if together else []), *([job_id] for job_id in ids if job_id not in together)]

    def _tried(self, job_id: str, deadline: float) -> "Claimed | bool":
        try:
            return self._take(job_id, deadline)
        except Problem as error:
            self._stores.note("a job could not be taken", error)
            return False

    def _take(self, job_id: str, deadline: float) -> "Claimed | bool":
        """The job, claimed; else whether there is nothing left to do."""
        stores = self._stores
        job = stores.backend.read(Job, job_id)
        now = stores.clock()
        if job is None or job.is_finished:
            # The message of a job that was given up is to end among the dead letters.
            return job is None or job.error is None or job.error.get("code") != JobGivenUp.code
        if now >= job.expires:
            return end(stores, job, jobs.expire(job, now, stores.policy))
        if job.attempt >= job.max_attempts and job.lease_until <= now:
            # The last worker died over it, and the queue gave it one delivery more.
            end(stores, job, jobs.fail(job, given_up(job), now, stores.policy))
            return False
        mine = jobs.claim(job, now, max(0.0, deadline - time.monotonic()) + _AFTER_RUN_S)
        if mine is None or not stores.backend.write([Change(job, mine)]):
            # Another worker has it, and its own message.
            return True
        return self._with_body(mine._replace(revision=job.revision + 1), deadline)

    def _with_body(self, job: Job, deadline: float) -> "Claimed | bool":
        stores = self._stores
        try:
            body = stores.storage.get(job.payload.key, job.payload.digest)
        except StoreUnavailable as error:
            return self._put_back(job, error)
        if body is None:
            lost = JobGivenUp("The body of the request is not where it was kept.").as_object(job.id)
            return end(stores, job, jobs.fail(job, lost, stores.clock(), stores.policy))
        return Claimed(job, stored_request(job, body, deadline))

    def _answer(self, pack: Sequence[Claimed]) -> list[str]:
        started = time.perf_counter()
        reports = [Report() for _ in pack]
        answers = self._predictor.answer_many([one.request for one in pack], reports)
        seconds = time.perf_counter() - started
        again = []
        for (job, request), report, answer in zip(pack, reports, answers, strict=True):
            self._observe(job, report, answer, seconds)
            try:
                done = self._conclude(job, request, answer, report)
            except Problem as error:
                self._stores.note("a job's end could not be kept", error)
                done = False
            if not done:
                again.append(job.id)
        return again

    def _conclude(self, job: Job, request: PredictionRequest, answer: PredictionResponse | Problem, report: Report) -> bool:
        stores = self._stores
        if isinstance(answer, Problem):
            if answer.retryable or isinstance(answer, DeadlineExceeded):
                return self._put_back(job, answer)
            return end(stores, job, jobs.fail(job, answer.as_object(job.id), stores.clock(), stores.policy))
        key = f"results/{job.id[:2]}/{job.id}/{job.attempt}"
        digest = stores.storage.put(key, answer.body)
        result = Payload(key, len(answer.body), digest, answer.content_type, request.echo)
        if not end(stores, job, jobs.succeed(job._replace(digest=report.digest), result, stores.clock(), stores.policy)):
            # A zombie's: the attempt that is kept has a key of its own.
            stores.storage.delete(key)
        return True

    def _put_back(self, job: Job, problem: Problem) -> bool:
        """Let the job come again; after the last attempt it has failed. Its message goes back in both cases, at last to the dead letters."""
        stores = self._stores
        waiting = jobs.put_back(job, stores.clock(), stores.policy)
        if waiting is not None:
            stores.backend.write([Change(job, waiting)])
        else:
            end(stores, job, jobs.fail(job, given_up(job, problem), stores.clock(), stores.policy))
        return False


def given_up(job: Job, last: Problem | None = None) -> dict[str, object]:
    """The error of a job after its last attempt."""
    reason = f"The last one: {last.detail}" if last else "The last worker did not come back."
    problem = JobGivenUp(f"The job was given up after {job.attempt} of {job.max_attempts} attempts. {reason}")
    return problem.as_object(job.id)
