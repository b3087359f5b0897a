"""The stack of `digis dev`, on the tests' own Postgres and Redis: what it fills, and what it writes to `env`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.conftest import Services
from tests.functions.payments.audit import audit
from tests.tools.local.stripe.sdk import connect, transfer
from tools.local.demo_stripe import FUNDS_CENTS
from tools.local.env_file import read_env
from tools.local.rest.server import RestServer
from tools.local.stack import Stack

Start = Callable[..., Awaitable[Stack]]

_OWN_STRIPE = {"STRIPE_API_BASE": "http://127.0.0.1:1", "STRIPE_SECRET_KEY": "sk_test_mine"}


@pytest.fixture
async def url(services: Services) -> AsyncIterator[str]:
    """The owner's URL of a database without anything in it."""
    name = f"stack_{next(services.numbers)}"
    await services.postgres.create_database(name)
    yield services.postgres.url(name, "owner")
    await services.postgres.drop_database(name)


@pytest.fixture
async def start(url: str, rest: RestServer, tmp_path: Path) -> AsyncIterator[Start]:
    """Start a stack on that database, after the one before it was stopped, as one process does after another."""
    running: list[Stack] = []
    given = {"DATABASE_URL": url, "UPSTASH_REDIS_REST_URL": rest.url, "UPSTASH_REDIS_REST_TOKEN": "local"}

    async def start(*, demo: bool = True, port: int = 8787, **more: str) -> Stack:
        while running:
            await running.pop().stop()
        stack = Stack(tmp_path, given | more, lambda _line: None, port)
        running.append(stack)
        await stack.start(demo=demo)
        return stack

    yield start
    while running:
        await running.pop().stop()


async def rows(url: str) -> tuple[int, ...]:
    """How many charges, accounts to pay out to, house movements and house transfers there are."""
    connection: asyncpg.Connection[Any] = await asyncpg.connect(url, timeout=5)
    try:
        found = await connection.fetchrow(
            """SELECT (SELECT count(*) FROM charges) > 0, (SELECT count(*) FROM payout_accounts),
                      (SELECT count(*) FROM house_movements),
                      (SELECT count(*) FROM ledger_transfers WHERE kind = 'house')"""
        )
        assert found is not None
        return tuple(found)
    finally:
        await connection.close(timeout=5)


async def test_fake_stripe_and_database_have_the_same(start: Start, url: str) -> None:
    stack = await start()
    assert stack.stripe is not None
    assert (len(stack.stripe.accounts), stack.stripe.balance_cents, stack.stripe.events) == (50, FUNDS_CENTS, [])
    assert await rows(url) == (True, 50, 1, 1)
    assert await audit(url, stack.stripe) == []


async def test_restart_finds_what_was_paid_out_and_adds_nothing(start: Start, url: str) -> None:
    first = (await start()).stripe
    assert first is not None
    async with connect(first) as client:
        await transfer(client, "acct_demo_luna", 5000)
    again = (await start()).stripe
    assert again is not None
    assert again is not first
    assert again._store.tables == first._store.tables
    assert again.balance_cents == FUNDS_CENTS - 5000
    assert await rows(url) == (True, 50, 1, 1)


async def test_fake_that_lost_its_file_has_them_again(start: Start, url: str, tmp_path: Path) -> None:
    await (await start()).stop()
    (tmp_path / "stripe.json").unlink()
    stack = await start()
    assert stack.stripe is not None
    assert await audit(url, stack.stripe) == []


async def test_stripe_of_yours_has_no_demo_accounts_so_the_database_has_none(start: Start, url: str) -> None:
    stack = await start(**_OWN_STRIPE)
    assert stack.stripe is None
    assert await rows(url) == (True, 0, 0, 0)
    assert (await start()).stripe is not None  # the fake one from now on
    assert await rows(url) == (True, 50, 1, 1)


async def test_without_demo_data_the_fake_is_empty(start: Start, url: str) -> None:
    stack = await start(demo=False)
    assert stack.stripe is not None
    assert (stack.stripe.accounts, stack.stripe.balance_cents) == ({}, 0)
    assert await rows(url) == (False, 0, 0, 0)


async def test_env_has_what_payouts_need(start: Start, tmp_path: Path) -> None:
    await start(demo=False, port=9000)
    env = read_env(tmp_path)
    assert (env["CRON_SECRET"], env["PAYOUT_ACCOUNT_URL"]) == ("cron-local", "http://127.0.0.1:9000/docs")
    given = {"CRON_SECRET": "mine", "PAYOUT_ACCOUNT_URL": "https://app.example/earnings"}
    await start(demo=False, **given)
    assert {name: read_env(tmp_path)[name] for name in given} == given
