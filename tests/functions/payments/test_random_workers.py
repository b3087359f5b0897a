"""Ten thousand random operations by twenty workers at once: nobody deadlocks, everybody reads what they have, and the
audit that follows each test finds the books right."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import httpx
import pytest

from shared import snapshot
from shared.postgres import pool
from tests.conftest import Services
from tests.functions.payments.world import World, difference, without_hurry, world_of
from tests.functions.payments.world_model import Model, Person
from tests.functions.payments.world_workers import Worker
from tools.local.stripe.server import FakeStripe

WORKERS = 20
PAIRS = 4  # of workers who pay each other all the time
QUIET_SECONDS = 20  # for Postgres to notice that connections were closed


@pytest.fixture
async def world(
    services: Services,
    digis: httpx.AsyncClient,
    database_name: str,
    owner_url: str,
    stripe: FakeStripe,
    fresh_process: pytest.MonkeyPatch,
) -> AsyncIterator[World]:
    """On the way to Postgres without a proxy in it, and without hurry: the machine may be busy with something else."""
    fresh_process.setenv("DATABASE_URL", services.postgres.url(database_name))
    fresh_process.setenv("UPSTASH_DEADLINE_MS", "10000")
    without_hurry(fresh_process)
    snapshot.forget()  # the settings that were read before
    async with world_of(owner_url, stripe) as world:
        yield world


async def _workers(world: World, *, seed: int) -> list[Worker]:
    """The first of them in pairs that pay each other; the others pay them, and creators who only earn."""
    people = [Person(is_creator=place < 2 * PAIRS, granted=500) for place in range(WORKERS)]
    ids = [await world.person(tokens=one.granted, creator=one.is_creator) for one in people]
    shared = [await world.person(creator=True) for _ in range(3)]
    return [
        Worker(
            *(world, ids[place], person),
            [ids[place ^ 1]] * 3 + shared[:1] if place < 2 * PAIRS else [*shared, *ids[: 2 * PAIRS : 3]],
            random.Random(seed * WORKERS + place),
        )
        for place, person in enumerate(people)
    ]


async def _run(world: World, owner_url: str, *, operations: int, seed: int) -> Counter[str]:
    """Let them work; then nothing is left to deadlock on, and the house has what their lives come to."""
    workers = await _workers(world, seed=seed)
    before = await world.house()
    async with asyncio.TaskGroup() as everybody:
        for worker in workers:
            everybody.create_task(worker.work(operations // WORKERS))
    model = Model({worker.fan: worker.person for worker in workers})
    house = difference(before, await world.house())
    granted = sum(worker.person.granted for worker in workers)
    assert house | {"fee": 0} == model.house | {"issued": model.house.get("issued", 0) + granted, "fee": 0}
    assert await _deadlocks(owner_url) == 0
    return sum((worker.done for worker in workers), Counter())


async def _deadlocks(owner_url: str) -> int:
    """Counts reach the statistics when a connection ends at the latest."""
    await pool.database().close()
    connection = await asyncpg.connect(owner_url, timeout=5)
    others = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'digis_app'"""
    try:
        async with asyncio.timeout(QUIET_SECONDS):
            while await connection.fetchval(others):
                pass  # each look is a trip
        counted = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        return int(await connection.fetchval(counted))
    finally:
        await connection.close(timeout=5)


async def test_books_are_right_after_some_random_operations(world: World, owner_url: str) -> None:
    done = await _run(world, owner_url, operations=300, seed=1)
    assert done.total() == 300


@pytest.mark.slow
async def test_books_are_right_after_10_000_random_operations_by_20_workers_at_once(
    world: World, owner_url: str, fresh_process: pytest.MonkeyPatch
) -> None:
    fresh_process.setattr(pool, "CONNECTIONS", WORKERS)  # as if each had a process of its own
    done = await _run(world, owner_url, operations=10_000, seed=2)
    assert done.total() == 10_000


async def test_two_who_pay_each_other_all_that_they_have_do_not_wait_for_each_other(
    world: World, owner_url: str, fresh_process: pytest.MonkeyPatch
) -> None:
    """All at once, over the same four accounts in both directions."""
    fresh_process.setattr(pool, "CONNECTIONS", WORKERS)
    pair = [await world.person(tokens=200, creator=True) for _ in range(2)]
    async with asyncio.TaskGroup() as both:
        for _ in range(40):
            both.create_task(world.charge(pair[0], pair[1], 5))
            both.create_task(world.charge(pair[1], pair[0], 5))
    assert [await world.tokens(user_id) for user_id in pair] == [(0, 0), (0, 0)]
    earned = "SELECT balance FROM ledger_accounts WHERE kind = 'earnings' AND user_id = ANY($1)"
    assert [row["balance"] for row in await world.owner.fetch(earned, [UUID(one) for one in pair])] == [160, 160]
    assert await _deadlocks(owner_url) == 0
