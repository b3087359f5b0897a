"""GET /ready in every state that its dependencies can be in; GET /live in none of them."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from functions.ready import checks
from tests.conftest import Services
from tests.support import close_clients, serve_functions
from tools.local.proxy import FaultProxy
from tools.local.proxy import Mode as ProxyMode
from tools.local.rest.faults import Mode
from tools.local.rest.server import RestServer

ANSWERED_WITHIN = 2.5  # seconds, of API.md


async def test_ready_when_both_answer(digis: httpx.AsyncClient) -> None:
    answer = await digis.get("/ready")

    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "ready"
    assert set(body["checks"]) == {"database", "redis", "timestamp"}
    assert (body["checks"]["database"], body["checks"]["redis"]) == (True, True)
    assert body["checks"]["timestamp"].endswith("Z")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("mode", [mode for mode in Mode if mode is not Mode.OK])
async def test_not_ready_when_redis_is_configured_and(digis: httpx.AsyncClient, rest: RestServer, mode: Mode) -> None:
    await rest.faults.set(mode)
    started = time.monotonic()

    answer = await digis.get("/ready")

    assert time.monotonic() - started < ANSWERED_WITHIN
    assert (answer.status_code, answer.json()["status"]) == (503, "not ready")
    assert (answer.json()["checks"]["database"], answer.json()["checks"]["redis"]) == (True, False)
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize("mode", [ProxyMode.REFUSE, ProxyMode.HANG, ProxyMode.ERROR_500, ProxyMode.CUT])
async def test_not_ready_when_postgres_does(digis: httpx.AsyncClient, proxy: FaultProxy, mode: ProxyMode) -> None:
    assert (await digis.get("/ready")).status_code == 200  # with a connection that is kept
    checks.watch.forget()
    await proxy.set(mode)
    started = time.monotonic()

    answer = await digis.get("/ready")

    assert time.monotonic() - started < ANSWERED_WITHIN
    assert answer.status_code == 503
    assert (answer.json()["checks"]["database"], answer.json()["checks"]["redis"]) == (False, True)


async def test_ready_again_when_what_was_down_is_back(
    digis: httpx.AsyncClient, rest: RestServer, proxy: FaultProxy
) -> None:
    await rest.faults.set(Mode.REFUSE)
    await proxy.set(ProxyMode.REFUSE)
    assert (await digis.get("/ready")).status_code == 503

    await rest.faults.set(Mode.OK)
    await proxy.set(ProxyMode.OK)
    checks.watch.forget()

    assert (await digis.get("/ready")).status_code == 200


async def test_redis_that_is_not_configured_is_healthy(
    services: Services, database_name: str, fresh_process: pytest.MonkeyPatch
) -> None:
    fresh_process.setenv("DATABASE_URL", services.postgres.url(database_name))
    async with serve_functions() as http:
        answer = await http.get("/ready")
    await close_clients()

    assert (answer.status_code, answer.json()["checks"]["redis"]) == (200, "Not configured")


async def test_not_ready_when_no_database_is_configured(fresh_process: pytest.MonkeyPatch) -> None:
    async with serve_functions() as http:
        answer = await http.get("/ready")

    assert (answer.status_code, answer.json()["checks"]["database"]) == (503, False)


async def test_crowd_of_probes_costs_one_look(digis: httpx.AsyncClient, rest: RestServer) -> None:
    answers = await asyncio.gather(*(digis.get("/ready") for _ in range(40)))

    assert {answer.json()["checks"]["timestamp"] for answer in answers} == {answers[0].json()["checks"]["timestamp"]}
    assert rest.requests == 1


async def test_look_is_remembered_for_one_second_and_no_longer(digis: httpx.AsyncClient) -> None:
    now = 100.0
    watch = checks.Watch(clock=lambda: now)
    first = await watch.checks()
    now += 0.99
    assert await watch.checks() is first
    now += 0.02
    assert await watch.checks() is not first


async def test_live_touches_nothing(digis: httpx.AsyncClient, rest: RestServer, proxy: FaultProxy) -> None:
    await rest.faults.set(Mode.HANG)
    await proxy.set(ProxyMode.HANG)

    answer = await digis.get("/live")

    assert (answer.status_code, answer.json()) == (200, {"status": "live"})
    assert (rest.requests, rest.connections, proxy.connections) == (0, 0, 0)


@pytest.mark.parametrize("path", ["/ready", "/live"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_method_is_405(digis: httpx.AsyncClient, path: str, method: str) -> None:
    answer = await digis.request(method, path, content=b"{" * 100)

    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize("path", ["/ready/", "/ready/now", "/live/", "/READY", "/ready%00", "/"])
async def test_other_path_is_404(digis: httpx.AsyncClient, path: str) -> None:
    answer = await digis.get(path)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
