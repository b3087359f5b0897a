"""Purchases, charges and Stripe's events in Postgres: SQL and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from functions.payments.ledger import Returned
from functions.payments.movements import Movement
from functions.payments.packages import Package
from shared.postgres.pool import database
from shared.postgres.transaction import Transaction

if TYPE_CHECKING:
    from asyncpg import Record

_PURCHASE: Final = """
    id, user_id, package_id, tokens, price_cents, currency, status, attempt, payment_intent_id, client_secret,
    returned_cents, created_at
"""


@dataclass(frozen=True, slots=True)
class PurchaseRow:
    id: str
    user_id: str
    package_id: str
    tokens: int
    price_cents: int
    currency: str
    status: str
    attempt: int
    payment_intent_id: str | None
    client_secret: str | None
    returned_cents: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Party:
    """A creator, as others see them beside something else."""

    id: str
    username: str
    display_name: str
    avatar_url: str | None


@dataclass(frozen=True, slots=True)
class Person:
    """A user who pays or is paid, whose status stays as it is until the transaction ends."""

    party: Party
    is_creator: bool
    is_active: bool
    has_proven_address: bool


@dataclass(frozen=True, slots=True)
class ChargeRow:
    id: str
    created_at: datetime


async def lock_people(transaction: Transaction, *user_ids: str) -> dict[str, Person]:
    """Shared locks: those who are paid by many at once make nobody wait."""
    rows = await transaction.fetch(
        """SELECT u.id, u.username, u.display_name, u.is_creator, u.status = 'active' AS is_active,
                  u.email_verified_at IS NOT NULL AS has_proven_address,
                  (SELECT c.avatar_url FROM creators c WHERE c.user_id = u.id) AS avatar_url
             FROM users u WHERE u.id = ANY($1) ORDER BY u.id FOR SHARE OF u""",
        [UUID(user_id) for user_id in user_ids],
    )
    return {
        str(row["id"]): Person(
            Party(str(row["id"]), row["username"], row["display_name"], row["avatar_url"]),
            is_creator=row["is_creator"],
            is_active=row["is_active"],
            has_proven_address=row["has_proven_address"],
        )
        for row in rows
    }


async def insert_purchase(transaction: Transaction, user_id: str, package: Package) -> PurchaseRow:
    row = await transaction.fetchrow(
        f"""INSERT INTO purchases (user_id, package_id, tokens, price_cents, currency)
            VALUES ($1, $2, $3, $4, $5) RETURNING {_PURCHASE}""",
        *(UUID(user_id), package.id, package.tokens, package.price_cents, package.currency),
    )
    assert row is not None
    return _purchase(row)


async def find_purchase(user_id: str, purchase_id: str) -> PurchaseRow | None:
    """A user's own."""
    row = await database().fetchrow(
        f"SELECT {_PURCHASE} FROM purchases WHERE id = $1 AND user_id = $2", UUID(purchase_id), UUID(user_id)
    )
    return None if row is None else _purchase(row)


async def lock_purchase(transaction: Transaction, purchase_id: str) -> PurchaseRow | None:
    """It stays as it is until this transaction ends."""
    row = await transaction.fetchrow(
        f"SELECT {_PURCHASE} FROM purchases WHERE id = $1 FOR NO KEY UPDATE", UUID(purchase_id)
    )
    return None if row is None else _purchase(row)


async def set_intent(
    transaction: Transaction, purchase_id: str, intent_id: str, client_secret: str
) -> PurchaseRow | None:
    """The purchase with its payment; None when it has another already."""
    row = await transaction.fetchrow(
        f"""UPDATE purchases SET payment_intent_id = $2, client_secret = $3
             WHERE id = $1 AND coalesce(payment_intent_id, $2) = $2 RETURNING {_PURCHASE}""",
        *(UUID(purchase_id), intent_id, client_secret),
    )
    return None if row is None else _purchase(row)


async def count_attempt(transaction: Transaction, purchase: PurchaseRow) -> None:
    """The next call to Stripe is another one."""
    await transaction.execute(
        "UPDATE purchases SET attempt = $2 + 1 WHERE id = $1 AND attempt = $2", UUID(purchase.id), purchase.attempt
    )


async def set_outcome(
    transaction: Transaction, purchase_id: str, *, intent_id: str, status: str, returned_cents: int
) -> None:
    await transaction.execute(
        "UPDATE purchases SET payment_intent_id = $2, status = $3, returned_cents = $4 WHERE id = $1",
        *(UUID(purchase_id), intent_id, status, returned_cents),
    )


async def list_returned(transaction: Transaction, purchase: PurchaseRow) -> dict[str, Returned]:
    """This purchase, and those of the same user of which something was taken back, the oldest first."""
    rows = await transaction.fetch(
        """SELECT id, tokens, price_cents, returned_cents FROM purchases
            WHERE user_id = $1 AND (returned_cents > 0 OR id = $2) ORDER BY created_at, id""",
        *(UUID(purchase.user_id), UUID(purchase.id)),
    )
    return {str(row["id"]): Returned(row["tokens"], row["price_cents"], row["returned_cents"]) for row in rows}


async def known_movements(transaction: Transaction, purchase_id: str, ids: Sequence[str]) -> dict[str, Movement]:
    """Stripe's balance transactions that are booked already; of these ids, those too that are taken for the house's."""
    rows = await transaction.fetch(
        """SELECT id, kind, cents, fee_cents FROM purchase_movements WHERE purchase_id = $1
           UNION ALL SELECT id, type, cents, fee_cents FROM house_movements WHERE id = ANY($2)""",
        *(UUID(purchase_id), ids),
    )
    return {row["id"]: Movement(**row) for row in rows}


async def insert_movement(transaction: Transaction, purchase_id: str, movement: Movement, transfer_id: UUID) -> None:
    await transaction.execute(
        """INSERT INTO purchase_movements (id, purchase_id, kind, cents, fee_cents, transfer_id)
           VALUES ($1, $2, $3, $4, $5, $6)""",
        *(movement.id, UUID(purchase_id), movement.kind, movement.cents, movement.fee_cents, transfer_id),
    )


async def insert_charge(
    transaction: Transaction,
    transfer_id: UUID,
    *,
    payer_id: str,
    creator_id: str,
    kind: str,
    tokens: int,
    fee_tokens: int,
    note: str | None,
) -> ChargeRow:
    row = await transaction.fetchrow(
        """INSERT INTO charges (transfer_id, payer_id, creator_id, kind, tokens, fee_tokens, note)
           VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id, created_at""",
        *(transfer_id, UUID(payer_id), UUID(creator_id), kind, tokens, fee_tokens, note),
    )
    assert row is not None
    return ChargeRow(str(row["id"]), row["created_at"])


async def is_known_event(event_id: str) -> bool:
    return await database().fetchrow("SELECT FROM stripe_events WHERE id = $1", event_id) is not None


async def insert_event(
    transaction: Transaction, event_id: str, event_type: str, outcome: str, reason: str | None
) -> None:
    """It is dealt with when this transaction commits."""
    await transaction.execute(
        """INSERT INTO stripe_events (id, type, outcome, reason) VALUES ($1, $2, $3, $4)
           ON CONFLICT (id) DO NOTHING""",
        *(event_id, event_type, outcome, reason),
    )


def _purchase(row: Record) -> PurchaseRow:
    return PurchaseRow(**{**row, "id": str(row["id"]), "user_id": str(row["user_id"])})
