"""JSON bodies, read strictly: what is no JSON in UTF-8 is refused before anything looks at it.

The standard library's parser, which FastAPI uses, also takes NaN, half characters (`"\\ud800"`) that nothing can store,
and gives up on deep nesting with a RecursionError.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic_core import from_json


class _StrictRequest(Request):
    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            try:
                self._json = from_json(await self.body(), allow_inf_nan=False)
            except ValueError:
                raise json.JSONDecodeError("not JSON", "", 0) from None
        return self._json


class _StrictRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly


def strict_router(area: str) -> APIRouter:
    """The router of the paths below `/<area>`."""
    return APIRouter(prefix=f"/{area}", tags=[area], route_class=_StrictRoute)
