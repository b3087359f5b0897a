"""The outbox: what a change made untrue is dropped, however the process that changed it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator

import asyncpg
import pytest

from shared.cache import lease
from shared.cache.entry import Entry, State
from shared.postgres import outbox
from shared.postgres.pool import Database, DatabaseUnavailable
from shared.upstash.errors import UpstashError
from tests.conftest import Services
from tests.support import close_clients
from tools.functions import ROOT
from tools.local.proxy import FaultProxy
from tools.local.proxy import Mode as ProxyMode
from tools.local.rest.faults import Mode
from tools.local.rest.server import RestServer

KEY = "creator:profile:luna"
BREAKING = [Mode.REFUSE, Mode.HANG, Mode.ERROR_500, Mode.CUT, Mode.LOST]


@pytest.fixture
async def db(
    services: Services, rest: RestServer, proxy: FaultProxy, database_name: str, fresh_process: pytest.MonkeyPatch
) -> AsyncIterator[Database]:
    fresh_process.setenv("UPSTASH_REDIS_REST_URL", rest.url)
    fresh_process.setenv("UPSTASH_REDIS_REST_TOKEN", "local")
    fresh_process.setenv("UPSTASH_DEADLINE_MS", "300")
    database = Database(services.postgres.url(database_name, tcp_port=proxy.port))
    yield database
    await database.close()
    await close_clients()


async def _rows(db: Database) -> int:
    return len(await db.fetch("SELECT id FROM cache_outbox"))


async def _change(db: Database, *keys: str) -> None:
    async with db.transaction() as transaction:
        await transaction.execute("UPDATE creators SET bio = 'new'")
        for key in keys:
            transaction.drop_cached(key)


async def test_committed_change_drops_its_values_at_once_in_one_trip(db: Database, rest: RestServer) -> None:
    await rest.command("MSET", KEY, "old", "creator:other", "old", "creator:third", "kept")
    await rest.reset_counters()
    await _change(db, KEY, "creator:other")
    assert await rest.command("KEYS", "creator:*") == [b"creator:third"]
    assert (rest.requests, await _rows(db)) == (1, 0)


async def test_change_without_a_drop_makes_no_trip_and_writes_no_row(db: Database, rest: RestServer) -> None:
    await _change(db)
    assert (rest.requests, await _rows(db)) == (0, 0)


async def test_change_that_is_rolled_back_drops_nothing(db: Database, rest: RestServer) -> None:
    await rest.command("SET", KEY, "true still")

    async def change() -> None:
        async with db.transaction() as transaction:
            transaction.drop_cached(KEY)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await change()
    assert (await rest.command("EXISTS", KEY), await _rows(db)) == (1, 0)


@pytest.mark.parametrize("mode", BREAKING)
async def test_with_upstash_out_the_change_stands_and_the_drop_is_kept_for_later(
    db: Database, rest: RestServer, mode: Mode
) -> None:
    await rest.command("SET", KEY, "old")
    await rest.faults.set(mode)
    await _change(db, KEY)
    row = await db.fetchrow("SELECT bio FROM creators LIMIT 1")
    assert row is not None
    assert row["bio"] == "new"
    assert await _rows(db) == 1
    with pytest.raises(UpstashError):
        await outbox.drain(db.transaction)
    assert await _rows(db) == 1

    await rest.faults.set(Mode.OK)
    assert await outbox.drain(db.transaction) == 1
    assert (await rest.command("EXISTS", KEY), await _rows(db)) == (0, 0)


async def test_drains_at_once_and_again_do_no_harm(db: Database, rest: RestServer) -> None:
    await rest.faults.set(Mode.ERROR_500)
    for number in range(4):  # fewer than open the breaker
        await _change(db, f"creator:{number}")
    await rest.faults.set(Mode.OK)
    assert sum(await asyncio.gather(*(outbox.drain(db.transaction) for _ in range(4)))) == 4
    assert await outbox.drain(db.transaction) == 0


async def test_row_that_cannot_be_removed_is_dropped_again_later(
    db: Database, rest: RestServer, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut_first(keys: list[str], more: object) -> None:
        await proxy.set(ProxyMode.REFUSE)

    monkeypatch.setattr(outbox, "_drop", cut_first)
    await _change(db, KEY)  # is committed, whatever happens to its row
    monkeypatch.undo()
    await proxy.set(ProxyMode.OK)
    assert await outbox.drain(db.transaction) == 1


# The process that changes something, killed by itself at one point of its way.
CHANGER = """
import asyncio, os, signal, sys
from shared.postgres import outbox, pool
point = sys.argv[1]
def die(): os.kill(os.getpid(), signal.SIGKILL)
async def main():
    real_record, real_drop = outbox.record, outbox._drop
    async def record(*a):
        if point == "before the row": die()
        found = await real_record(*a)
        if point == "before the commit": die()
        return found
    async def drop(*a):
        if point == "before the drop": die()
        await real_drop(*a)
        if point == "after the drop": die()
    outbox.record, outbox._drop = record, drop
    async with pool.database().transaction() as transaction:
        await transaction.execute("UPDATE creators SET bio = 'new'")
        transaction.drop_cached("creator:profile:luna")
    die()
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("point", "committed", "dropped", "rows"),
    [
        ("before the row", False, False, 0),
        ("before the commit", False, False, 0),
        ("before the drop", True, False, 1),
        ("after the drop", True, True, 1),
        ("at the end", True, True, 0),
    ],
)
async def test_killed_at_each_point_it_heals(
    db: Database,
    services: Services,
    rest: RestServer,
    database_name: str,
    point: str,
    committed: bool,  # noqa: FBT001
    dropped: bool,  # noqa: FBT001
    rows: int,
) -> None:
    reader = await lease.ask(KEY)  # who began before the change
    await lease.fill(KEY, reader.token, Entry.of("old"), fresh_ms=60_000, kept_ms=300_000)
    env = os.environ | {"DATABASE_URL": services.postgres.url(database_name)}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", CHANGER, point, cwd=ROOT, env=env)
    assert await asyncio.wait_for(process.wait(), 30) == -signal.SIGKILL

    (bio,) = await db.fetch("SELECT DISTINCT bio = 'new' AS new FROM creators ORDER BY 1")
    assert (bio["new"], await rest.command("EXISTS", KEY), await _rows(db)) == (committed, int(not dropped), rows)
    assert await outbox.drain(db.transaction) == rows
    assert (await lease.ask(KEY)).state is (State.LEASED_TO_US if committed else State.FRESH)


async def test_drain_says_when_postgres_is_out(db: Database, proxy: FaultProxy) -> None:
    await proxy.set(ProxyMode.REFUSE)
    with pytest.raises(DatabaseUnavailable):
        await outbox.drain(db.transaction)


async def test_functions_may_not_empty_it_by_other_means(services: Services, database_name: str) -> None:
    connection = await asyncpg.connect(services.postgres.url(database_name))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("TRUNCATE cache_outbox")
    await connection.close()
