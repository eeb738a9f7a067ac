"""Predictions over HTTP in the project's own dialect."""

from app.errors import NotAcceptable
from app.http.message import Request, Response
from app.http.negotiation import preferred
from app.prediction import PredictionRequest, Predictor, Report


def predict(predictor: Predictor, request: Request, report: Report) -> Response:
    """Answer with the default model, the named one, or the named version of it.

    :raises Problem: see :meth:`app.prediction.Predictor.answer`.
    """
    if preferred(request.headers.get("accept"), ("application/json",)) is None:
        raise NotAcceptable("The answer is application/json; accept that or */*.")
    answer = predictor.answer(
        PredictionRequest(
            body=request.body,
            model=request.parameters.get("name"),
            version=request.parameters.get("version"),
            # curl -d and many small clients send JSON under no content type, or their library's default
            content_type=request.headers.get("content-type") or "application/json",
            deadline=request.deadline,
        ),
        report,
    )
    return Response(200, answer.body, answer.content_type)
