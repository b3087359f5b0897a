"""What the demo's people have at Stripe: the fake one's accounts and funds, as the demo data in Postgres says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID, uuid5

import asyncpg

from functions.payments.ledger import house_moved
from tools.local.stripe.server import FakeStripe

FUNDS_CENTS: Final = 100_000_000  # far more than all that the demo's creators have earned
FUNDS_ID: Final = "txn_demo_funds"


def account_id(username: str) -> str:
    """The account of a demo creator, the same everywhere."""
    return f"acct_demo_{username}"


def seed(fake: FakeStripe, usernames: Sequence[str]) -> None:
    """Make what is missing, without a word: no webhook tells of it."""
    for username in usernames:
        fake.plant_account(account_id(username))
    fake.plant_funds(FUNDS_ID, FUNDS_CENTS)


async def load_payees(connection: asyncpg.Connection[Any], namespace: UUID, users: dict[str, UUID]) -> None:
    """The rows that go with it, in this connection's transaction: those that are missing."""
    await connection.execute(
        """INSERT INTO payout_accounts (user_id, account_id, status)
           SELECT p.user_id, p.account_id, 'active' FROM unnest($1::uuid[], $2::text[]) AS p (user_id, account_id)
            WHERE EXISTS (SELECT FROM users WHERE id = p.user_id) ON CONFLICT DO NOTHING""",
        *([*users.values()], [account_id(name) for name in users]),
    )
    transfer_id = uuid5(namespace, FUNDS_ID)
    # Reconcile may have found them at the fake Stripe first, and booked them under an id of its own.
    new = await connection.fetchval(
        """INSERT INTO ledger_transfers (id, kind)
           SELECT $1::uuid, 'house' WHERE NOT EXISTS (SELECT FROM house_movements WHERE id = $2)
           ON CONFLICT DO NOTHING RETURNING id""",
        *(transfer_id, FUNDS_ID),
    )
    if new is None:
        return
    postings = house_moved(cents=FUNDS_CENTS, fee_cents=0)
    await connection.execute(
        """INSERT INTO ledger_postings (transfer_id, account_id, amount)
           SELECT $1, p.account_id, p.amount FROM unnest($2::bigint[], $3::bigint[]) AS p (account_id, amount)""",
        *(transfer_id, [*postings], [*postings.values()]),
    )
    await connection.execute(
        "INSERT INTO house_movements (id, type, cents, fee_cents, transfer_id) VALUES ($1, 'topup', $2, 0, $3)",
        *(FUNDS_ID, FUNDS_CENTS, transfer_id),
    )
