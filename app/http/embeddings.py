"""``POST /v1/embeddings`` (OpenAI)."""

from app.codecs import reader_of
from app.codecs.embeddings import model_of
from app.errors import Invalid, UnknownModel
from app.http.message import Request, Response
from app.http.predict import content_type_of, respond
from app.http.routes import Services
from app.prediction import PredictionRequest
from app.report import Report

_DIALECT = "openai"


def create(services: Services, request: Request, report: Report) -> Response:
    """One vector for each text or list of token ids, from the model that the body names.

    :raises Problem: see :meth:`app.prediction.Predictor.answer`.
    """
    report.dialect = _DIALECT
    content_type = content_type_of(request)
    # Before the body is read for the name: these two failures tell more than a body that is no JSON.
    services.predictor.check_size(len(request.body))
    reader_of(_DIALECT, content_type)
    model = model_of(request.body)
    if not model:
        raise Invalid(f'"model" must name a model; the models are {", ".join(services.repository.names())}.', pointer="/model")
    asked = PredictionRequest(request.body, model=model, dialect=_DIALECT, content_type=content_type, deadline=request.deadline)
    try:
        return respond(services.predictor.answer(asked, report))
    except UnknownModel as problem:
        problem.pointer = "/model"
        raise
