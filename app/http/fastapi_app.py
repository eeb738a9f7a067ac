"""The FastAPI shell: the route table as a FastAPI app, with its OpenAPI document and a documentation page without other hosts."""

import asyncio
import importlib.resources
from collections.abc import Awaitable, Callable

import fastapi
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException

import app
from app.codecs.json_output import dumps
from app.errors import NotFound
from app.http import openapi
from app.http.asgi import Runner, request_of
from app.http.message import Response
from app.http.routes import ROUTES

_ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css", "favicon-32x32.png": "image/png"}


def create(runner: Runner) -> fastapi.FastAPI:
    """Build the app from the route table. Add your own middleware to what this returns (and set HTTP_FAST_LANE=off)."""
    api = fastapi.FastAPI(
        title="onnx-lambda",
        version=app.__version__,
        description="Predictions from trained ONNX models.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # Relative to the document, so that a stage or a base path before it needs no setting.
        servers=[{"url": "./"}],
        # A slash too many is a 404 that says so: API Gateway would send the redirect to a place of its own.
        redirect_slashes=False,
    )

    async def endpoint(request: fastapi.Request) -> fastapi.Response:
        return _starlette(await runner.answer(request_of(request.scope), request.receive))

    for route in ROUTES:
        if not route.endpoint:
            continue
        api.add_api_route(
            route.path,
            endpoint,
            methods=[route.method],
            summary=route.summary,
            openapi_extra=openapi.operation(route),
            response_model=None,
            response_class=fastapi.Response,
            name=route.summary,
        )
    _add_pages(api, runner)
    # Unknown paths and methods get the same answer as in every other shell.
    api.add_exception_handler(HTTPException, _handler(runner))
    return api


def _handler(runner: Runner) -> Callable[[fastapi.Request, Exception], Awaitable[fastapi.Response]]:
    async def answer(request: fastapi.Request, error: Exception) -> fastapi.Response:  # noqa: ARG001
        return _starlette(await runner.answer(request_of(request.scope), None))

    return answer


def _add_pages(api: fastapi.FastAPI, runner: Runner) -> None:
    application = runner.application

    def make_document() -> Response:
        return Response(200, dumps(openapi.add_models(api.openapi(), application.services.repository)))

    def make_docs() -> Response:
        # Relative addresses, so that a stage or a base path before them needs no setting.
        page = get_swagger_ui_html(
            openapi_url="openapi.json",
            title="onnx-lambda",
            swagger_js_url="docs/swagger-ui-bundle.js",
            swagger_css_url="docs/swagger-ui.css",
            swagger_favicon_url="docs/favicon-32x32.png",
        )
        return Response(200, bytes(page.body), "text/html; charset=utf-8")

    def make_asset(name: str) -> Response:
        if name not in _ASSETS:
            raise NotFound(f"The page has no such file; it has {', '.join(_ASSETS)}.")
        content = importlib.resources.files("fastapi_swagger").joinpath("resources", name).read_bytes()
        return Response(200, content, _ASSETS[name], {"Cache-Control": "public, max-age=86400"})

    async def page(request: fastapi.Request, make: Callable[[], Response]) -> fastapi.Response:
        # In a thread, because the document loads the models that were not asked for yet.
        return _starlette(await asyncio.to_thread(application.page, request_of(request.scope), make))

    async def document(request: fastapi.Request) -> fastapi.Response:
        return await page(request, make_document)

    async def docs(request: fastapi.Request) -> fastapi.Response:
        return await page(request, make_docs)

    async def asset(asset: str, request: fastapi.Request) -> fastapi.Response:
        return await page(request, lambda: make_asset(asset))

    for path, endpoint in (("/openapi.json", document), ("/docs", docs), ("/docs/{asset}", asset)):
        api.add_api_route(path, endpoint, methods=["GET", "HEAD"], include_in_schema=False)


def _starlette(response: Response) -> fastapi.Response:
    # Starlette would add a charset to application/json's neighbours; the type is ours, to the letter.
    found = fastapi.Response(response.body, status_code=response.status, headers=response.headers)
    found.headers["content-type"] = response.content_type
    return found
