"""Locks that are let go of in the trip that a commit makes anyway; and, where there is no commit, all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from shared import locks
from shared.postgres import outbox
from shared.postgres.pool import Database, DatabaseUnavailable
from tests.conftest import Services
from tests.support import close_clients
from tools.local.proxy import FaultProxy
from tools.local.proxy import Mode as ProxyMode
from tools.local.rest.faults import Mode
from tools.local.rest.server import RestServer

NAME = ("payout", "creator", "luna")
KEY = "lock:payout:creator:luna"
CACHED = "token:balance:luna"
OUT = [Mode.REFUSE, Mode.HANG, Mode.ERROR_500, Mode.CUT, Mode.LOST]


@pytest.fixture
async def db(
    services: Services, rest: RestServer, proxy: FaultProxy, database_name: str, fresh_process: pytest.MonkeyPatch
) -> AsyncIterator[Database]:
    fresh_process.setenv("UPSTASH_REDIS_REST_URL", rest.url)
    fresh_process.setenv("UPSTASH_REDIS_REST_TOKEN", "local")
    fresh_process.setenv("UPSTASH_DEADLINE_MS", "300")
    database = Database(services.postgres.url(database_name, tcp_port=proxy.port))
    async with locks.hold("known"):  # the scripts are, from here on
        pass
    outbox.undelivered.clear()
    await rest.reset_counters()
    yield database
    outbox.undelivered.clear()
    await database.close()
    await close_clients()


async def _keys(rest: RestServer) -> list[bytes]:
    found: list[bytes] = await rest.command("KEYS", "*")
    return found


async def _change(db: Database, *, drop: bool = True, wrong: str | None = None) -> None:
    """Under the lock, which rides with the commit."""
    async with locks.hold(*NAME) as lease, db.transaction() as transaction:
        lease.release_with(transaction)
        await transaction.execute("UPDATE creators SET bio = 'new'")
        if drop:
            transaction.drop_cached(CACHED)
        if wrong is not None:
            await transaction.execute(wrong)


@pytest.mark.parametrize("drop", [True, False])
async def test_it_is_let_go_of_in_the_trip_of_the_commit_and_no_further(
    db: Database,
    rest: RestServer,
    drop: bool,  # noqa: FBT001
) -> None:
    await rest.command("SET", CACHED, "old")
    async with locks.hold(*NAME) as lease:
        async with db.transaction() as transaction:
            lease.release_with(transaction)
            if drop:
                transaction.drop_cached(CACHED)
            assert KEY.encode() in await _keys(rest)
            assert rest.requests == 1
        assert await _keys(rest) == ([] if drop else [CACHED.encode()])
        assert rest.requests == 2
        async with locks.hold(*NAME):  # somebody else has it by now
            pass
        asked = rest.requests
    assert rest.requests == asked == 4


async def test_what_somebody_else_holds_is_not_let_go_of_by_the_commit(db: Database, rest: RestServer) -> None:
    async with locks.hold(*NAME) as lease, db.transaction() as transaction:
        lease.release_with(transaction)
        await rest.command("SET", KEY, "somebody else's")
    assert await rest.command("GET", KEY) == b"somebody else's"
    assert rest.requests == 2


async def test_rolled_back_it_is_let_go_of_by_a_trip_of_its_own(db: Database, rest: RestServer) -> None:
    await rest.command("SET", CACHED, "true still")
    with pytest.raises(asyncpg.UndefinedTableError):
        await _change(db, wrong="SELECT FROM nothing_of_this_name")
    assert await _keys(rest) == [CACHED.encode()]
    assert rest.requests == 2


async def test_refused_at_the_commit_it_is_let_go_of_by_a_trip_of_its_own(db: Database, rest: RestServer) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="has no postings"):
        await _change(db, wrong="INSERT INTO ledger_transfers (kind) VALUES ('grant')")
    assert (await _keys(rest), rest.requests) == ([], 2)


async def test_with_postgres_out_it_is_let_go_of_by_a_trip_of_its_own(
    db: Database, rest: RestServer, proxy: FaultProxy
) -> None:
    await proxy.set(ProxyMode.REFUSE)
    with pytest.raises(DatabaseUnavailable):
        await _change(db)
    assert (await _keys(rest), rest.requests) == ([], 2)


@pytest.mark.parametrize(("mode", "drop"), [*((mode, True) for mode in OUT), (Mode.LOST, False)])
async def test_trip_of_the_commit_that_failed_is_made_up_for(
    db: Database,
    rest: RestServer,
    mode: Mode,
    drop: bool,  # noqa: FBT001
) -> None:
    async with locks.hold(*NAME) as lease:
        async with db.transaction() as transaction:
            lease.release_with(transaction)
            if drop:
                transaction.drop_cached(CACHED)
            await rest.faults.set(mode)
        assert not transaction.drops_confirmed
        await rest.faults.set(Mode.OK)
    assert await _keys(rest) == []


async def test_lock_that_nobody_has_sends_nothing_with_the_commit(db: Database, rest: RestServer) -> None:
    await rest.faults.set(Mode.ERROR_500, count=1)
    async with locks.hold(*NAME, insist=False) as lease:
        await rest.command("SET", KEY, "somebody else's")
        async with db.transaction() as transaction:
            lease.release_with(transaction)
        assert rest.requests == 1
    assert rest.requests == 1
    assert await rest.command("GET", KEY) == b"somebody else's"


async def test_lost_before_it_could_ride_it_does_not(db: Database, rest: RestServer) -> None:
    async with locks.hold(*NAME) as lease:
        await rest.command("DEL", KEY)
        with pytest.raises(locks.LeaseLost):
            await lease.extend()
        async with db.transaction() as transaction:
            lease.release_with(transaction)
            assert transaction.sent_after == []
    assert rest.requests == 2, "the lock, and its extension"
