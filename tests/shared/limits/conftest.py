"""The application with one route per policy, on the real REST server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.shared.limits.app import make_app
from tests.support import close_clients, serve
from tools.local.rest.server import RestServer


@pytest.fixture
async def limited(rest: RestServer, fresh_process: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """Its callers are at 127.0.0.1 and are whoever X-Test-User says."""
    fresh_process.setenv("UPSTASH_REDIS_REST_URL", rest.url)
    fresh_process.setenv("UPSTASH_REDIS_REST_TOKEN", "local")
    async with serve(make_app()) as http:
        yield http
    await close_clients()
