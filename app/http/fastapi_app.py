"""The FastAPI shell: the route table as a FastAPI app, with its OpenAPI document and a documentation page without other hosts."""

import asyncio
import importlib.resources
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import fastapi
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException

import app
from app.errors import NotFound
from app.http import openapi
from app.http.asgi import Runner, body_of, request_of
from app.http.message import Response
from app.http.routes import ROUTES

_ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css", "favicon-32x32.png": "image/png"}
_PARAMETERS = {
    "name": {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}, "description": "A model's name"},
    "version": {"name": "version", "in": "path", "required": True, "schema": {"type": "string"}, "description": "A model's version"},
}


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
        return _starlette(await runner.answer(request_of(request.scope), body_of(request.receive)))

    for route in ROUTES:
        if route.endpoint is None:
            continue
        names = [part[1:-1] for part in route.path.split("/") if part[:1] == "{"]
        extra: dict[str, Any] = {"parameters": [_PARAMETERS[name] for name in names], "responses": {"default": openapi.ERROR_RESPONSE}}
        if route.method == "POST":
            extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
        api.add_api_route(
            route.path,
            endpoint,
            methods=[route.method],
            summary=route.summary,
            openapi_extra=extra,
            response_model=None,
            name=route.summary,
        )
    _add_pages(api, runner)
    # Unknown paths and methods get the same answer as in every other shell.
    api.add_exception_handler(HTTPException, _handler(runner))
    return api


def _handler(runner: Runner) -> Callable[[fastapi.Request, Exception], Awaitable[fastapi.Response]]:
    async def answer(request: fastapi.Request, error: Exception) -> fastapi.Response:  # noqa: ARG001
        return _starlette(await runner.answer(request_of(request.scope), _nothing()))

    return answer


async def _nothing() -> AsyncIterator[bytes]:
    yield b""


def _add_pages(api: fastapi.FastAPI, runner: Runner) -> None:
    async def document() -> fastapi.Response:
        # In a thread, because it loads the models that were not asked for yet.
        described = await asyncio.to_thread(openapi.add_models, api.openapi(), runner.application.services.repository)
        return fastapi.responses.JSONResponse(described)

    async def docs() -> fastapi.Response:
        # Relative addresses, for the same reason.
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title="onnx-lambda",
            swagger_js_url="docs/swagger-ui-bundle.js",
            swagger_css_url="docs/swagger-ui.css",
            swagger_favicon_url="docs/favicon-32x32.png",
        )

    async def asset(asset: str, request: fastapi.Request) -> fastapi.Response:
        if asset not in _ASSETS:
            missing = NotFound(f"The page has no such file; it has {', '.join(_ASSETS)}.")
            return _starlette(runner.application.refuse(missing, request_of(request.scope)))
        content = importlib.resources.files("fastapi_swagger").joinpath("resources", asset).read_bytes()
        return fastapi.Response(content, media_type=_ASSETS[asset], headers={"Cache-Control": "public, max-age=86400"})

    for path, page in (("/openapi.json", document), ("/docs", docs), ("/docs/{asset}", asset)):
        api.add_api_route(path, page, methods=["GET", "HEAD"], include_in_schema=False)


def _starlette(response: Response) -> fastapi.Response:
    # Starlette would add a charset to application/json's neighbours; the type is ours, to the letter.
    found = fastapi.Response(response.body, status_code=response.status, headers=response.headers)
    found.headers["content-type"] = response.content_type
    return found
