"""All functions on one port, as the platforms route them, plus what only a laptop has: /docs and /dev."""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, Final

import fastapi_offline
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from shared.http.problems import MEDIA_TYPE, MalformedJson, document
from tools.functions import function_names, load_app, merged_openapi
from tools.local.mailbox import Mailbox

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
SetFault = Callable[[str, str], Awaitable[None]]

_SWAGGER_UI: Final = Path(fastapi_offline.__file__).parent / "static"  # in a wheel: /docs needs no CDN

LOCAL_HEADER: Final = "x-digis-local"  # a page in a browser cannot send it across origins without a preflight


class UnknownFault(ValueError):
    """No such part runs here, or it cannot break in that way."""


class Gateway:
    """Routes by the first segment of the path to the function that declares it; the functions stay as deployed."""

    def __init__(self, apps: dict[str, FastAPI], set_fault: SetFault, mailbox: Mailbox | None = None) -> None:
        self._by_segment = {
            route.path.split("/")[1]: app for app in apps.values() for route in app.routes if hasattr(route, "path")
        }
        self._fallback = apps["ready"]  # what nobody declares is somebody's 404
        self._local = _local_app(apps, set_fault, mailbox)

    @staticmethod
    def not_http() -> tuple[dict[str, str], bytes]:
        """The answer to what is no HTTP request: headers and body. The contract's nearest code is `malformed_json`."""
        request_id = secrets.token_hex(16)
        headers = {
            "content-type": MEDIA_TYPE,
            "cache-control": "no-store",
            "vary": "Origin",
            "x-request-id": request_id,
        }
        problem = MalformedJson()
        problem.extensions["detail"] = "This is not an HTTP request, or has a method that HTTP does not know."
        return headers, document(problem, path="", request_id=request_id)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        segment = scope["path"].split("/")[1] if scope["type"] == "http" and "/" in scope["path"] else ""
        if segment in {"docs", "dev"} or scope.get("path") == "/openapi.json":
            await self._local(scope, receive, send)
        else:
            await self._by_segment.get(segment, self._fallback)(scope, receive, send)


def load_apps() -> dict[str, FastAPI]:
    return {name: load_app(name) for name in function_names()}


def _local_app(apps: dict[str, FastAPI], set_fault: SetFault, mailbox: Mailbox | None) -> Starlette:
    async def show_openapi(_: Request) -> Response:
        return JSONResponse(merged_openapi(apps))

    async def show_docs(_: Request) -> Response:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="Digis functions",
            swagger_js_url="/docs/assets/swagger-ui-bundle.js",
            swagger_css_url="/docs/assets/swagger-ui.css",
            swagger_favicon_url="/docs/assets/favicon.png",
        )

    async def change_fault(request: Request) -> Response:
        if LOCAL_HEADER not in request.headers:
            return JSONResponse({"error": f"this needs the {LOCAL_HEADER} header"}, 403)
        try:
            asked = json.loads(await request.body())
            await set_fault(str(asked["part"]), str(asked["mode"]))
        except UnknownFault as error:
            return JSONResponse({"error": str(error)}, 422)
        except (ValueError, TypeError, KeyError):
            return JSONResponse({"error": 'send {"part": ..., "mode": ...}'}, 400)
        return Response(status_code=204)

    async def show_mailbox(_: Request) -> Response:
        if mailbox is None:
            return JSONResponse({"error": "mail goes to a server of yours: SMTP_URL is set"}, 404)
        return JSONResponse({"messages": mailbox.shown()})

    return Starlette(
        routes=[
            Route("/openapi.json", show_openapi),
            Route("/docs", show_docs),
            Mount("/docs/assets", StaticFiles(directory=_SWAGGER_UI)),
            Route("/dev/faults", change_fault, methods=["POST"]),
            Route("/dev/mailbox", show_mailbox),
        ]
    )
