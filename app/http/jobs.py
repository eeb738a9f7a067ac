"""Jobs over HTTP: look, list, read the result, cancel. A job of somebody else is answered as one that does not exist."""

import re
from typing import Any
from urllib.parse import parse_qs

from app.codecs.json_output import dumps
from app.codecs.media_types import accepts
from app.errors import Invalid, Problem, ResultTooLarge
from app.http import problems
from app.http.message import Request, Response
from app.http.predict import respond
from app.http.routes import Services
from app.jobs.delivery import Delivery
from app.jobs.errors import JobCancelled, JobExpired, JobUnfinished
from app.jobs.job import Job, Payload
from app.jobs.notices import delivery_id, links_of, time_text
from app.jobs.service import Jobs
from app.jobs.stores import stored_request
from app.prediction import PredictionResponse
from app.report import Report

RETRY_AFTER_S = "1"
_LINK_S = 300
_PAGE, _LARGEST_PAGE = 20, 100
# as app.jobs.backend.mark_of writes it
_MARK = re.compile(r"[0-9]{10}\.[0-9]{6}-[0-9a-f]{32}")


def index(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001 - the signature of every endpoint
    """The caller's own jobs, newest first: ``?limit=20&after=…``, the mark that the page before answered as ``next``.

    :raises Invalid: for a limit that is none, a mark that no page has answered, or any other parameter.
    :raises NotOffered: to callers that nobody can tell from others.
    """
    query = {name: values[-1] for name, values in parse_qs(request.query, keep_blank_values=True).items()}
    if unknown := sorted(query.keys() - {"limit", "after"}):
        raise Invalid(f"/jobs takes limit and after, but not '{unknown[0][:64]}'.")
    limit = query.get("limit", str(_PAGE))
    if not (limit.isascii() and limit.isdigit() and len(limit) < 4 and 0 < int(limit) <= _LARGEST_PAGE):
        raise Invalid(f"limit takes a whole number from 1 to {_LARGEST_PAGE}.")
    after = query.get("after", "")
    if after and not _MARK.fullmatch(after):
        raise Invalid("after takes what the page before answered as next.")
    found, mark = services.jobs_for(request).page(request.caller, int(limit), after)
    body: dict[str, Any] = {"jobs": [job_object(job, request) for job in found], "next": mark or None}
    return Response(200, dumps(body), headers={"Cache-Control": "no-store"})


def show(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001
    """A job's state.

    :raises UnknownJob: see :meth:`app.jobs.service.Jobs.show`.
    """
    return describe(services.jobs_for(request).show(request.caller, request.parameters["id"]), request)


def result(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001
    """A job's answer: the bytes, content type and header fields of the synchronous call, be it a prediction or an error.

    :raises UnknownJob: see :meth:`app.jobs.service.Jobs.show`.
    :raises JobUnfinished: where there is none yet; :class:`JobCancelled` or :class:`JobExpired` where there never will be.
    """
    jobs = services.jobs_for(request)
    return result_of(jobs, jobs.show(request.caller, request.parameters["id"]), request)


def cancel(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001
    """Cancel a job.

    :raises UnknownJob: see :meth:`app.jobs.service.Jobs.show`.
    :raises JobFinished: where it has ended.
    """
    return describe(services.jobs_for(request).cancel(request.caller, request.parameters["id"]), request)


def deliveries(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001
    """The attempts to send the job's webhook.

    :raises UnknownJob: see :meth:`app.jobs.service.Jobs.show`.
    """
    jobs = services.jobs_for(request)
    job = jobs.show(request.caller, request.parameters["id"])
    kept = jobs.stores.backend.read(Delivery, delivery_id(job.id))
    found = [] if kept is None else [_delivery_object(kept)]
    return Response(200, dumps({"deliveries": found}), headers={"Cache-Control": "no-store"})


def describe(job: Job, request: Request, *, status: int = 200) -> Response:
    """A job as a response."""
    headers = {"Cache-Control": "no-store"} | ({} if job.is_finished else {"Retry-After": RETRY_AFTER_S})
    return Response(status, dumps(job_object(job, request)), headers=headers)


def job_object(job: Job, request: Request) -> dict[str, Any]:
    """What a caller is told of a job."""
    rows = job.request.get("rows", 0)
    found: dict[str, Any] = {
        "id": job.id,
        "status": job.status,
        "model": job.model,
        "version": job.version,
        "created": time_text(job.created),
        "expires": time_text(job.expires),
        "finished": time_text(job.finished) if job.is_finished else None,
        "attempts": job.attempt,
        # A run is one step for all of its rows.
        "progress": {"rows": rows, "done": rows if job.status == "succeeded" else 0},
        "links": links_of(job, request.base),
    }
    if job.error is not None:
        found["error"] = job.error
    if job.webhook is not None:
        found["webhook"] = {"url": job.webhook.url, "label": job.webhook.label}
    return found


def path_of(job: Job, request: Request) -> str:
    """Where a job is found."""
    return links_of(job, request.base)["self"]


def result_of(jobs: Jobs, job: Job, request: Request) -> Response:
    """The end of a job as the synchronous call would have answered it.

    :raises Problem: see :func:`result`.
    """
    if job.status == "cancelled":
        raise JobCancelled("The job was cancelled, so that it has no result.")
    if job.status == "expired":
        raise JobExpired("Nobody answered the job in time, so that it has no result.")
    if job.status == "failed":
        return _failure(job, request)
    if job.result is None:
        raise JobUnfinished(f"The job is {job.status}; its result comes later.", headers={"Retry-After": RETRY_AFTER_S})
    if job.result.size > jobs.max_response_bytes:
        return _elsewhere(jobs, job.result, request)
    answer = PredictionResponse(jobs.result(job), job.result.content_type)
    response = respond(stored_request(job, b"", None), answer)
    response.headers |= _model_of(job)
    if request.headers.get("accept-encoding"):
        from app.http.compression import deflate

        deflate(request, response)
    try:
        if request.check_response is not None:
            request.check_response(response, "result")
    except ResultTooLarge:
        return _elsewhere(jobs, job.result, request)
    return response


def _elsewhere(jobs: Jobs, result: Payload, request: Request) -> Response:
    url = jobs.stores.storage.link(result.key, seconds=_LINK_S, content_type=result.content_type)
    return Response(303, headers={"Cache-Control": "no-store", "Location": url if "://" in url else request.base + url})


def _failure(job: Job, request: Request) -> Response:
    """The error that the synchronous call would have answered, in the shape and with the header fields that it would have had."""
    asked = stored_request(job, b"", None)
    problem = _kept_problem(job.error or {})
    response = problems.render(problem, request, openai=asked.dialect == "openai")
    if asked.dialect != "openai" and problems.PROBLEM_JSON in (asked.accept or "") and accepts(asked.accept or "", problems.PROBLEM_JSON):
        response.content_type = problems.PROBLEM_JSON
    response.headers |= {**_model_of(job), **dict(asked.echo)}
    return response


def _kept_problem(kept: dict[str, Any]) -> Problem:
    """The failure of a job, as it was when it happened."""
    # OpenAI's clients are told of every request that is read and refused by one status.
    problem = (Invalid if kept.get("status") == Invalid.status else Problem)(str(kept.get("detail", "")), pointer=kept.get("pointer"))
    # of this one failure, where every other error has them of its class
    problem.status = int(kept.get("status", 500))  # type: ignore[misc]
    problem.code = str(kept.get("code", "problem"))  # type: ignore[misc]
    problem.title = str(kept.get("title", ""))  # type: ignore[misc]
    return problem


def _model_of(job: Job) -> dict[str, str]:
    return {"X-Model-Name": job.model, "X-Model-Version": job.version, "X-Model-Digest": job.digest}


def _delivery_object(kept: Delivery) -> dict[str, Any]:
    attempts = [
        {"at": time_text(attempt.at), "outcome": attempt.outcome, "duration_ms": round(attempt.duration_s * 1000)}
        for attempt in kept.attempts
    ]
    return {
        "webhook_id": kept.id,
        "url": kept.url,
        "label": kept.label,
        "status": kept.status,
        "attempts": attempts,
        "next": None if kept.is_done else time_text(kept.next_at),
    }
