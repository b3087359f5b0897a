"""A function's application: its routes, the edge around them, and problem+json for every error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from shared import cold_start, snapshot, telemetry
from shared.http import schedule
from shared.http.edge import Edge
from shared.http.problems import (
    MEDIA_TYPE,
    BodyTooLarge,
    Internal,
    MalformedJson,
    MethodNotAllowed,
    NotFound,
    Problem,
    ValidationFailed,
    document,
)
from shared.settings import Platform, settings

_MOST_FIELD_ERRORS: Final = 20  # enough to mend a form by; a hostile body does not choose the answer's length


def create_app(name: str, router: APIRouter, *, needs: tuple[str, ...] = (), scheduled: str | None = None) -> FastAPI:
    """The ASGI application of the function `name`; its document is at `/<name>/openapi.json`.

    `needs` are the settings that it cannot serve without. Raise SettingsInvalid when a deployed one is unset.
    `scheduled` is the path that the platform asks for every minute.
    """
    if settings().deployed:
        settings().require("identity_hmac_key", *needs)
    app = FastAPI(
        title=f"Digis {name}",
        version="1",
        openapi_url=f"/{name}/openapi.json",
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
        redirect_slashes=False,  # a path is the contract's or it is a 404
        exception_handlers={
            Problem: _on_problem,
            HTTPException: _on_http_exception,
            RequestValidationError: _on_validation_error,
        },
    )
    app.state.scheduled = scheduled
    app.add_middleware(Edge)
    app.router.routes.extend(router.routes)  # not include_router: it matches every request in a second, lazy layer
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # the way FastAPI documents
    return app


def lambda_entry(app: FastAPI) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """The same application behind API Gateway's HTTP API. Mangum is built at init on Lambda, elsewhere when called."""
    adapter: list[Callable[[dict[str, Any], Any], dict[str, Any]]] = []

    def prepare() -> None:
        # Vercel and a laptop's server do not need it.
        from mangum import Mangum  # noqa: PLC0415
        from mangum.adapter import DEFAULT_TEXT_MIME_TYPES  # noqa: PLC0415

        adapter.append(Mangum(app, lifespan="off", text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, MEDIA_TYPE]))

    def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        if not adapter:
            prepare()
        if app.state.scheduled and schedule.is_scheduled(event):
            return schedule.run(adapter[0], app.state.scheduled, event, context)
        return adapter[0](event, context)

    if settings().platform is Platform.LAMBDA:
        prepare()
        snapshot.register()
    cold_start.end()
    return lambda_handler


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _answer(request, error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's and FastAPI's own refusals, in our words."""
    assert isinstance(error, HTTPException)
    if error.status_code == NotFound.status:
        return _answer(request, NotFound())
    if error.status_code == MethodNotAllowed.status:
        return _answer(request, MethodNotAllowed(headers={"Allow": _allowed_methods(request)}))
    if error.status_code == BodyTooLarge.status:
        return _answer(request, BodyTooLarge())
    if error.status_code == MalformedJson.status:
        return _answer(request, MalformedJson())
    return _answer(request, Internal())


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    if any(found["type"] == "json_invalid" for found in errors):
        return _answer(request, MalformedJson())
    fields = [
        {"field": ".".join(str(part) for part in found["loc"]), "message": found["msg"]}
        for found in errors[:_MOST_FIELD_ERRORS]
    ]
    return _answer(request, ValidationFailed(errors=fields))


def _answer(request: Request, problem: Problem) -> Response:
    record = telemetry.current()
    body = document(problem, path=request.scope["path"], request_id=record.request_id if record else "")
    return Response(body, problem.status, problem.headers, MEDIA_TYPE)


def _allowed_methods(request: Request) -> str:
    """The methods of every route at this path; Starlette names only the first route's."""
    methods: set[str] = set()
    for route in request.app.routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    if "GET" in methods:
        methods.add("HEAD")
    return ", ".join(sorted(methods))


def _openapi(app: FastAPI) -> dict[str, Any]:
    from shared.http.openapi import describe  # noqa: PLC0415 -- asked for by people, not by requests

    if app.openapi_schema is None:
        app.openapi_schema = describe(app)
    return app.openapi_schema
