"""SageMaker's container contract: ``/ping``, ``/invocations`` and ``/execution-parameters``.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html and, for transform jobs,
your-algorithms-batch-code.html beside it.
"""

from app.codecs import BINARY, media_types
from app.codecs.json_output import dumps
from app.errors import ModelNotReady, Unreadable
from app.http.health import expected
from app.http.message import Request, Response
from app.http.predict import asked, content_type_of
from app.http.routes import Services
from app.inference.repository import RETRY_S, threads_for
from app.prediction import PredictionRequest
from app.report import Report

# What a caller may send along and reads again in the answer, and its most characters:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
_ECHOED = {"X-Amzn-SageMaker-Inference-Id": 64, "X-Amzn-SageMaker-Custom-Attributes": 1024}
_MIB = 1024 * 1024
# The most megabytes that a transform job has under way at once, and what it sends in one request by default:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTransformJob.html
_TRANSFORM_MB = 100
_PAYLOAD_MB = 6


def ping(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001 - the signature of every endpoint
    """Answer at once, with nothing: what was to be loaded at the start is, and the rest is loaded when it is asked for.

    :raises ModelNotReady: when the default model, or without one any that was to be loaded at the start, could not be.
    """
    for entry in expected(services.repository):
        if entry.failure:
            raise ModelNotReady(f"Model '{entry.name}' could not be loaded: {entry.failure}", headers={"Retry-After": str(RETRY_S)})
    return Response(200, content_type="text/plain")


def execution_parameters(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001
    """How a transform job should call: as many requests at once as there are CPUs, as large as both sides take."""
    concurrent = max(1, min(threads_for(0, 0), _TRANSFORM_MB // _PAYLOAD_MB))
    payload = max(1, min(services.predictor.max_body_bytes // _MIB, _TRANSFORM_MB // concurrent))
    return Response(200, dumps({"MaxConcurrentTransforms": concurrent, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": payload}))


def ask(services: Services, request: Request) -> PredictionRequest:  # noqa: ARG001
    """The default model, or the one that ``X-Amzn-SageMaker-Target-Model`` names.

    :raises Unreadable: for an attribute that SageMaker itself would not pass on.
    """
    for name, longest in _ECHOED.items():
        if not _is_echoed(request.headers.get(name.lower(), ""), longest):
            raise Unreadable(f"{name} takes at most {longest} visible characters of US-ASCII.")
    # Multi-model endpoints name the archive that the model came in.
    target = request.headers.get("x-amzn-sagemaker-target-model", "").removesuffix(".tar.gz") or None
    content_type = content_type_of(request)
    echo = tuple(echoed(request).items())
    if media_types.parse(content_type)[0] == BINARY:
        # In binary the request says itself which of its outputs come back in binary.
        return asked(request, "open_inference", content_type, model=target, accept=BINARY, echo=echo)
    return asked(request, "sagemaker", content_type, model=target, accept=request.headers.get("accept"), echo=echo)


def echoed(request: Request) -> dict[str, str]:
    """What SageMaker hands on only if the container's answer carries it, be it a prediction or an error."""
    return {
        name: value
        for name, longest in _ECHOED.items()
        if (value := request.headers.get(name.lower())) is not None and _is_echoed(value, longest)
    }


def _is_echoed(value: str, longest: int) -> bool:
    return len(value) <= longest and value.isascii() and value.isprintable()
