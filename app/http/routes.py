"""Every route as data. An endpoint is a plain function of a request; no framework is known here."""

import functools
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from app.errors import MethodNotAllowed, NotFound, NotOffered
from app.http.message import Request, Response
from app.inference.repository import Repository
from app.prediction import PredictionRequest, Predictor
from app.report import Report

if TYPE_CHECKING:
    from app.jobs.service import Jobs


class Services(NamedTuple):
    """What endpoints may use. ``jobs``, called with a request's deadline, gives its caller's; None where predictions are not answered later."""

    predictor: Predictor
    repository: Repository
    jobs: "Callable[[float | None], Jobs] | None" = None

    def jobs_for(self, request: Request) -> "Jobs":
        """The jobs for a request, whose deadline they keep.

        :raises NotOffered: where predictions are not answered later.
        """
        if self.jobs is None:
            raise NotOffered("Predictions are not answered later here, nor uploads taken: JOBS is off.")
        return self.jobs(request.deadline)


Endpoint = Callable[[Services, Request, Report], Response]
# The endpoint of a prediction route: what it asks of the model; the answer is made from that, now or later.
Asking = Callable[[Services, Request], PredictionRequest]


class Route(NamedTuple):
    """One row. ``fast`` routes are answered without importing FastAPI.

    ``endpoint`` is ``file:function`` in this folder, imported at its first request: an :data:`Endpoint`, or an :data:`Asking` where the
    route has a ``dialect``; empty for pages that the FastAPI shell makes.
    """

    method: str
    path: str
    endpoint: str
    summary: str
    fast: bool = True
    # of prediction routes: the wire format, as codecs.DIALECTS names it
    dialect: str = ""
    # openai: errors as that service's clients read them
    errors: Literal["problem", "openai"] = "problem"


def _of_version(method: str, path: str, endpoint: str, summary: str, dialect: str = "", *, labels: bool = False) -> tuple[Route, ...]:
    """A route of a model's newest version, of the version that is named, and of the one with a label."""
    stem, tail = path.split("{name}")
    newest = Route(method, path, endpoint, summary, dialect=dialect)
    named = newest._replace(path=f"{stem}{{name}}/versions/{{version}}{tail}", summary=f"{summary}, one version")
    labelled = newest._replace(path=f"{stem}{{name}}/labels/{{label}}{tail}", summary=f"{summary}, the version with a label")
    return (newest, named, labelled) if labels else (newest, named)


ROUTES: tuple[Route, ...] = (
    Route("POST", "/predict", "predict:ask", "Predict with the default model", dialect="predict"),
    *_of_version("POST", "/models/{name}/predict", "predict:ask", "Predict with a model", "predict"),
    Route("GET", "/models", "models:index", "List the models"),
    *_of_version("GET", "/models/{name}", "models:show", "Describe a model"),
    Route("GET", "/health/live", "health:live", "Whether the process answers"),
    Route("GET", "/health/ready", "health:ready", "Whether the models can answer"),
    Route("GET", "/", "health:index", "What this is"),
    # Open Inference Protocol v2, with Triton's extensions that its clients call
    Route("GET", "/v2", "open_inference:server", "The server's name and extensions"),
    Route("GET", "/v2/", "open_inference:server", "The server's name and extensions (with a slash)"),
    Route("GET", "/v2/health/live", "open_inference:live", "Whether the server answers"),
    Route("GET", "/v2/health/ready", "open_inference:ready", "Whether the models can answer (Open Inference)"),
    Route("GET", "/v2/models", "open_inference:index", "The models' names"),
    Route("GET", "/v2/models/stats", "open_inference:statistics", "Statistics of all models"),
    Route("POST", "/v2/repository/index", "open_inference:repository_index", "Every version and its state"),
    Route("POST", "/v2/repository/models/{name}/load", "open_inference:load", "Refused: models are part of the image"),
    Route("POST", "/v2/repository/models/{name}/unload", "open_inference:unload", "Refused: models are part of the image (unload)"),
    *_of_version("GET", "/v2/models/{name}", "open_inference:metadata", "A model's inputs and outputs"),
    *_of_version("GET", "/v2/models/{name}/ready", "open_inference:model_ready", "Whether a model can answer"),
    *_of_version("GET", "/v2/models/{name}/config", "open_inference:config", "A model's configuration"),
    *_of_version("GET", "/v2/models/{name}/stats", "open_inference:statistics", "A model's statistics"),
    *_of_version("POST", "/v2/models/{name}/infer", "open_inference:ask", "Predict (Open Inference)", "open_inference"),
    # TensorFlow Serving, KServe v1, and OpenAI's list of models, which has the same path
    Route("GET", "/v1/models", "tensorflow_serving:index", "The models (KServe v1 and OpenAI)", errors="openai"),
    *_of_version(
        "GET", "/v1/models/{name}", "tensorflow_serving:status", "A model's state (TensorFlow Serving, KServe v1, OpenAI)", labels=True
    ),
    *_of_version(
        "GET", "/v1/models/{name}/metadata", "tensorflow_serving:metadata", "A model's signature (TensorFlow Serving)", labels=True
    ),
    *_of_version(
        "POST",
        "/v1/models/{name}:predict",
        "tensorflow_serving:ask",
        "Predict (TensorFlow Serving, KServe v1)",
        "tensorflow_serving",
        labels=True,
    ),
    Route("POST", "/v1/embeddings", "embeddings:ask", "Embeddings of texts (OpenAI)", dialect="openai", errors="openai"),
    # SageMaker's container contract
    Route("GET", "/ping", "sagemaker:ping", "Whether the container is healthy (SageMaker)"),
    Route("GET", "/execution-parameters", "sagemaker:execution_parameters", "How a batch transform should call (SageMaker)"),
    Route("POST", "/invocations", "sagemaker:ask", "Predict (SageMaker)", dialect="sagemaker"),
    # Predictions that are answered later
    Route("GET", "/jobs", "jobs:index", "The caller's own jobs, newest first"),
    Route("GET", "/jobs/{id}", "jobs:show", "A job's state"),
    Route("DELETE", "/jobs/{id}", "jobs:cancel", "Cancel a job"),
    Route("GET", "/jobs/{id}/result", "jobs:result", "A job's answer, as the synchronous call would have given it"),
    Route("GET", "/jobs/{id}/deliveries", "jobs:deliveries", "The attempts to send a job's webhook"),
    Route("POST", "/uploads", "uploads:create", "An address to upload a large request body to"),
    Route("PUT", "/uploads/{id}", "uploads:receive", "Upload a large request body (serve; on AWS it goes to S3)"),
    Route("GET", "/downloads/{id}", "uploads:send", "Download a large result (serve; on AWS it comes from S3)"),
    Route("GET", "/openapi.json", "", "The description of this interface", fast=False),
    Route("GET", "/docs", "", "The description as a page", fast=False),
    Route("GET", "/docs/{asset}", "", "The page's scripts and styles", fast=False),
)

