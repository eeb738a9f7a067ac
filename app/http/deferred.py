"""Prediction routes beyond a plain answer: later (``Prefer: respond-async``), once (``Idempotency-Key``), of an upload (a reference)."""

import hashlib
import time
from collections.abc import Callable

from app.codecs import media_types
from app.errors import DeadlineExceeded, Invalid, NotOffered, Problem
from app.http import jobs as pages
from app.http import problems, uploads
from app.http.message import REFERENCE, Request, Response
from app.http.predict import respond
from app.http.preferences import idempotency_key_of, preferences_of, webhook_of
from app.http.routes import Route, Services, endpoint_of
from app.jobs.idempotency import Answer, Idempotency, Key, in_use
from app.jobs.reservation import Reservation
from app.jobs.service import Jobs
from app.report import Report

# A synchronous call has no other deadline where its shell sets none; after its lease a key can be taken anew.
_LEASE_S = 60.0
# Between the end of a run and the end of its caller's patience its answer is kept.
_AFTER_RUN_S = 5.0
# What of a wait is left for the answer.
_BEFORE_DEADLINE_S = 0.5
_FINGERPRINTED = ("content-type", "content-encoding", "accept", "inference-header-content-length", "x-amzn-sagemaker-target-model")
OFF = "Predictions are not answered later here: JOBS is off."


def answer(services: Services, request: Request, route: Route, report: Report) -> Response:
    """Answer a request of a prediction route that has one of these fields.

    :raises Problem: for whatever goes wrong that a caller should hear of.
    """
    jobs = services.jobs(request.deadline) if services.jobs else None
    refers = media_types.parse(request.headers.get("content-type", ""))[0] == REFERENCE
    if jobs is None:
        if refers:
            raise NotOffered(OFF)
        # RFC 7240, section 2: a preference that is not supported is passed over.
        return _answer_now(services, request, route, report)
    key = idempotency_key_of(request)
    mine = Key(request.caller, key, _fingerprint(request)) if key is not None else None
    source = uploads.resolve(jobs, request) if refers else ""
    if refers:
        services = services._replace(predictor=jobs.predictor)
    if preferences_of(request).respond_async:
        return _Later(services, jobs, request, route, report).answer(mine, source)
    if webhook_of(request) is not None:
        raise Invalid("Webhook-Url is for predictions that are answered later: send Prefer: respond-async with it.")
    if mine is None:
        return _answer_now(services, request, route, report)
    return _answer_once(mine, jobs, request, lambda: _answer_now(services, request, route, report), report)


def _answer_now(services: Services, request: Request, route: Route, report: Report) -> Response:
    asked = endpoint_of(route)(services, request)
    return respond(asked, services.predictor.answer(asked, report))


def _answer_once(key: Key, jobs: Jobs, request: Request, answer_now: Callable[[], Response], report: Report) -> Response:
    idempotency = Idempotency(jobs.stores)
    kept = idempotency.look_up(key)
    if kept is not None:
        return _repeated(jobs, request, kept)
    lease_s = max(0.0, request.deadline - time.monotonic()) if request.deadline is not None else _LEASE_S
    mine = idempotency.begin(key, lease_s + _AFTER_RUN_S)
    try:
        response = answer_now()
    except Problem as problem:
        if problem.retryable or problem.status >= 500 or isinstance(problem, DeadlineExceeded):
            idempotency.give_up(mine)
        else:
            idempotency.finish(mine, _kept(problems.render(problem, request)))
        raise
    except BaseException:
        idempotency.give_up(mine)
        raise
    idempotency.finish(mine, _kept(response, report))
    return response


def _kept(response: Response, report: Report | None = None) -> Answer:
    headers = dict(response.headers)
    if report is not None:
        headers |= {"X-Model-Name": report.model, "X-Model-Version": report.version, "X-Model-Digest": report.digest}
    return Answer(response.status, response.body, response.content_type, tuple(headers.items()))


def _repeated(jobs: Jobs, request: Request, kept: Reservation, wait_s: float | None = None) -> Response:
    """What came of the first request with the key."""
    if not kept.is_done:
        raise in_use()
    if kept.job_id:
        return _of_job(jobs, request, kept.job_id, wait_s, repeated=True)
    found = Idempotency(jobs.stores).repeat(kept)
    return Response(found.status, found.body, found.content_type, {**dict(found.headers), "Idempotency-Replayed": "true"})


def _of_job(jobs: Jobs, request: Request, job_id: str, wait_s: float | None, *, repeated: bool = False) -> Response:
    """The job as an answer: 202, or its result where it has ended within the time that the caller waits."""
    job = jobs.show(request.caller, job_id)
    if wait_s is not None and not job.is_finished:
        if request.deadline is not None:
            wait_s = min(wait_s, request.deadline - time.monotonic() - _BEFORE_DEADLINE_S)
        job = jobs.wait(request.caller, job_id, max(0.0, wait_s))
    applied = "respond-async" if wait_s is None else f"respond-async, wait={wait_s:.0f}"
    headers = {"Idempotency-Replayed": "true"} if repeated else {}
    if wait_s is not None and job.is_finished:
        response = pages.result_of(jobs, job, request)
        response.headers |= {"Preference-Applied": applied, "Content-Location": pages.path_of(job, request), **headers}
        return response
    response = pages.describe(job, request, status=202)
    response.headers |= {"Location": pages.path_of(job, request), "Preference-Applied": applied, **headers}
    response.headers.setdefault("Retry-After", pages.RETRY_AFTER_S)
    return response


class _Later:
    """One request with ``Prefer: respond-async``."""

    def __init__(self, services: Services, jobs: Jobs, request: Request, route: Route, report: Report) -> None:
        self._services, self._jobs, self._request, self._route, self._report = services, jobs, request, route, report

    def answer(self, key: Key | None, source: str) -> Response:
        """Submit it, or find what was submitted under the key."""
        jobs, request = self._jobs, self._request
        wait_s = preferences_of(request).wait_s
        idempotency = Idempotency(jobs.stores)
        kept = idempotency.look_up(key) if key else None
        if kept is None:
            job = jobs.submit(
                endpoint_of(self._route)(self._services, request),
                self._report,
                owner=request.caller,
                webhook=webhook_of(request),
                source=source,
                reserve=(lambda job_id: idempotency.change(key, job_id=job_id)) if key else None,
            )
            if job is not None:
                return _of_job(jobs, request, job.id, wait_s)
            # The same key came twice at once, and the other was first.
            kept = idempotency.look_up(key) if key else None
        if kept is None:
            raise in_use()
        return _repeated(jobs, request, kept, wait_s)


def _fingerprint(request: Request) -> str:
    fields = [request.method, request.path, request.query, *(request.headers.get(name, "") for name in _FINGERPRINTED)]
    return hashlib.sha256("\n".join([*fields, hashlib.sha256(request.body).hexdigest()]).encode(errors="surrogatepass")).hexdigest()
