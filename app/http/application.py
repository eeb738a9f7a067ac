"""Answers a request: route, endpoint, error shape, headers, log line, metrics. Every shell calls this, so they cannot drift."""

import time
from typing import overload

from app.errors import BodyTooLarge, BodyTooSlow, DeadlineExceeded, Problem
from app.http import problems, routes
from app.http.message import Request, Response
from app.http.routes import Services
from app.observability import Observer
from app.prediction import Report


class Application:
    """Answers requests from the route table. Every shell calls this, so that they cannot drift."""

    def __init__(self, services: Services, observer: Observer) -> None:
        self.services = services
        self._observer = observer

    def is_fast(self, request: Request) -> bool:
        """Whether the request is answered here, without FastAPI. What no route takes is: its error needs no framework."""
        return all(route.fast for route in routes.matching(request.path))

    @overload
    def handle(self, request: Request) -> Response: ...
    @overload
    def handle(self, request: Request, *, patient: bool) -> Response | None: ...
    def handle(self, request: Request, *, patient: bool = True) -> Response | None:
        """Answer a request. Nothing is raised: every failure becomes a response in the one error shape.

        :param patient: False: a deadline that came is None rather than an answer, and nothing is logged.
        """
        started = time.perf_counter()
        report = Report()
        failure: BaseException | None = None
        code = ""
        try:
            route = routes.find(request)
            response = route.endpoint(self.services, request, report) if route.endpoint else Response(204)
            if request.check_response is not None:
                request.check_response(response)
        except Problem as problem:
            if not patient and isinstance(problem, DeadlineExceeded):
                return None
            response = problems.render(problem, request)
            code = problem.code
            failure = (problem.__cause__ or problem) if problem.status >= 500 and problem.status not in {503, 504} else None
        except Exception as error:
            response = problems.unexpected(request)
            code, failure = "internal-error", error
        self._finish(request, response, report, seconds=time.perf_counter() - started, code=code, failure=failure)
        if request.method == "HEAD":
            # RFC 9110, section 9.3.2: the headers are those of GET
            response.headers["Content-Length"], response.body = str(len(response.body)), b""
        return response

    def refuse(self, problem: Problem, request: Request) -> Response:
        """The response to a request that a shell could not read."""
        response = problems.render(problem, request)
        self._finish(request, response, Report(), code=problem.code)
        return response

    def _finish(
        self, request: Request, response: Response, report: Report, *, seconds: float = 0.0, code: str, failure: BaseException | None = None
    ) -> None:
        """Add the headers every answer has, write the log line, count."""
        cold = self._observer.take_cold_start()
        headers = response.headers
        headers["X-Request-Id"] = request.id
        if response.status in {BodyTooSlow.status, BodyTooLarge.status}:
            # The rest of the body was not read, so the connection cannot be used again.
            headers["Connection"] = "close"
        if report.model:
            headers["X-Model-Name"], headers["X-Model-Version"] = report.model, report.version
            headers["X-Model-Digest"] = report.digest
        phases = report.phases | (cold.phases() if cold else {})
        if phases:
            headers["Server-Timing"] = ", ".join(f"{name};dur={value * 1000:.3f}" for name, value in phases.items())
        if self._observer.writes(failure):
            fields = {
                "request_id": request.gateway_id or request.id,
                "correlation_id": request.id,
                "method": request.method,
                "path": request.path,
                "status": response.status,
                "duration_ms": round(seconds * 1000, 3),
                "cold_start": cold is not None,
            }
            self._observer.request(fields | report.fields(code), failure)
        if report.dialect and self._observer.counts:
            self._observer.count(report.measures(seconds, code), report.dimensions(code), cold)