_BY_LENGTH: dict[int, list[tuple[Route, list[tuple[str, str]]]]] = {}
for _route in ROUTES:
    # a segment as a literal, or as a parameter and the text after it
    _segments = [segment.partition("}")[::2] for segment in _route.path.split("/")]
    _BY_LENGTH.setdefault(len(_segments), []).append((_route, _segments))


def _fits(pattern: list[tuple[str, str]], parts: list[str]) -> bool:
    for (want, suffix), got in zip(pattern, parts, strict=True):
        if want[:1] != "{":
            if want != got:
                return False
        # A colon parts a name from a verb; no name has one.
        elif not got.endswith(suffix) or not (value := got.removesuffix(suffix)) or ":" in value:
            return False
    return True


@functools.lru_cache(maxsize=512)
def matching(path: str) -> tuple[Route, ...]:
    """The routes of a path, whatever their method. Model names are compared with nothing here: any segment will do.

    Where a route names a segment itself, routes that take any segment there do not count.
    """
    parts = path.split("/")
    found = [route for route, pattern in _BY_LENGTH.get(len(parts), ()) if _fits(pattern, parts)]
    fewest = min((route.path.count("{") for route in found), default=0)
    return tuple(route for route in found if route.path.count("{") == fewest)


@functools.lru_cache(maxsize=512)
def are_fast(path: str) -> bool:
    """Whether every route of a path is a fast one, as none at all is."""
    return all(route.fast for route in matching(path))


@functools.cache
def endpoint_of(route: Route) -> Any:
    """The function of a route, an :data:`Endpoint` or an :data:`Asking`; its file is imported at the first request for it."""
    file, _, name = route.endpoint.partition(":")
    return getattr(importlib.import_module(f"app.http.{file}"), name)


def find(request: Request) -> Route:
    """The route of a request; its path parameters are set on the request.

    :raises NotFound: no route has this path.
    :raises MethodNotAllowed: routes have this path for other methods.
    """
    found = matching(request.path)
    if not found:
        from app.http.hints import for_path

        raise NotFound(
            f"There is nothing at this path; GET / lists what there is.{for_path(request.path, [route.path for route in ROUTES], matching)}"
        )
    # RFC 9110, section 9.3.2: HEAD is GET without the body.
    method = "GET" if request.method == "HEAD" else request.method
    for route in found:
        if route.method == method:
            if "{" in route.path:
                request.parameters = dict(_parameters(route.path, request.path))
            return route
    allowed = [route.method for route in found]
    allowed += ["HEAD"] * ("GET" in allowed)
    from app.http.hints import for_method

    hint = for_method(request.method, request.path, matching)
    raise MethodNotAllowed(f"This path takes {' or '.join(allowed)}.{hint}", headers={"Allow": ", ".join(allowed)})


@functools.lru_cache(maxsize=512)
def _parameters(pattern: str, path: str) -> tuple[tuple[str, str], ...]:
    parts = zip(pattern.split("/"), path.split("/"), strict=True)
    return tuple((want[1 : want.index("}")], got[: len(got) - len(want) + want.index("}") + 1]) for want, got in parts if want[:1] == "{")
