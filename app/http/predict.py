"""Predictions over HTTP: what the endpoints of every dialect share, and the project's own."""

from app.http.message import Request, Response
from app.http.routes import Services
from app.prediction import PredictionRequest, PredictionResponse
from app.report import Report


def predict(services: Services, request: Request, report: Report) -> Response:
    """Answer with the default model, the named one, or the named version of it; ``?outputs=a,b`` chooses outputs.

    :raises Problem: see :meth:`app.prediction.Predictor.answer`.
    """
    return respond(answer(services, request, report, dialect="predict", content_type=content_type_of(request)))


def answer(
    services: Services,
    request: Request,
    report: Report,
    *,
    dialect: str,
    content_type: str,
    model: str | None = None,
    any_accept: bool = False,
) -> PredictionResponse:
    """Send a request through the one door.

    :param model: instead of the one in the path.
    :param any_accept: for dialects whose answer's form does not follow ``Accept``.
    :raises Problem: see :meth:`app.prediction.Predictor.answer`.
    """
    return services.predictor.answer(
        PredictionRequest(
            body=request.body,
            model=model if model is not None else request.parameters.get("name"),
            version=request.parameters.get("version"),
            dialect=dialect,
            content_type=content_type,
            accept=None if any_accept else request.headers.get("accept"),
            outputs=_outputs(request.query) if request.query and dialect == "predict" else (),
            deadline=request.deadline,
        ),
        report,
    )


def respond(found: PredictionResponse) -> Response:
    """A prediction as a response."""
    return Response(200, found.body, found.content_type)


def content_type_of(request: Request) -> str:
    """The body's content type; many small clients send JSON under none at all."""
    return request.headers.get("content-type") or "application/json"


def _outputs(query: str) -> tuple[str, ...]:
    from urllib.parse import parse_qs

    return tuple(name for value in parse_qs(query).get("outputs", ()) for name in value.split(","))
