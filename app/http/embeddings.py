"""``POST /v1/embeddings`` (OpenAI)."""

from app.codecs import reader_of
from app.codecs.embeddings import model_of
from app.errors import Invalid, UnknownModel
from app.http.message import Request
from app.http.predict import asked, content_type_of
from app.http.routes import Services
from app.prediction import PredictionRequest


def ask(services: Services, request: Request) -> PredictionRequest:
    """One vector for each text or list of token ids, from the model that the body names.

    :raises Invalid: when it names none.
    :raises UnknownModel: with the place of its name.
    """
    content_type = content_type_of(request)
    # Before the body is read for the name: that it is of another type tells more than that it is no JSON.
    reader_of("openai", content_type)
    model = model_of(request.body)
    if not model:
        raise Invalid(f'"model" must name a model; the models are {", ".join(services.repository.names())}.', pointer="/model")
    try:
        services.repository.entry(model)
    except UnknownModel as problem:
        problem.pointer = "/model"
        raise
    return asked(request, "openai", content_type, model=model)
