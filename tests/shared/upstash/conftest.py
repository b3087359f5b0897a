"""A client on the real REST server, in the clear and over TLS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import pytest

from shared.upstash import transport
from shared.upstash.client import Upstash
from tests.conftest import Services
from tools.local.rest.server import RestServer

DEADLINE_SECONDS = 0.4  # of the tests of faults; elsewhere a busy machine is no failure


@pytest.fixture(params=["clear", "tls"])
async def server(
    request: pytest.FixtureRequest,
    services: Services,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    fresh_process: pytest.MonkeyPatch,
) -> AsyncIterator[RestServer]:
    fresh_process.setattr(transport, "_tls_context", lambda: client_tls)
    context = server_tls if request.param == "tls" else None
    async with RestServer(services.redis.socket, ssl_context=context) as server:
        await server.command("FLUSHALL")
        await server.command("SCRIPT", "FLUSH")
        await server.reset_counters()
        server.faults.slow_seconds = 2 * DEADLINE_SECONDS
        yield server


@pytest.fixture
async def client(server: RestServer) -> AsyncIterator[Upstash]:
    client = Upstash(server.url, "local", deadline_seconds=10)
    yield client
    await client.close()
