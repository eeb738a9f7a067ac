"""Answers a request: route, endpoint, error shape, headers, log line, metrics. Every shell calls this, so they cannot drift."""

import time
from collections.abc import Callable, Mapping
from typing import Any, overload

from app.errors import BodyTooLarge, BodyTooSlow, DeadlineExceeded, InternalError, ModelNotReady, NotFound, Problem
from app.http import problems, routes
from app.http.message import REFERENCE, Request, Response
from app.http.predict import respond
from app.http.routes import Services
from app.observability import Observer
from app.report import Report
from app.tensors import largest


class Application:
    """Answers requests from the route table. Every shell calls this, so that they cannot drift."""

    def __init__(self, services: Services, observer: Observer) -> None:
        self.services = services
        self._observer = observer

    def is_fast(self, request: Request) -> bool:
        """Whether the request is answered here, without FastAPI. What no route takes is: its error needs no framework."""
        return routes.are_fast(request.path)

    @overload
    def handle(self, request: Request) -> Response: ...
    @overload
    def handle(self, request: Request, *, patient: bool) -> Response | None: ...
    def handle(self, request: Request, *, patient: bool = True) -> Response | None:
        """Answer a request from the route table. Nothing is raised: every failure becomes a response in the one error shape.

        :param patient: False: a deadline that came is None rather than an answer, and nothing is logged.
        """
        return self._respond(request, lambda report: self._answer(request, report), patient=patient)

    def size_check(self, request: Request) -> Callable[[int], None]:
        """What a shell calls with the size of a body, as announced and as it comes; it raises where that is too large."""
        if request.method == "PUT" and request.path.startswith("/uploads/"):
            from app.http import uploads

            return uploads.size_check(self.services, request)
        return self.services.predictor.check_size

    def page(self, request: Request, make: Callable[[], Response]) -> Response:
        """Answer with a page that a shell makes, with the headers, the log line and the error shape of every answer."""
        response = self._respond(request, lambda _: make())
        assert response is not None
        return response

    def refuse(self, problem: Problem, request: Request, *, seconds: float = 0.0) -> Response:
        """The response to a request that a shell could not read, after ``seconds``."""
        response = problems.render(problem, request)
        self._finish(request, response, Report(), seconds=seconds, code=problem.code)
        return response

    def _answer(self, request: Request, report: Report) -> Response:
        route = routes.find(request)
        if not route.endpoint:
            raise NotFound("This page is made by FastAPI alone.")
        if "content-encoding" in request.headers:
            from app.http.compression import inflate

            inflate(request, self.services.predictor.max_body_bytes)
        endpoint = routes.endpoint_of(route)
        if not route.dialect:
            response: Response = endpoint(self.services, request, report)
            return response
        report.dialect = route.dialect
        headers = request.headers
        if "prefer" in headers or "idempotency-key" in headers or "webhook-url" in headers or _refers(headers):
            from app.http import deferred

            return deferred.answer(self.services, request, route, report)
        # Here as well as at the door: some endpoints read the body for the model's name.
        self.services.predictor.check_size(len(request.body))
        asked = endpoint(self.services, request)
        return respond(asked, self.services.predictor.answer(asked, report))

    def _respond(self, request: Request, answer: Callable[[Report], Response], *, patient: bool = True) -> Response | None:
        started = time.perf_counter()
        report = Report(provisional=not patient)
        failure: BaseException | None = None
        code = ""
        try:
            response = answer(report)
            if report.dialect and request.headers.get("accept-encoding"):
                from app.http.compression import deflate

                deflate(request, response)
            if request.check_response is not None:
                request.check_response(response, largest(report.outputs))
        except Problem as problem:
            if not patient and isinstance(problem, DeadlineExceeded):
                return None
            response = problems.render(problem, request)
            code = problem.code
            report.reason = problem.detail if isinstance(problem, ModelNotReady) else ""
            failure = (problem.__cause__ or problem) if isinstance(problem, InternalError) else None
        except Exception as error:
            response = problems.unexpected(request)
            code, failure = "internal-error", error
        self._finish(request, response, report, seconds=time.perf_counter() - started, code=code, failure=failure)
        if request.method == "HEAD":
            # RFC 9110, section 9.3.2: the headers are those of GET
            response.headers["Content-Length"], response.body = str(len(response.body)), b""
        return response

    def _finish(
        self, request: Request, response: Response, report: Report, *, seconds: float, code: str, failure: BaseException | None = None
    ) -> None:
        """Add the headers every answer has, write the log line, count."""
        cold = self._observer.take_cold_start()
        headers = response.headers
        headers["X-Request-Id"] = request.id
        if response.status in {BodyTooSlow.status, BodyTooLarge.status}:
            # The rest of the body was not read, so the connection cannot be used again.
            headers["Connection"] = "close"
        if request.path == "/invocations":
            # Here rather than at the endpoint, which many an error never reaches.
            from app.http.sagemaker import echoed

            headers |= echoed(request)
        if report.model:
            headers["X-Model-Name"], headers["X-Model-Version"] = report.model, report.version
            headers["X-Model-Digest"] = report.digest
        phases = report.phases if cold is None else report.phases | cold.phases()
        if phases:
            headers["Server-Timing"] = ", ".join([f"{name};dur={value * 1000:.3f}" for name, value in phases.items()])
        report.tell(self._observer, lambda: _fields(request, response), seconds=seconds, code=code, failure=failure, cold=cold)


def _refers(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").lower().startswith(REFERENCE)


def _fields(request: Request, response: Response) -> dict[str, Any]:
    """What the log line says of the request and its answer."""
    found: dict[str, Any] = {"request_id": request.gateway_id or request.id, "correlation_id": request.id, "method": request.method}
    found |= {"path": request.path, "status": response.status}
    if request.function_id:
        # what Lambda's own START and REPORT lines name
        found["function_request_id"] = request.function_id
    return found
