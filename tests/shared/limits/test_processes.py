"""The limiter between processes: 64 callers in 4 of them, one quota."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

import pytest

from shared.limits import policies
from shared.limits.local import MOST_BLOCKED_MS
from tools.functions import ROOT
from tools.local.rest.server import RestServer

pytestmark = pytest.mark.slow  # four processes at a time

# One process: some callers at once, each calling again and again until it is denied, by its own idea of the time.
CALLER = """
import asyncio, json, sys, time
callers, skew = int(sys.argv[1]), float(sys.argv[2])
real_time, real_ns = time.time, time.time_ns
time.time = lambda: real_time() + skew
time.time_ns = lambda: real_ns() + int(skew * 1e9)
import httpx
from tests.shared.limits.app import make_app
async def main():
    transport = httpx.ASGITransport(make_app(), client=("203.0.113.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as http:
        async def caller():
            admitted = 0
            while (await http.post("/limited/token", headers={"X-Test-User": "u"})).status_code == 200:
                admitted += 1
            return admitted
        admitted = sum(await asyncio.gather(*(caller() for _ in range(callers))))
        for _ in range(int(sys.argv[3])):
            assert (await http.post("/limited/token", headers={"X-Test-User": "u"})).status_code == 429
        print(json.dumps(admitted))
asyncio.run(main())
"""


async def _run(rest: RestServer, callers: int, *, skew: float = 0.0, blocked: int = 0) -> int:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CALLER, str(callers), str(skew), str(blocked)),
        cwd=ROOT,
        env=os.environ | {"UPSTASH_REDIS_REST_URL": rest.url, "UPSTASH_REDIS_REST_TOKEN": "local", "PYTHONPATH": "."},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    return int(json.loads(out.decode().splitlines()[-1]))


async def test_64_callers_in_4_processes_with_clocks_apart_never_exceed_the_quota(rest: RestServer) -> None:
    index = -1
    while index != int((await rest.command("TIME"))[0]) // policies.TOKEN.window:  # again when a new window began
        index = int((await rest.command("TIME"))[0]) // policies.TOKEN.window
        await rest.command("FLUSHALL")
        admitted = await asyncio.gather(*(_run(rest, 16, skew=skew) for skew in (0, 600, -600, 0.5)))

    assert sum(admitted) == policies.TOKEN.quota


async def test_10_000_blocked_requests_cost_no_more_trips_than_instances_and_quota(rest: RestServer) -> None:
    await rest.reset_counters()
    started = time.monotonic()
    await asyncio.gather(*(_run(rest, 1, blocked=2500) for _ in range(4)))

    scripts = 4  # each instance may find the script missing, once
    asked_again = 4 * int(
        (time.monotonic() - started) // (MOST_BLOCKED_MS / 1000)
    )  # believed no longer: a slow machine
    assert rest.requests <= 4 + policies.TOKEN.quota + scripts + asked_again
