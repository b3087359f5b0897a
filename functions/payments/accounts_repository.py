"""The accounts that creators are paid to, in Postgres: SQL and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from shared.postgres.pool import database
from shared.postgres.transaction import Transaction

if TYPE_CHECKING:
    from asyncpg import Record

_ACCOUNT: Final = "user_id, account_id, attempt, status"


@dataclass(frozen=True, slots=True)
class AccountRow:
    """Where a creator is paid to; `account_id` is None until Stripe has answered."""

    user_id: str
    account_id: str | None
    attempt: int
    status: str


async def find(transaction: Transaction, user_id: str) -> AccountRow | None:
    row = await transaction.fetchrow(f"SELECT {_ACCOUNT} FROM payout_accounts WHERE user_id = $1", UUID(user_id))
    return None if row is None else _account(row)


async def begin(transaction: Transaction, user_id: str) -> AccountRow:
    """A creator's account, or the row of one that is to be made, under a new attempt where the last one is closed."""
    row = await transaction.fetchrow(
        f"""INSERT INTO payout_accounts AS a (user_id) VALUES ($1)
            ON CONFLICT (user_id) DO UPDATE SET
                   attempt = a.attempt + (a.status = 'closed')::int,
                   account_id = CASE WHEN a.status <> 'closed' THEN a.account_id END,
                   status = CASE WHEN a.status <> 'closed' THEN a.status ELSE 'pending' END
            RETURNING {_ACCOUNT}""",
        UUID(user_id),
    )
    assert row is not None
    return _account(row)


async def set_found(account: AccountRow, account_id: str, status: str) -> bool:
    """What Stripe has told of this attempt's account; False when there is another one by now."""
    row = await database().fetchrow_writing(
        """UPDATE payout_accounts SET account_id = $3, status = $4
            WHERE user_id = $1 AND attempt = $2 AND coalesce(account_id, $3) = $3 RETURNING user_id""",
        *(UUID(account.user_id), account.attempt, account_id, status),
    )
    return row is not None


async def count_attempt(account: AccountRow) -> None:
    """The next call to Stripe is another one."""
    await database().fetchrow_writing(
        """UPDATE payout_accounts SET attempt = attempt + 1 WHERE user_id = $1 AND attempt = $2 AND account_id IS NULL
            RETURNING user_id""",
        *(UUID(account.user_id), account.attempt),
    )


async def set_status(transaction: Transaction, account_id: str, status: str) -> None:
    """One that is closed is so for good, whatever a refusal made us think of it."""
    await transaction.execute(
        "UPDATE payout_accounts SET status = $2 WHERE account_id = $1 AND status <> 'closed'", account_id, status
    )


def _account(row: Record) -> AccountRow:
    return AccountRow(**{**row, "user_id": str(row["user_id"])})
