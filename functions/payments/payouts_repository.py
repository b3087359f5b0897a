"""Payouts in Postgres: SQL and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from shared.http.cursors import Cursor, microseconds, moment
from shared.postgres.pool import database
from shared.postgres.transaction import Transaction

if TYPE_CHECKING:
    from asyncpg import Record

LATEST: Final = "payouts"  # the latest first

OPEN: Final = ("reserved", "submitted")
_IS_OPEN: Final = "status IN ('requested', 'reserved', 'submitted')"
_PAYOUT: Final = """
    id, creator_id, tokens, amount_cents, currency, account_id, status, fence, attempt, transfer_id, net_cents,
    redeemed_tokens, created_at,
    extract(epoch FROM clock_timestamp() - first_sent_at)::float8 AS first_sent_seconds,
    extract(epoch FROM clock_timestamp() - sent_at)::float8 AS sent_seconds
"""


@dataclass(frozen=True, slots=True)
class PayoutRow:
    """`first_sent_seconds` and `sent_seconds` ago this attempt was sent, or was about to be: first, and last."""

    id: str
    creator_id: str
    tokens: int
    amount_cents: int
    currency: str
    account_id: str
    status: str
    fence: int
    attempt: int
    transfer_id: str | None
    net_cents: int
    redeemed_tokens: int
    created_at: datetime
    first_sent_seconds: float | None
    sent_seconds: float | None

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    def cursor(self) -> Cursor:
        return Cursor(LATEST, microseconds(self.created_at), UUID(self.id))


async def has_open(transaction: Transaction, creator_id: str) -> bool:
    row = await transaction.fetchrow(f"SELECT FROM payouts WHERE creator_id = $1 AND {_IS_OPEN}", UUID(creator_id))
    return row is not None


async def insert(
    transaction: Transaction, *, creator_id: str, tokens: int, cents: int, currency: str, account_id: str
) -> PayoutRow | None:
    """A payout whose tokens are reserved in this transaction; None when the creator has an open one."""
    row = await transaction.fetchrow(
        f"""INSERT INTO payouts (creator_id, tokens, amount_cents, currency, account_id) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT DO NOTHING RETURNING {_PAYOUT}""",
        *(UUID(creator_id), tokens, cents, currency, account_id),
    )
    return None if row is None else _payout(row)


async def claim(payout_id: str, *, fence: int, seconds: float) -> PayoutRow | None:
    """Take on a payout that nobody else has since; None when somebody has. Nobody may for `seconds` from now. It is
    sent next: what is committed says so."""
    row = await database().fetchrow_writing(
        f"""UPDATE payouts SET {_SENT}, fence = fence + 1, due_at = clock_timestamp() + make_interval(secs => $3)
             WHERE id = $1 AND fence = $2 AND {_IS_OPEN} RETURNING {_PAYOUT}""",
        *(UUID(payout_id), fence, seconds),
    )
    return None if row is None else _payout(row)


async def claim_next(*, seconds: float) -> PayoutRow | None:
    """Take on the one that has been due for longest, for `seconds`; None when none is due. Two never get the same."""
    row = await database().fetchrow_writing(
        f"""UPDATE payouts SET fence = fence + 1, due_at = clock_timestamp() + make_interval(secs => $1)
             WHERE id = (SELECT id FROM payouts WHERE {_IS_OPEN} AND due_at <= clock_timestamp()
                          ORDER BY due_at, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)
            RETURNING {_PAYOUT}""",
        seconds,
    )
    return None if row is None else _payout(row)


_SENT: Final = """
    status = 'submitted', sent_at = clock_timestamp(), first_sent_at = coalesce(first_sent_at, clock_timestamp())
