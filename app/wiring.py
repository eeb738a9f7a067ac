"""The composition root: settings → repository, predictor, application, shells. Nothing else connects things."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from app.allocator import keep_freed_memory
from app.settings import Settings, from_environment

if TYPE_CHECKING:
    from app.http.application import Application
    from app.http.asgi import AsgiApp, Runner
    from app.http.message import Request, Response
    from app.inference.repository import Repository
    from app.job_wiring import JobParts
    from app.observability import Observer
    from app.prediction import Predictor


class Program(NamedTuple):
    """Everything that one process needs, connected."""

    settings: Settings
    repository: "Repository"
    predictor: "Predictor"
    observer: "Observer"
    application: "Application"
    parts: "JobParts | None"


def open_repository(settings: Settings) -> "Repository":
    """The models of the settings, listed and not yet loaded.

    :raises SettingError: see :class:`app.inference.repository.Repository`.
    """
    from app.inference.repository import Repository, threads_for

    threads = threads_for(settings.memory_mb, settings.intra_op_threads)
    return Repository(Path(settings.model_dir), threads=threads, default_model=settings.default_model)


def wire(environ: Mapping[str, str] | None = None, *, started: float | None = None) -> Program:
    """Read the settings, load the models, connect the rest.

    :param started: ``time.perf_counter()`` when the process began to import us, for the cold start's figures.
    :raises SettingError: for a wrong setting; nothing is half ready then.
    """
    started = time.perf_counter() if started is None else started
    settings = from_environment(os.environ if environ is None else environ)
    repository = open_repository(settings)
    # Large files are hashed in threads while the imports below run.
    repository.hash_ahead(settings.preload_models)
    from app.http.application import Application
    from app.http.routes import Services
    from app.observability import ColdStart, Observer
    from app.prediction import Predictor

    repository.preload(settings.preload_models)
    # Not before: what loading frees is of no use to requests.
    keep_freed_memory()
    loaded = [entry.loaded for entry in repository.entries() if entry.loaded]
    load_s, warm_up_s = sum(model.load_s for model in loaded), sum(model.warm_up_s for model in loaded)
    observer = Observer(
        service=settings.service_name,
        level=settings.log_level,
        namespace=settings.metrics_namespace if settings.on_lambda else None,
        log_values=settings.log_values,
        # Elsewhere standard output belongs to what a command answers.
        stream=None if settings.on_lambda else sys.stderr,
        cold_start=ColdStart(max(0.0, time.perf_counter() - started - load_s - warm_up_s), load_s, warm_up_s),
    )
    for entry in repository.entries():
        if entry.failure:
            observer.note("model not loaded", model=entry.name, version=entry.version, reason=entry.failure)
            observer.count({"ModelLoadFailures": (1.0, "Count")}, {}, None)
    predictor = Predictor(repository, max_body_bytes=settings.max_body_bytes, max_result_bytes=settings.max_result_bytes)
    parts = None if settings.jobs == "off" else _job_parts(settings, repository, observer)
    services = Services(predictor, repository, parts.jobs if parts else None)
    return Program(settings, repository, predictor, observer, Application(services, observer), parts)


def _job_parts(settings: Settings, repository: "Repository", observer: "Observer") -> "JobParts":
    from app.job_wiring import JobParts

    return JobParts(settings, repository, observer)


def event_handler(program: Program, fallback: "Callable[[Request], Response]") -> Callable[[Any, Any], Any]:
    """The function that answers Lambda events.

    :param fallback: answers the HTTP requests that the fast lane does not.
    """
    from app.http.lambda_gateway import LambdaGateway, flavour_of
    from app.triggers import schedule
    from app.triggers.direct import DirectInvoke, is_direct
    from app.triggers.router import EventRouter, Trigger

    settings = program.settings
    margin_s = settings.deadline_margin_ms / 1000
    gateway = LambdaGateway(
        program.application, fallback=fallback, fast_lane=settings.http_fast_lane, base_path=settings.base_path, margin_s=margin_s
    )
    rows: list[Trigger] = [
        (lambda event: flavour_of(event) is not None, gateway),
        (is_direct, DirectInvoke(program.predictor, program.observer, margin_s=margin_s)),
        (schedule.is_ping, schedule.answer),
    ]

    def others() -> list[Trigger]:
        from app.event_wiring import EventParts

        return list(EventParts(settings, program.repository, program.observer, program.parts).triggers())

    return EventRouter(rows, others)


def runner(program: Program, *, always_inline: bool = False) -> "Runner":
    """What answers requests in an asyncio server."""
    from app.http.asgi import Runner

    return Runner(program.application, timeout_s=program.settings.request_timeout_s, always_inline=always_inline)


def asgi_app(program: Program) -> "AsgiApp":
    """The ASGI application of ``serve``: the fast lane, with FastAPI behind it."""
    from app.http.asgi import AsgiApp

    shared = runner(program)

    def fastapi_app() -> Any:
        from app.http.fastapi_app import create

        return create(shared)

    return AsgiApp(shared, fastapi_app, fast_lane=program.settings.http_fast_lane, base_path=program.settings.base_path)
