"""Between processes: 200 callers miss or find a stale value at once, and one query is made."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import pytest

from tests.conftest import Services
from tests.shared.cache.conftest import Put
from tools.functions import ROOT
from tools.local.rest.server import RestServer

pytestmark = pytest.mark.slow  # four processes at a time

# One process: 50 callers at once, who say what they were served and how many queries it took.
CALLER = """
import asyncio, json, sys
import httpx
from functions.creators.app import app
async def main():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as http:
        await http.get("/creators/nobody_here")  # connects, and makes the scripts known
        print("ready", flush=True)
        sys.stdin.readline()
        answers = await asyncio.gather(*(http.get("/creators/luna") for _ in range(50)))
    print(json.dumps([
        [answer.status_code, answer.headers["x-cache"], answer.headers["server-timing"].split('"')[3], answer.text]
        for answer in answers
    ]))
asyncio.run(main())
"""


async def _at_once(services: Services, rest: RestServer, database_name: str, processes: int = 4) -> list[list[Any]]:
    env = os.environ | {
        "UPSTASH_REDIS_REST_URL": rest.url,
        "UPSTASH_REDIS_REST_TOKEN": "local",
        "DATABASE_URL": services.postgres.url(database_name),
        "PYTHONPATH": ".",
    }
    running = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", CALLER),
            cwd=ROOT,
            env=env,
            limit=1 << 24,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        for _ in range(processes)
    ]
    for process in running:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"ready\n"
    shown = await asyncio.wait_for(asyncio.gather(*(process.communicate(b"go\n") for process in running)), 30)
    return [answer for out, _ in shown for answer in json.loads(out)]


async def test_200_misses_at_once_in_4_processes_make_one_query(
    services: Services, redis: RestServer, database_name: str
) -> None:
    answers = await _at_once(services, redis, database_name)

    assert len(answers) == 200
    assert {answer[0] for answer in answers} == {200}
    assert len({answer[3] for answer in answers}) == 1
    assert sum(int(answer[2]) for answer in answers) == 1


async def test_expired_hot_key_is_served_stale_while_one_refreshes(
    services: Services, redis: RestServer, database_name: str, put: Put
) -> None:
    await put("creator:profile:luna", '{"old":true}')
    answers = await _at_once(services, redis, database_name)

    assert {answer[0] for answer in answers} == {200}
    assert sum(int(answer[2]) for answer in answers) == 1
    assert sum(answer[1] == "miss" for answer in answers) == 1
    assert all(answer[3] == '{"old":true}' for answer in answers if answer[1] == "stale")
