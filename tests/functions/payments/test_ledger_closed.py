"""A transfer is whole when it commits, and closed from then on, whatever a session has made for itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from functions.payments.ledger import House
from tests.conftest import Services
from tests.functions.payments.people import Buyer

_POST = """
    WITH t AS (INSERT INTO public.ledger_transfers (kind) VALUES ('grant') RETURNING id)
    INSERT INTO public.ledger_postings (transfer_id, account_id, amount)
    SELECT t.id, p.account_id, p.amount FROM t, unnest($1::bigint[], $2::bigint[]) AS p (account_id, amount)
    RETURNING transfer_id
"""


@pytest.fixture
async def app(services: Services, database_name: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection with the functions' own rights."""
    connection = await asyncpg.connect(services.postgres.url(database_name), timeout=5)
    yield connection
    await connection.close(timeout=5)


async def _wallet(connection: asyncpg.Connection[Any]) -> int:
    return int(await connection.fetchval("SELECT id FROM ledger_accounts WHERE kind = 'wallet' ORDER BY id LIMIT 1"))


@pytest.mark.parametrize("table", ["ledger_postings", "ledger_accounts"])
async def test_transfer_that_does_not_sum_to_zero_is_refused_though_a_temporary_table_hides_the_ledgers(
    app: asyncpg.Connection[Any], table: str
) -> None:
    wallet = await _wallet(app)
    await app.execute(f"CREATE TEMP TABLE {table} (LIKE public.{table})")
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="does not sum to zero"):
        await app.fetch(_POST, [wallet], [777_777])


async def test_transfer_takes_no_more_postings_once_it_has_committed(app: asyncpg.Connection[Any]) -> None:
    wallet = await _wallet(app)
    (transfer_id, *_) = [row["transfer_id"] for row in await app.fetch(_POST, [wallet, int(House.ISSUED)], [5, -5])]
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="is closed"):
        await app.execute(
            "INSERT INTO ledger_postings (transfer_id, account_id, amount) VALUES ($1, $2, 7), ($1, $3, -7)",
            *(transfer_id, int(House.FEE), int(House.REDEEMED)),
        )


async def test_transfer_without_postings_is_refused(app: asyncpg.Connection[Any]) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="has no postings"):
        await app.execute("INSERT INTO ledger_transfers (kind) VALUES ('tip')")


async def test_purchase_is_paid_by_one_movement_alone(fan: Buyer, app: asyncpg.Connection[Any]) -> None:
    bought = await fan.buy()
    booked = "SELECT transfer_id FROM purchase_movements WHERE purchase_id = $1"
    transfer_id = await app.fetchval(booked, UUID(bought["id"]))
    with pytest.raises(asyncpg.UniqueViolationError, match="purchase_movements_paid_once"):
        await app.execute(
            """INSERT INTO purchase_movements (id, purchase_id, kind, cents, fee_cents, transfer_id)
               VALUES ($1, $2, 'purchase', 999, 59, $3)""",
            *(f"txn_{uuid4().hex}", UUID(bought["id"]), transfer_id),
        )
