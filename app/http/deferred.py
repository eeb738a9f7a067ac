"""Prediction routes beyond a plain answer: later (``Prefer: respond-async``), once (``Idempotency-Key``), of an upload (a reference)."""

import hashlib
import time
from collections.abc import Callable

from app.codecs import media_types
from app.errors import DeadlineExceeded, Invalid, Problem, ResultTooLarge, StoreUnavailable
from app.http import jobs as pages
from app.http import problems, uploads
from app.http.message import REFERENCE, Request, Response
from app.http.predict import respond
from app.http.preferences import idempotency_key_of, preferences_of, webhook_of
from app.http.routes import Route, Services, endpoint_of
from app.jobs.errors import KeyInUse, UnknownJob
from app.jobs.idempotency import Answer, Idempotency, Key, in_use
from app.jobs.job import Job, Payload
from app.jobs.reservation import Reservation
from app.jobs.service import Jobs
from app.report import Report

# A synchronous call has no other deadline where its shell sets none; after its lease a key can be taken anew.
_LEASE_S = 60.0
# Between the end of a run and the end of its caller's patience its answer is kept.
_AFTER_RUN_S = 5.0
# What of a wait is left for the answer.
_BEFORE_DEADLINE_S = 0.5
_FINGERPRINTED = (
    "content-type",
    "accept",
    "inference-header-content-length",
    "x-amzn-sagemaker-target-model",
    "webhook-url",
    "webhook-id",
)


def answer(services: Services, request: Request, route: Route, report: Report) -> Response:
    """Answer a request of a prediction route that has one of these fields.

    :raises Problem: for whatever goes wrong that a caller should hear of.
    """
    refers = media_types.parse(request.headers.get("content-type", ""))[0] == REFERENCE
    if services.jobs is None and not refers and "webhook-url" not in request.headers:
        # RFC 7240, section 2: a preference that is not supported is passed over.
        return _answer_now(services, request, route, report)
    jobs = services.jobs_for(request)
    prefers, webhook, key = preferences_of(request), webhook_of(request), idempotency_key_of(request)
    if webhook is not None and not prefers.respond_async:
        raise Invalid("Webhook-Url is for predictions that are answered later: send Prefer: respond-async with it.")
    mine = Key(request.caller, key, _fingerprint(request)) if key is not None else None
    # Before the upload is read, which may be gone by the time that a request is repeated.
    kept = Idempotency(jobs.stores).look_up(mine) if mine else None
    if kept is not None:
        return _repeated(jobs, request, kept)
    source = uploads.resolve(jobs, request) if refers else None
    if refers:
        services = services._replace(predictor=jobs.predictor)
    # Here as well as at the door: some endpoints read the body for the model's name.
    services.predictor.check_size(len(request.body))
    if prefers.respond_async:
        return _answer_later(services, jobs, request, route, report, key=mine, source=source)

    def answer_now() -> Response:
        response = _answer_now(services, request, route, report)
        if refers and len(response.body) > jobs.max_response_bytes:
            raise ResultTooLarge(
                f"The result has {len(response.body)} bytes, but at most {jobs.max_response_bytes} can be answered (MAX_RESULT_BYTES). "
                "Send Prefer: respond-async: the result of a job can be downloaded."
            )
        return response

    return answer_now() if mine is None else _answer_once(mine, jobs, request, answer_now, report)


def _answer_now(services: Services, request: Request, route: Route, report: Report) -> Response:
    asked = endpoint_of(route)(services, request)
    return respond(asked, services.predictor.answer(asked, report))


