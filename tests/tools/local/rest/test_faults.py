"""Each way in which the server can be broken, seen from a plain HTTP client."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from tools.local.rest.faults import Mode
from tools.local.rest.server import RestServer


@pytest.fixture
def http(rest: RestServer) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=rest.url, headers={"Authorization": "Bearer local"}, timeout=5)


async def _incr(http: httpx.AsyncClient) -> httpx.Response:
    return await http.post("/", json=["INCR", "n"])


async def test_refuse_cuts_kept_connections_and_comes_back_on_the_same_port(
    rest: RestServer, http: httpx.AsyncClient
) -> None:
    async with http:
        await _incr(http)
        await rest.faults.set(Mode.REFUSE)
        for _ in range(2):
            with pytest.raises(httpx.TransportError):
                await _incr(http)
        await rest.faults.set(Mode.OK)
        assert (await _incr(http)).json() == {"result": 2}


async def test_hang_answers_nothing_and_does_nothing_until_it_is_mended(
    rest: RestServer, http: httpx.AsyncClient
) -> None:
    async with http:
        await rest.faults.set(Mode.HANG)
        with pytest.raises(httpx.ReadTimeout):
            await http.post("/", json=["INCR", "n"], timeout=0.1)
        hanging = asyncio.create_task(_incr(http))
        while rest.requests < 2:  # noqa: ASYNC110 -- the server has no event for it, and needs none
            await asyncio.sleep(0)
        await rest.faults.set(Mode.OK)
        with pytest.raises(httpx.RemoteProtocolError):
            await hanging
        assert (await _incr(http)).json() == {"result": 1}


async def test_slow_reply_trickles(rest: RestServer, http: httpx.AsyncClient) -> None:
    async with http:
        rest.faults.slow_seconds = 0.3
        await rest.faults.set(Mode.SLOW)
        started = time.monotonic()
        answer = await http.post("/", json=["ECHO", "x" * 100])
        assert answer.json() == {"result": "x" * 100}
        assert time.monotonic() - started >= 0.3


async def test_500_is_a_page_and_nothing_was_done(rest: RestServer, http: httpx.AsyncClient) -> None:
    async with http:
        await rest.faults.set(Mode.ERROR_500)
        answer = await _incr(http)
        assert (answer.status_code, answer.headers["content-type"]) == (500, "text/html")
        await rest.faults.set(Mode.OK)
        assert (await _incr(http)).json() == {"result": 1}


@pytest.mark.parametrize("mode", [Mode.CUT, Mode.LOST])
async def test_command_is_carried_out_though_its_reply_is(
    rest: RestServer, http: httpx.AsyncClient, mode: Mode
) -> None:
    async with http:
        await rest.faults.set(mode)
        with pytest.raises(httpx.RemoteProtocolError):
            await _incr(http)
        await rest.faults.set(Mode.OK)
        assert (await _incr(http)).json() == {"result": 2}


async def test_fault_for_a_count_of_requests(rest: RestServer, http: httpx.AsyncClient) -> None:
    async with http:
        await rest.faults.set(Mode.ERROR_500, count=2)
        assert [(await _incr(http)).status_code for _ in range(3)] == [500, 500, 200]
        assert rest.faults.mode is Mode.OK


async def test_latency_is_added_to_each_reply(rest: RestServer, http: httpx.AsyncClient) -> None:
    async with http:
        rest.faults.latency = 0.05
        started = time.monotonic()
        await _incr(http)
        assert time.monotonic() - started >= 0.05
