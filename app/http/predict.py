"""Predictions over HTTP: what the routes of every dialect share, and the project's own."""

from app.codecs import BINARY, SIZE_HEADER, SIZE_PARAMETER
from app.http.message import Request, Response
from app.http.routes import Services
from app.prediction import PredictionRequest, PredictionResponse


def ask(services: Services, request: Request) -> PredictionRequest:  # noqa: ARG001 - the signature of every prediction route
    """The default model, the named one, or the named version of it; ``?outputs=a,b`` chooses outputs."""
    return asked(
        request,
        "predict",
        content_type_of(request),
        accept=request.headers.get("accept"),
        outputs=_outputs(request.query) if request.query else (),
    )


def asked(
    request: Request,
    dialect: str,
    content_type: str,
    *,
    model: str | None = None,
    version: str | None = None,
    accept: str | None = None,
    outputs: tuple[str, ...] = (),
    echo: tuple[tuple[str, str], ...] = (),
) -> PredictionRequest:
    """What a request asks of a model, which is the one in the path unless it is given."""
    parameters = request.parameters
    return PredictionRequest(
        body=request.body,
        model=parameters.get("name") if model is None else model,
        version=parameters.get("version") if version is None else version,
        dialect=dialect,
        content_type=content_type,
        accept=accept,
        outputs=outputs,
        id=request.id if dialect == "open_inference" else "",
        echo=echo,
        deadline=request.deadline,
    )


def respond(asked: PredictionRequest, found: PredictionResponse) -> Response:
    """A prediction as the response to what was asked: the same one, whenever it was answered."""
    if asked.dialect == "open_inference" and asked.accept != BINARY:
        _, _, size = found.content_type.partition(f";{SIZE_PARAMETER}=")
        # Whoever has the length in the media type has a proxy that drops headers.
        if size:
            return Response(200, found.body, "application/octet-stream", {SIZE_HEADER: size})
    return Response(200, found.body, found.content_type, dict(asked.echo))


def content_type_of(request: Request) -> str:
    """The body's content type; many small clients send JSON under none at all."""
    return request.headers.get("content-type") or "application/json"


def _outputs(query: str) -> tuple[str, ...]:
    from urllib.parse import parse_qs

    return tuple(name for value in parse_qs(query).get("outputs", ()) for name in value.split(","))