"""


async def mark_sent(payout: PayoutRow) -> bool:
    """It is sent next, under the same key; False when somebody else has claimed it since."""
    row = await database().fetchrow_writing(
        f"UPDATE payouts SET {_SENT} WHERE id = $1 AND fence = $2 AND {_IS_OPEN} RETURNING id",
        *(UUID(payout.id), payout.fence),
    )
    return row is not None


async def begin_attempt(payout: PayoutRow, *, due_seconds: float) -> PayoutRow | None:
    """The next time it is sent under another key: what was sent under this one has come to nothing, for certain. None
    when somebody else has claimed it since."""
    row = await database().fetchrow_writing(
        f"""UPDATE payouts SET attempt = attempt + 1, first_sent_at = NULL, sent_at = NULL,
                   due_at = clock_timestamp() + make_interval(secs => $3)
             WHERE id = $1 AND fence = $2 AND {_IS_OPEN} RETURNING {_PAYOUT}""",
        *(UUID(payout.id), payout.fence, due_seconds),
    )
    return None if row is None else _payout(row)


async def put_off(payout: PayoutRow, *, seconds: float, transfer_id: str | None = None) -> None:
    """Let reconcile have it in so many seconds, unless somebody else has claimed it since. With a `transfer_id` it went
    out."""
    await database().fetchrow_writing(
        f"""UPDATE payouts SET due_at = clock_timestamp() + make_interval(secs => $3),
                   transfer_id = coalesce(transfer_id, $4)
             WHERE id = $1 AND fence = $2 AND {_IS_OPEN} RETURNING id""",
        *(UUID(payout.id), payout.fence, seconds, transfer_id),
    )


async def lock(transaction: Transaction, payout_id: str) -> PayoutRow | None:
    """It stays as it is until this transaction ends."""
    row = await transaction.fetchrow(f"SELECT {_PAYOUT} FROM payouts WHERE id = $1 FOR NO KEY UPDATE", UUID(payout_id))
    return None if row is None else _payout(row)


async def set_outcome(
    transaction: Transaction,
    payout: PayoutRow,
    *,
    status: str,
    transfer_id: str | None,
    net_cents: int,
    redeemed_tokens: int,
) -> None:
    await transaction.execute(
        """UPDATE payouts SET status = $2, transfer_id = coalesce(transfer_id, $3), net_cents = $4, redeemed_tokens = $5
            WHERE id = $1""",
        *(UUID(payout.id), status, transfer_id, net_cents, redeemed_tokens),
    )


async def list_latest(creator_id: str, *, after: Cursor | None, limit: int) -> list[PayoutRow]:
    """A creator's payouts, by keyset."""
    place = "" if after is None else "AND (created_at, id) < ($3, $4)"
    rows = await database().fetch(
        f"SELECT {_PAYOUT} FROM payouts WHERE creator_id = $1 {place} ORDER BY created_at DESC, id DESC LIMIT $2",
        *(UUID(creator_id), limit),
        *(() if after is None else (moment(after.value), after.row_id)),
    )
    return [_payout(row) for row in rows]


async def known_movements(transaction: Transaction, payout_id: str, ids: Sequence[str]) -> set[str]:
    """Stripe's balance transactions that are booked already; of these ids, those too that are taken for the house's."""
    rows = await transaction.fetch(
        """SELECT stripe_id FROM payout_movements WHERE payout_id = $1 AND stripe_id IS NOT NULL
           UNION ALL SELECT id FROM house_movements WHERE id = ANY($2)""",
        *(UUID(payout_id), ids),
    )
    return {row["stripe_id"] for row in rows}


async def insert_movement(
    transaction: Transaction, payout_id: str, transfer_id: UUID, *, stripe_id: str | None = None, cents: int = 0
) -> None:
    """A transfer of the ledger that is a part of this payout."""
    await transaction.execute(
        "INSERT INTO payout_movements (transfer_id, payout_id, stripe_id, cents) VALUES ($1, $2, $3, $4)",
        *(transfer_id, UUID(payout_id), stripe_id, cents),
    )


def _payout(row: Record) -> PayoutRow:
    return PayoutRow(**{**row, "id": str(row["id"]), "creator_id": str(row["creator_id"])})
