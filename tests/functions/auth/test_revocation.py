"""An ended session is dead in every process at once, whoever was reading it just then."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from shared import sessions
from shared.cache import lease
from shared.cache.entry import Entry, State
from shared.postgres.pool import database
from shared.settings import settings
from tests.functions.auth.people import Person
from tools.functions import ROOT
from tools.local.rest.server import RestServer

# Another instance: every function behind a port of its own, in a process of its own.
INSTANCE = """
import asyncio, sys
from tests.support import serve_functions
async def main():
    async with serve_functions() as http:
        print(http.base_url, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
asyncio.run(main())
"""


@asynccontextmanager
async def _another_instance() -> AsyncIterator[httpx.AsyncClient]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", INSTANCE),
        cwd=ROOT,
        env=dict(os.environ),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        url = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()
        async with httpx.AsyncClient(base_url=url, timeout=10) as http:
            yield http
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 10)


@pytest.mark.slow
async def test_logout_in_one_process_is_seen_in_another_at_once_under_load(person: Person) -> None:
    await person.register()
    async with _another_instance() as elsewhere:
        assert (await elsewhere.get("/auth/session", headers=person.headers)).status_code == 200
        over = asyncio.Event()
        late: list[int] = []

        async def reader() -> None:
            while True:
                begun_after = over.is_set()
                answer = await elsewhere.get("/auth/session", headers=person.headers)
                if begun_after:
                    late.append(answer.status_code)
                    return

        readers = [asyncio.create_task(reader()) for _ in range(100)]
        await asyncio.sleep(0)
        assert (await person.post("logout", session=True)).status_code == 204
        over.set()
        await asyncio.gather(*readers)
        assert late == [401] * 100


@pytest.mark.parametrize("end", ["logout", "logout-all", "sessions", "password/reset"])
async def test_slow_reader_cannot_put_an_ended_session_back(person: Person, rest: RestServer, end: str) -> None:
    await person.register()
    (key,) = [found.decode() for found in await rest.command("KEYS", "session:*")]
    await rest.command("DEL", key)
    slow = await lease.ask(key)  # it looks, is given the lease, reads Postgres, and then takes its time
    assert slow.state is State.LEASED_TO_US
    known = sessions.Presented("", bytes.fromhex(key.rpartition(":")[2]))
    seen = await sessions.find(known)
    assert seen is not None

    if end == "sessions":
        answer = await person.http.delete(f"/auth/sessions/{seen.id}", headers=person.headers)
    elif end == "password/reset":
        token = (await person.verify(await person.code("reset_password"), "reset_password")).json()["reset_token"]
        answer = await person.post(end, reset_token=token, password="another long one")
    else:
        answer = await person.post(end, session=True)
    assert answer.status_code == 204

    stored = await lease.fill(key, slow.token, Entry.of(seen.model_dump_json()), fresh_ms=300_000, kept_ms=300_000)
    assert not stored
    assert (await person.get()).status_code == 401


async def test_key_is_replaced_without_a_cut(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSION_KEYS", f"k1:{'a' * 32}")
    settings.cache_clear()
    await person.register()
    old = person.token
    assert old.startswith("k1.")

    monkeypatch.setenv("SESSION_KEYS", f"k2:{'b' * 32},k1:{'a' * 32}")
    settings.cache_clear()
    assert (await person.get(token=old)).status_code == 200
    await person.login()
    assert person.token.startswith("k2.")

    monkeypatch.setenv("SESSION_KEYS", f"k2:{'b' * 32}")
    settings.cache_clear()
    assert (await person.get(token=old)).status_code == 401
    assert (await person.get()).status_code == 200


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ("last_seen_at = now() - interval '7 days'", 401),
        ("last_seen_at = now() - interval '7 days' + interval '1 minute'", 200),
        ("created_at = now() - interval '30 days'", 401),
        ("created_at = now() - interval '30 days' + interval '1 minute'", 200),
    ],
)
async def test_session_ends_by_itself(person: Person, rest: RestServer, change: str, status: int) -> None:
    await person.register()
    async with database().transaction() as transaction:
        await transaction.execute(f"UPDATE sessions SET {change}")  # noqa: S608
    await rest.command("FLUSHALL")
    assert (await person.get()).status_code == status


async def test_suspended_user_is_nobody_within_five_minutes_and_cannot_sign_in(
    person: Person, rest: RestServer
) -> None:
    await person.register()
    async with database().transaction() as transaction:
        await transaction.execute("UPDATE users SET status = 'suspended' WHERE username = $1", person.username)
    await rest.command("FLUSHALL")  # the five minutes
    assert (await person.get()).status_code == 401
    answer = await person.post("login", email=person.email, password=person.password)
    assert (answer.status_code, answer.json()["code"]) == (403, "account_inactive")
    wrong = await person.post("login", email=person.email, password="not this one")
    assert wrong.json()["code"] == "invalid_credentials", "only its owner is told"


async def test_copy_in_redis_is_no_more_than_it_says(person: Person, rest: RestServer) -> None:
    await person.register()
    (key,) = [found.decode() for found in await rest.command("KEYS", "session:*")]
    copy = (await rest.command("GET", key)).decode()
    assert set(json.loads(copy.partition("\n")[2])) == {"id", "user_id", "created_at", "expires_at"}
    assert int(await rest.command("TTL", key)) <= 86400