def _answer_once(key: Key, jobs: Jobs, request: Request, answer_now: Callable[[], Response], report: Report) -> Response:
    idempotency = Idempotency(jobs.stores)
    lease_s = max(0.0, request.deadline - time.monotonic()) if request.deadline is not None else _LEASE_S
    mine = idempotency.begin(key, lease_s + _AFTER_RUN_S)
    try:
        response = answer_now()
    except Problem as problem:
        if problem.retryable or problem.status >= 500 or isinstance(problem, DeadlineExceeded):
            idempotency.give_up(mine)
        else:
            idempotency.finish(mine, _kept(problems.render(problem, request), report))
        raise
    except BaseException:
        idempotency.give_up(mine)
        raise
    idempotency.finish(mine, _kept(response, report))
    return response


def _kept(response: Response, report: Report) -> Answer:
    headers = dict(response.headers)
    if report.model:
        headers |= {"X-Model-Name": report.model, "X-Model-Version": report.version, "X-Model-Digest": report.digest}
    return Answer(response.status, response.body, response.content_type, tuple(headers.items()))


def _answer_later(
    services: Services, jobs: Jobs, request: Request, route: Route, report: Report, *, key: Key | None, source: Payload | None
) -> Response:
    """Submit the request as a job, or find what was submitted under the key meanwhile."""
    idempotency = Idempotency(jobs.stores)
    try:
        job = jobs.submit(
            endpoint_of(route)(services, request),
            report,
            owner=request.caller,
            webhook=webhook_of(request),
            source=source,
            reserve=(lambda job_id: idempotency.change(key, job_id=job_id)) if key else None,
        )
    except KeyInUse:
        job = None
    if job is not None:
        return _of_job(jobs, request, job)
    # The same key came twice at once, and the other was first.
    kept = idempotency.look_up(key) if key else None
    if kept is None:
        raise in_use()
    return _repeated(jobs, request, kept)


def _repeated(jobs: Jobs, request: Request, kept: Reservation) -> Response:
    """What came of the first request with the key."""
    if not kept.is_done:
        raise in_use()
    if not kept.job_id:
        found = Idempotency(jobs.stores).repeat(kept)
        response = Response(found.status, found.body, found.content_type, dict(found.headers))
    else:
        try:
            job = jobs.show(request.caller, kept.job_id)
        except UnknownJob as unknown:
            raise UnknownJob("The job of this Idempotency-Key is kept no longer; make a new key to predict again.") from unknown
        if preferences_of(request).respond_async:
            response = _of_job(jobs, request, job)
        elif job.is_finished:
            response = pages.result_of(jobs, job, request)
        else:
            # A caller who does not ask for it is never answered 202.
            raise in_use()
    response.headers["Idempotency-Replayed"] = "true"
    return response


def _of_job(jobs: Jobs, request: Request, job: Job) -> Response:
    """The job as an answer: 202, or its result where it has ended within the time that the caller waits."""
    wait_s, applied = preferences_of(request).wait_s, "respond-async"
    if wait_s is not None:
        if request.deadline is not None:
            wait_s = max(0.0, min(wait_s, request.deadline - time.monotonic() - _BEFORE_DEADLINE_S))
        applied = f"respond-async, wait={int(wait_s)}"
        try:
            job = job if job.is_finished else jobs.wait(request.caller, job.id, wait_s)
            if job.is_finished:
                response = pages.result_of(jobs, job, request)
                response.headers |= {"Preference-Applied": applied, "Content-Location": pages.path_of(job, request)}
                return response
        except StoreUnavailable as error:
            # The job is kept, which the caller must hear: without its address he would send it again.
            jobs.stores.note("a job could not be waited for", error)
    response = pages.describe(job, request, status=202)
    response.headers |= {"Location": pages.path_of(job, request), "Preference-Applied": applied}
    response.headers.setdefault("Retry-After", pages.RETRY_AFTER_S)
    return response


def _fingerprint(request: Request) -> str:
    fields = [request.method, request.path, request.query, *(request.headers.get(name, "") for name in _FINGERPRINTED)]
    return hashlib.sha256("\n".join([*fields, hashlib.sha256(request.body).hexdigest()]).encode(errors="surrogatepass")).hexdigest()
