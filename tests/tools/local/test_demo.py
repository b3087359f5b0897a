"""Demo data: what is in Postgres is at the fake Stripe too, however often and over whatever it is loaded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from functions.payments.ledger import TOKEN_CENTS, House
from tests.conftest import Services
from tests.functions.payments.audit import audit
from tests.tools.local.stripe.sdk import connect, every, transfer
from tools.local.demo import demo_id, load_demo, seed_stripe
from tools.local.demo_stripe import FUNDS_CENTS, FUNDS_ID
from tools.local.stripe.server import FakeStripe
from tools.migrate.runner import migrate

_EVERYTHING = """
    SELECT (SELECT array_agg(a ORDER BY a.user_id) FROM payout_accounts a)::text AS accounts,
           (SELECT array_agg(m ORDER BY m.id) FROM house_movements m)::text AS movements,
           (SELECT array_agg(t ORDER BY t.id) FROM ledger_transfers t)::text AS transfers,
           (SELECT array_agg(p::text ORDER BY p::text) FROM ledger_postings p)::text AS postings
"""


@pytest.fixture
def url(services: Services, database_name: str) -> str:
    return services.postgres.url(database_name, "owner")


@pytest.fixture
async def owner(url: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(url, timeout=5)
    yield connection
    await connection.close(timeout=5)


async def make_older(owner: asyncpg.Connection[Any]) -> None:
    """As an earlier version left it, which knew nothing of payouts."""
    async with owner.transaction():
        for table in ("ledger_transfers", "ledger_postings"):
            await owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")  # they let nothing go
        await owner.execute("DELETE FROM payout_accounts")
        await owner.execute("DELETE FROM house_movements")
        await owner.execute(
            "DELETE FROM ledger_postings WHERE transfer_id IN (SELECT id FROM ledger_transfers WHERE kind = 'house')"
        )
        await owner.execute("DELETE FROM ledger_transfers WHERE kind = 'house'")
        for table in ("ledger_transfers", "ledger_postings"):
            await owner.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


async def everything(owner: asyncpg.Connection[Any]) -> list[asyncpg.Record]:
    return list(await owner.fetch(_EVERYTHING))


async def booked_at_stripe(owner: asyncpg.Connection[Any]) -> int:
    sql = "SELECT coalesce(sum(amount), 0)::bigint FROM ledger_postings WHERE account_id = $1"
    return int(await owner.fetchval(sql, int(House.STRIPE)))


async def test_every_creator_has_the_same_account_in_both(owner: asyncpg.Connection[Any], stripe: FakeStripe) -> None:
    rows = await owner.fetch(
        "SELECT u.username, a.user_id, a.account_id, a.status FROM payout_accounts a JOIN users u ON u.id = a.user_id"
    )
    assert {row["account_id"] for row in rows} == set(stripe.accounts)
    assert len(rows) == len(stripe.accounts) == await owner.fetchval("SELECT count(*) FROM creators") == 50
    for row in rows:
        assert (row["user_id"], row["status"]) == (demo_id(row["username"]), "active")
        assert row["account_id"] == f"acct_demo_{row['username']}"


async def test_house_has_the_same_funds_in_both(owner: asyncpg.Connection[Any], url: str, stripe: FakeStripe) -> None:
    async with connect(stripe) as client:
        (entry,) = await every(await client.balance_transactions.list_async())
        balance = await client.balance.retrieve_async()
        (topup,) = await every(await client.topups.list_async())
    assert (entry.id, entry.type, entry.net, entry.fee, entry.status) == (
        FUNDS_ID,
        "topup",
        FUNDS_CENTS,
        0,
        "available",
    )
    assert (topup.id, topup.balance_transaction, topup.status) == (entry.source, FUNDS_ID, "succeeded")
    assert [(one.amount, one.currency) for one in balance.available] == [(FUNDS_CENTS, "usd")]
    assert await booked_at_stripe(owner) == stripe.balance_cents == FUNDS_CENTS
    movement = await owner.fetchrow("SELECT id, type, cents, fee_cents, transfer_id FROM house_movements")
    assert movement is not None
    assert tuple(movement)[:4] == (FUNDS_ID, "topup", FUNDS_CENTS, 0)
    sql = "SELECT account_id, amount FROM ledger_postings WHERE transfer_id = $1"
    postings = {row["account_id"]: row["amount"] for row in await owner.fetch(sql, movement["transfer_id"])}
    assert postings == {House.STRIPE: FUNDS_CENTS, House.REVENUE: -FUNDS_CENTS}
    assert await audit(url, stripe) == []


async def test_funds_pay_for_all_that_was_earned(owner: asyncpg.Connection[Any]) -> None:
    earned = await owner.fetchval("SELECT sum(balance)::bigint FROM ledger_accounts WHERE kind = 'earnings'")
    assert 0 < earned * TOKEN_CENTS * 10 < FUNDS_CENTS


async def test_loading_again_changes_nothing(owner: asyncpg.Connection[Any], url: str, stripe: FakeStripe) -> None:
    rows, accounts, entries = await everything(owner), dict(stripe.accounts), dict(stripe.balance_transactions)
    for _ in range(2):
        counts = await load_demo(url)
        seed_stripe(stripe)
        assert (counts.users, counts.creators, counts.charges) == (0, 0, 0)
    assert await everything(owner) == rows
    assert (stripe.accounts, stripe.balance_transactions) == (accounts, entries)


async def test_what_became_of_them_is_not_undone(owner: asyncpg.Connection[Any], url: str, stripe: FakeStripe) -> None:
    await owner.execute("UPDATE payout_accounts SET status = 'closed' WHERE account_id = 'acct_demo_luna'")
    await owner.execute("UPDATE payout_accounts SET account_id = 'acct_own' WHERE account_id = 'acct_demo_mika'")
    stripe.close_account("acct_demo_luna")
    async with connect(stripe) as client:
        await transfer(client, "acct_demo_nova", 5000)
    rows = await everything(owner)
    await load_demo(url)
    seed_stripe(stripe)
    assert await everything(owner) == rows
    assert not stripe.accounts["acct_demo_luna"]["payouts_enabled"]
    assert stripe.balance_cents == FUNDS_CENTS - 5000


async def test_older_database_gets_what_it_is_without(
    owner: asyncpg.Connection[Any], url: str, stripe: FakeStripe
) -> None:
    charges = await owner.fetchval("SELECT count(*) FROM charges")
    await make_older(owner)
    assert await booked_at_stripe(owner) == 0
    for _ in range(2):
        counts = await load_demo(url)
        assert (counts.users, counts.creators, counts.charges) == (0, 0, 0)
        assert {row["account_id"] for row in await owner.fetch("SELECT account_id FROM payout_accounts")} == set(
            stripe.accounts
        )
        assert await booked_at_stripe(owner) == stripe.balance_cents
        assert await owner.fetchval("SELECT count(*) FROM charges") == charges
        assert await audit(url, stripe) == []


async def test_funds_that_reconcile_has_booked_are_not_booked_again(
    owner: asyncpg.Connection[Any], url: str, stripe: FakeStripe
) -> None:
    await make_older(owner)
    async with owner.transaction():
        booked = await owner.fetchval("INSERT INTO ledger_transfers (kind) VALUES ('house') RETURNING id")
        await owner.executemany(
            "INSERT INTO ledger_postings (transfer_id, account_id, amount) VALUES ($1, $2, $3)",
            [(booked, House.STRIPE, FUNDS_CENTS), (booked, House.REVENUE, -FUNDS_CENTS)],
        )
        await owner.execute(
            "INSERT INTO house_movements VALUES ($1, 'topup', $2, 0, $3)", FUNDS_ID, FUNDS_CENTS, booked
        )
    await load_demo(url)
    assert await owner.fetchval("SELECT count(*) FROM payout_accounts") == 50
    assert await owner.fetchval("SELECT array_agg(id) FROM ledger_transfers WHERE kind = 'house'") == [booked]
    assert await audit(url, stripe) == []


async def test_creator_who_is_not_there_has_no_account(services: Services) -> None:
    """Somebody else has the name."""
    name = f"demo_{next(services.numbers)}"
    await services.postgres.create_database(name)
    try:
        url = services.postgres.url(name, "owner")
        await migrate(url)
        connection = await asyncpg.connect(url, timeout=5)
        try:
            await connection.execute(
                "INSERT INTO users (username, email, display_name) VALUES ('luna', 'me@digis.test', 'Me')"
            )
            assert (await load_demo(url)).creators == 49
            rows = await connection.fetch("SELECT account_id FROM payout_accounts")
            assert (len(rows), "acct_demo_luna" in {row["account_id"] for row in rows}) == (49, False)
        finally:
            await connection.close(timeout=5)
    finally:
        await services.postgres.drop_database(name)


async def test_without_payees_there_are_neither_accounts_nor_funds(owner: asyncpg.Connection[Any], url: str) -> None:
    await make_older(owner)
    before = await everything(owner)
    await load_demo(url, payees=False)
    assert await everything(owner) == before
    assert await owner.fetchval("SELECT count(*) FROM payout_accounts") == 0
