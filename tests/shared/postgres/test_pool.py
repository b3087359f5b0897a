"""The pool: transactions that commit or roll back, deadlines, and a Postgres that goes and comes back."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest

from shared import telemetry
from shared.postgres import pool
from shared.postgres.pool import CONNECTIONS, Database, DatabaseUnavailable
from tests.conftest import Services
from tools.functions import ROOT
from tools.local.proxy import FaultProxy, Mode

SLACK_SECONDS = 1.0  # of a busy machine


@pytest.fixture
async def db(services: Services, database_name: str, proxy: FaultProxy) -> AsyncIterator[Database]:
    database = Database(services.postgres.url(database_name, tcp_port=proxy.port))
    yield database
    await database.close()


async def _follower_count(db: Database) -> int:
    row = await db.fetchrow("SELECT sum(follower_count)::bigint AS sum FROM creators")
    assert row is not None
    return int(row["sum"])


async def _follow_all(db: Database, *, by: int = 1, fail: Exception | None = None) -> None:
    async with db.transaction() as transaction:
        await transaction.execute("UPDATE creators SET follower_count = follower_count + $1", by)
        if fail is not None:
            raise fail


async def test_transaction_commits_and_rolls_back(db: Database) -> None:
    before = await _follower_count(db)
    await _follow_all(db)
    assert await _follower_count(db) == before + 50
    for failure in (RuntimeError("ours"), KeyError("ours")):
        with pytest.raises(type(failure)):
            await _follow_all(db, fail=failure)
    assert await _follower_count(db) == before + 50


async def test_connection_is_kept_over_errors_of_a_statement(db: Database, proxy: FaultProxy) -> None:
    for _ in range(5):
        with pytest.raises(asyncpg.UndefinedTableError):
            await db.fetch("SELECT * FROM nowhere")
        with pytest.raises(asyncpg.DataError):
            await db.fetch("SELECT $1::int", "text")
    assert await db.fetchrow("SELECT 1") is not None
    assert proxy.connections == 1


async def test_reading_methods_cannot_write(db: Database) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await db.fetch("UPDATE creators SET bio = ''")


async def test_statements_are_this_requests_queries(db: Database) -> None:
    record = telemetry.RequestRecord("id", "GET", "/")
    telemetry.begin(record)
    async with db.transaction() as transaction:
        await transaction.fetch("SELECT 1")
        await transaction.fetchrow("SELECT 1")
        await transaction.execute("SELECT 1")
    assert record.queries == 3


async def test_no_more_connections_than_its_share(db: Database, proxy: FaultProxy) -> None:
    await asyncio.gather(*(db.fetchrow("SELECT pg_sleep(0.01)") for _ in range(40)))
    assert proxy.connections == CONNECTIONS


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("mode", [Mode.REFUSE, Mode.HANG, Mode.ERROR_500, Mode.CUT])
async def test_out_in_each_way_is_said_inside_the_deadline_and_then_it_is_back(
    db: Database, proxy: FaultProxy, mode: Mode, *, warm: bool
) -> None:
    if warm:
        await db.fetchrow("SELECT 1")
    await proxy.set(mode)
    started = time.monotonic()
    with pytest.raises(DatabaseUnavailable) as out:
        await db.fetchrow("SELECT 1")
    assert time.monotonic() - started < pool.TRANSACTION_SECONDS + SLACK_SECONDS
    assert out.value.headers["Retry-After"] == "2"
    await proxy.set(Mode.OK)
    assert await db.fetchrow("SELECT 1") is not None


async def test_connection_that_died_while_the_process_was_frozen_costs_no_error(
    db: Database, proxy: FaultProxy
) -> None:
    await db.fetchrow("SELECT 1")
    await proxy.set(Mode.CUT)
    await proxy.set(Mode.OK)
    assert await db.fetchrow("SELECT 1") is not None


async def test_server_that_ends_the_session_costs_no_error(
    db: Database, services: Services, database_name: str
) -> None:
    await db.fetchrow("SELECT 1")
    admin = await asyncpg.connect(services.postgres.url("postgres", "admin"))
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", database_name)
    await admin.close()
    assert await db.fetchrow("SELECT 1") is not None


async def test_statement_that_takes_too_long_is_ended_by_the_server(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "STATEMENT_MS", 100)
    started = time.monotonic()
    with pytest.raises(DatabaseUnavailable) as out:
        await db.fetchrow("SELECT pg_sleep(5)")
    assert time.monotonic() - started < 1 + SLACK_SECONDS
    assert isinstance(out.value.__cause__, asyncpg.QueryCanceledError)


async def test_transaction_that_takes_too_long_is_given_up(
    db: Database, monkeypatch: pytest.MonkeyPatch, proxy: FaultProxy
) -> None:
    monkeypatch.setattr(pool, "TRANSACTION_SECONDS", 0.2)
    before = await _follower_count(db)
    started = time.monotonic()

    async def hang_half_way() -> None:
        async with db.transaction() as transaction:
            await transaction.execute("UPDATE creators SET follower_count = 0")
            await proxy.set(Mode.HANG)
            await transaction.fetchrow("SELECT 1")

    with pytest.raises(DatabaseUnavailable):
        await hang_half_way()
    assert time.monotonic() - started < 0.2 + SLACK_SECONDS
    await proxy.set(Mode.OK)
    monkeypatch.undo()
    assert await _follower_count(db) == before


async def test_waiting_for_a_connection_has_the_same_deadline(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "TRANSACTION_SECONDS", 0.3)
    found = await asyncio.gather(
        *(db.fetchrow("SELECT pg_sleep(1)") for _ in range(3 * CONNECTIONS)), return_exceptions=True
    )
    assert {type(each) for each in found} == {DatabaseUnavailable}
    monkeypatch.undo()
    assert await db.fetchrow("SELECT 1") is not None


async def test_cancelled_transaction_is_rolled_back_and_leaves_the_pool_whole(db: Database) -> None:
    before = await _follower_count(db)
    for _ in range(2 * CONNECTIONS):
        begun = asyncio.Event()

        async def never_ends(begun: asyncio.Event = begun) -> None:
            async with db.transaction() as transaction:
                await transaction.execute("UPDATE creators SET follower_count = 0 WHERE category = 'art'")
                begun.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(never_ends())
        await begun.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await _follower_count(db) == before


# asyncio.run closes no connection of the loop that it ends: what is left of it is let go, with a warning of asyncio's.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_three_event_loops_in_a_row(services: Services) -> None:
    database = Database(services.postgres.url("postgres", "admin"))

    async def use() -> None:
        assert await database.fetchrow("SELECT 1") is not None

    for _ in range(3):
        asyncio.run(use())
    asyncio.run(database.close())
    gc.collect()


@pytest.mark.parametrize("url", ["postgresql://u:wrong@/postgres?host=/nowhere", "postgresql://u@127.0.0.1:1/x"])
async def test_wrong_address_is_an_outage_that_does_not_show_its_secret(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DatabaseUnavailable) as out:
        await Database(url).fetchrow("SELECT 1")
    assert "wrong" not in caplog.text + str(out.value) + repr(out.value)


async def test_wrong_password_is_an_outage(services: Services) -> None:
    url = services.postgres.url("digis").replace("digis_app:", "digis_app:wrong")
    with pytest.raises(DatabaseUnavailable):
        await Database(url).fetchrow("SELECT 1")


async def test_not_configured_is_an_outage(fresh_process: pytest.MonkeyPatch) -> None:
    with pytest.raises(DatabaseUnavailable):
        pool.database()


def test_driver_is_not_imported_before_a_query() -> None:
    code = "import sys, functions.creators.app; print('asyncpg' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert shown == "False\n"
