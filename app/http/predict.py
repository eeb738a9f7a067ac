"""Predictions over HTTP in the project's own dialect."""

from app.errors import NotAcceptable, UnsupportedContentType
from app.http.message import Request, Response
from app.http.negotiation import accepts
from app.prediction import PredictionRequest, Predictor
from app.report import Report


def predict(predictor: Predictor, request: Request, report: Report) -> Response:
    """Answer with the default model, the named one, or the named version of it.

    :raises Problem: see :meth:`app.prediction.Predictor.answer`.
    """
    if not accepts(request.headers.get("accept"), "application/json"):
        raise NotAcceptable("The answer is application/json; accept that or */*.")
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in {"", "identity"}:
        # RFC 9110, section 12.5.3: the refusal says what would do
        raise UnsupportedContentType(f"The body is encoded as '{coding[:40]}'; send it as it is.", headers={"Accept-Encoding": "identity"})
    answer = predictor.answer(
        PredictionRequest(
            body=request.body,
            model=request.parameters.get("name"),
            version=request.parameters.get("version"),
            # many small clients send JSON under no content type at all
            content_type=request.headers.get("content-type") or "application/json",
            deadline=request.deadline,
        ),
        report,
    )
    return Response(200, answer.body, answer.content_type)
