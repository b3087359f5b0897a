"""The design's two first numbers, counted at the REST server: HTTP requests, and commands executed in Redis."""

from __future__ import annotations

import httpx
import pytest

from tools.local.rest.server import RestServer

# Each fresh GET of a cached route. One trip is the design; the commands are what Upstash bills.
CACHED = {"/creators/luna": 5, "/creators": 5, "/creators?category=music&sort=newest&limit=3": 5}


async def _count(http: httpx.AsyncClient, rest: RestServer, path: str, **headers: str) -> tuple[int, int]:
    await rest.reset_counters()
    await http.get(path, headers=headers)
    return rest.requests, await rest.executed()


@pytest.mark.parametrize(("path", "commands"), CACHED.items())
async def test_hit_is_one_trip_and_at_most_five_commands(
    digis: httpx.AsyncClient, rest: RestServer, path: str, commands: int
) -> None:
    await digis.get(path)  # fills the cache, and makes the script known

    assert await _count(digis, rest, path) == (1, commands)
    assert await _count(digis, rest, path, **{"If-None-Match": "*"}) == (1, commands)


@pytest.mark.parametrize("path", CACHED)
async def test_miss_with_its_fill_is_at_most_three_trips(digis: httpx.AsyncClient, rest: RestServer, path: str) -> None:
    await digis.get("/creators/nobody_here")  # makes the script known

    trips, _ = await _count(digis, rest, path)

    assert trips == 2


async def test_first_request_ever_pays_one_trip_more_for_the_script(digis: httpx.AsyncClient, rest: RestServer) -> None:
    assert (await _count(digis, rest, "/creators/luna"))[0] == 3


async def test_absence_is_remembered_in_one_trip(digis: httpx.AsyncClient, rest: RestServer) -> None:
    await digis.get("/creators/nobody_here")

    assert (await _count(digis, rest, "/creators/nobody_here"))[0] == 1


@pytest.mark.parametrize("path", ["/nowhere", "/creators/luna/x", "/live", "/creators/openapi.json"])
async def test_no_trip_is_made_for(digis: httpx.AsyncClient, rest: RestServer, path: str) -> None:
    assert await _count(digis, rest, path) == (0, 0)


async def test_preflight_makes_no_trip(digis: httpx.AsyncClient, rest: RestServer) -> None:
    await rest.reset_counters()
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}

    answer = await digis.options("/creators/luna", headers=headers)

    assert (answer.status_code, rest.requests) == (204, 0)


async def test_denied_request_runs_no_query_and_then_makes_no_trip(digis: httpx.AsyncClient, rest: RestServer) -> None:
    answer = await digis.get("/creators/luna")
    (bucket,) = await rest.command("KEYS", "rate:public:ip:*")
    index = int((await rest.command("GET", bucket.decode())).split(b":")[0])
    await rest.command("SET", bucket.decode(), f"{index}:1000:1000")
    await rest.command("DEL", "creator:profile:mika")

    denied = await digis.get("/creators/mika")
    await rest.reset_counters()
    again = await digis.get("/creators/nova")

    assert (answer.status_code, denied.status_code, again.status_code) == (200, 429, 429)
    assert denied.json()["code"] == "rate_limited"
    assert denied.headers["retry-after"] == denied.headers["x-ratelimit-reset"]
    assert denied.headers["ratelimit"].startswith('"public";r=0;t=')
    assert 'queries;desc="0"' in denied.headers["server-timing"]
    assert await rest.command("EXISTS", "creator:profile:mika") == 0
    assert (rest.requests, 'trips;desc="0"' in again.headers["server-timing"]) == (0, True)
