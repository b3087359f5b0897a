"""Public reads while Upstash is out: from Postgres, one query for all who ask at once; back within three seconds."""

from __future__ import annotations

import asyncio
import re
import time

import httpx
import pytest

from tools.local.proxy import FaultProxy
from tools.local.proxy import Mode as ProxyMode
from tools.local.rest.faults import Mode
from tools.local.rest.server import RestServer

pytestmark = pytest.mark.slow  # waits for deadlines

BREAKING = [Mode.REFUSE, Mode.HANG, Mode.SLOW, Mode.ERROR_500, Mode.CUT, Mode.LOST]
STALE = '1v5:abc::0\n{"success":true,"old":true}'


def _queries(answer: httpx.Response) -> int:
    found = re.search(r'queries;desc="(\d+)"', answer.headers["server-timing"])
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize("path", ["/creators/luna", "/creators?limit=5"])
@pytest.mark.parametrize("mode", BREAKING)
async def test_50_readers_are_answered_from_postgres_with_one_query(
    digis: httpx.AsyncClient, rest: RestServer, mode: Mode, path: str
) -> None:
    await digis.get(path)
    await rest.faults.set(mode)
    started = time.monotonic()
    answers = await asyncio.gather(*(digis.get(path) for _ in range(50)))

    assert time.monotonic() - started < 3
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["x-ratelimit-mode"] for answer in answers} == {"local"}
    assert {answer.headers["x-cache"] for answer in answers} == {"miss"}
    assert len({answer.text for answer in answers}) == 1
    assert sum(map(_queries, answers)) == 1


async def test_open_breaker_answers_at_once(digis: httpx.AsyncClient, rest: RestServer) -> None:
    await digis.get("/creators/luna")
    await rest.faults.set(Mode.HANG)
    for _ in range(5):
        await digis.get("/creators/luna")
    before = rest.requests
    started = time.monotonic()
    assert (await digis.get("/creators/luna")).status_code == 200
    assert time.monotonic() - started < 0.5
    assert rest.requests == before


async def test_it_is_back_within_three_seconds(digis: httpx.AsyncClient, rest: RestServer) -> None:
    await rest.faults.set(Mode.REFUSE)
    for _ in range(6):
        await digis.get("/creators/luna")
    await rest.faults.set(Mode.OK)
    back = time.monotonic()
    while "x-ratelimit-mode" in (await digis.get("/creators/luna")).headers:
        assert time.monotonic() - back < 3
        await asyncio.sleep(0.02)
    assert (await digis.get("/creators/luna")).headers["x-cache"] == "hit"


@pytest.mark.parametrize("mode", [ProxyMode.REFUSE, ProxyMode.ERROR_500, ProxyMode.CUT])
async def test_with_postgres_out_what_is_cached_is_served_stale(
    digis: httpx.AsyncClient, rest: RestServer, proxy: FaultProxy, mode: ProxyMode
) -> None:
    await rest.command("SET", "creator:profile:luna", STALE)
    await proxy.set(mode)
    for _ in range(2):
        answer = await digis.get("/creators/luna")
        assert (answer.status_code, answer.headers["x-cache"]) == (200, "stale")
        assert answer.json() == {"success": True, "old": True}
    missing = await digis.get("/creators/mika")
    assert (missing.status_code, missing.json()["code"]) == (503, "upstream_unavailable")
    assert missing.headers["retry-after"] == "2"


async def test_with_both_out_it_is_503_in_time(digis: httpx.AsyncClient, rest: RestServer, proxy: FaultProxy) -> None:
    await rest.faults.set(Mode.HANG)
    await proxy.set(ProxyMode.HANG)
    started = time.monotonic()
    answer = await digis.get("/creators/luna")
    assert (answer.status_code, answer.json()["code"]) == (503, "upstream_unavailable")
    assert time.monotonic() - started < 5
