"""The ledger in Postgres: SQL and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from functions.payments.ledger import Account, Kind, Postings
from functions.payments.repository import Party
from shared.http.cursors import Cursor, microseconds, moment
from shared.postgres.pool import database
from shared.postgres.transaction import Transaction

if TYPE_CHECKING:
    from asyncpg import Record

ENTRIES: Final = "entries"  # the latest first


# Held are the earnings of the last days, less what a payout gave back, whose days were over; and of what is older, the
# part that somebody who owes tokens has spent: as many tokens as they owe, of what they spent last, as far as it was
# not paid out before they owed (payouts take the oldest first; those since then took what others spent).
_BALANCES: Final = """
    WITH mine AS (
        SELECT id, balance FROM ledger_accounts WHERE user_id = $1 AND kind = 'earnings'
    ), young AS (
        SELECT coalesce(sum(p.amount), 0) AS tokens FROM mine JOIN ledger_postings p ON p.account_id = mine.id
         WHERE p.amount > 0 AND p.created_at > now() - make_interval(days => $2)
           AND NOT EXISTS (SELECT FROM payout_movements m WHERE m.transfer_id = p.transfer_id)
    ), owed AS (
        SELECT c.created_at, c.unpaid - floor(c.unpaid * c.fee_tokens / c.tokens) AS tokens, debt.since
          FROM ledger_accounts debtor CROSS JOIN LATERAL (
               SELECT max(before.created_at) FILTER (WHERE before.balance >= 0) AS since FROM (
                   SELECT p.created_at, debtor.balance
                          - sum(p.amount) OVER (ORDER BY p.created_at DESC, p.transfer_id DESC) AS balance
                     FROM ledger_postings p WHERE p.account_id = debtor.id
               ) before
          ) debt CROSS JOIN LATERAL (
               SELECT g.creator_id, g.tokens, g.fee_tokens, g.created_at,
                      least(g.tokens, -debtor.balance - (sum(g.tokens) OVER latest - g.tokens)) AS unpaid
                 FROM charges g WHERE g.payer_id = debtor.user_id
               WINDOW latest AS (ORDER BY g.created_at DESC, g.id DESC ROWS UNBOUNDED PRECEDING)
          ) c
         WHERE debtor.kind = 'owed' AND debtor.balance < 0 AND c.creator_id = $1 AND c.unpaid > 0
           AND EXISTS (SELECT FROM charges m WHERE m.creator_id = $1 AND m.payer_id = debtor.user_id)
           AND c.created_at <= now() - make_interval(days => $2)
    ), earned_later AS ( -- one pass over what was earned since the oldest of these, and nothing where nobody owes
        SELECT tokens, since,
               sum(amount) OVER (ORDER BY created_at DESC RANGE UNBOUNDED PRECEDING EXCLUDE GROUP) AS later
          FROM (SELECT created_at, 0 AS amount, tokens, since FROM owed
                UNION ALL
                SELECT p.created_at, p.amount, NULL, NULL FROM mine JOIN ledger_postings p ON p.account_id = mine.id
                 WHERE p.amount > 0 AND p.created_at > (SELECT min(created_at) FROM owed)
                   AND NOT EXISTS (SELECT FROM payout_movements m WHERE m.transfer_id = p.transfer_id)) of_both
    ), unpaid AS (
        SELECT coalesce(sum(least(e.tokens, greatest(mine.balance - coalesce(e.later, 0) - (
                   SELECT coalesce(sum(p.amount), 0) FROM payouts o JOIN payout_movements m ON m.payout_id = o.id
                     JOIN ledger_postings p ON p.transfer_id = m.transfer_id AND p.account_id = mine.id
                    WHERE o.creator_id = $1 AND o.created_at >= e.since
               ), 0))), 0) AS tokens
          FROM mine CROSS JOIN earned_later e WHERE e.tokens IS NOT NULL
    )
    SELECT coalesce(sum(balance) FILTER (WHERE kind = 'wallet'), 0)::bigint AS tokens,
           coalesce(-sum(balance) FILTER (WHERE kind = 'owed'), 0)::bigint AS owed_tokens,
           coalesce(sum(balance) FILTER (WHERE kind = 'earnings'), 0)::bigint AS earnings_tokens,
           ((SELECT tokens FROM young) + (SELECT tokens FROM unpaid))::bigint AS held_tokens,
           coalesce(sum(balance) FILTER (WHERE kind = 'payout_transit'), 0)::bigint AS pending_payout_tokens
      FROM ledger_accounts WHERE user_id = $1
"""


@dataclass(frozen=True, slots=True)
class Balances:
    """What a user has, in tokens. `held_tokens` of the earnings cannot be paid out yet."""

    tokens: int
    owed_tokens: int
    earnings_tokens: int
    held_tokens: int
    pending_payout_tokens: int


@dataclass(frozen=True, slots=True)
class EntryRow:
    """A transfer as one user sees it: what it did to their tokens, and whom it was with, if that is a creator."""

    id: str
    kind: str
    tokens: int
    counterparty: Party | None
    created_at: datetime

    def cursor(self) -> Cursor:
        return Cursor(ENTRIES, microseconds(self.created_at), UUID(self.id))


async def lock_accounts(transaction: Transaction, *wanted: tuple[Kind, str]) -> dict[tuple[Kind, str], Account]:
    """These accounts of these users, which stay as they are until this transaction ends. Once a transaction: rows lock
    in the order of their ids, and a second call could not keep to that."""
    rows = await transaction.fetch(
        "SELECT * FROM lock_ledger_accounts($1, $2)",
        *([kind for kind, _ in wanted], [UUID(user_id) for _, user_id in wanted]),
    )
    return {
        (Kind(row["account_kind"]), str(row["account_user_id"])): Account(row["account_id"], row["account_balance"])
        for row in rows
    }


async def post(transaction: Transaction, kind: str, postings: Postings) -> UUID:
    """A transfer; its id. What does not sum to zero, or overdraws, makes the transaction fail."""
    row = await transaction.fetchrow(
        """WITH transfer AS (INSERT INTO ledger_transfers (kind) VALUES ($1) RETURNING id),
                posted AS (
                    INSERT INTO ledger_postings (transfer_id, account_id, amount)
                    SELECT transfer.id, p.account_id, p.amount
                      FROM transfer, unnest($2::bigint[], $3::bigint[]) AS p (account_id, amount)
                )
           SELECT id FROM transfer""",
        *(kind, list(postings), list(postings.values())),
    )
    assert row is not None
    transfer_id: UUID = row["id"]
    return transfer_id


async def balances(user_id: str, *, hold_days: int, transaction: Transaction | None = None) -> Balances:
    """A user's, in this transaction if there is one."""
    row = await (transaction or database()).fetchrow(
        _BALANCES,
        *(UUID(user_id), hold_days),
    )
    assert row is not None
    return Balances(**row)


async def list_entries(user_id: str, *, after: Cursor | None, limit: int) -> list[EntryRow]:
    """What moved a user's tokens, the latest first, by keyset. Page 1,000 costs what page 1 does. What a payout has in
    transit is out of their hands already."""
    place = "" if after is None else "AND (p.created_at, p.transfer_id) < ($3, $4)"
    rows = await database().fetch(
        f"""WITH mine AS (SELECT id FROM ledger_accounts WHERE user_id = $1 AND kind <> 'payout_transit'),
                 latest AS (
                     SELECT p.transfer_id, p.created_at, sum(p.amount)::bigint AS tokens
                       FROM mine CROSS JOIN LATERAL (
                            SELECT * FROM ledger_postings p WHERE p.account_id = mine.id {place}
                             ORDER BY p.created_at DESC, p.transfer_id DESC LIMIT $2
                       ) p
                      GROUP BY 1, 2 ORDER BY 2 DESC, 1 DESC LIMIT $2
                 )
            SELECT t.id, t.kind, l.tokens, t.created_at,
                   u.id AS party_id, u.username, u.display_name, c.avatar_url
              FROM latest l JOIN ledger_transfers t ON t.id = l.transfer_id
              LEFT JOIN charges g ON g.transfer_id = t.id
              LEFT JOIN creators c ON c.user_id = CASE WHEN g.payer_id = $1 THEN g.creator_id ELSE g.payer_id END
              LEFT JOIN users u ON u.id = c.user_id AND u.status = 'active'
             ORDER BY l.created_at DESC, l.transfer_id DESC""",
        *(UUID(user_id), limit),
        *(() if after is None else (moment(after.value), after.row_id)),
    )
    return [EntryRow(str(row["id"]), row["kind"], row["tokens"], _party(row), row["created_at"]) for row in rows]


def _party(row: Record) -> Party | None:
    if row["party_id"] is None:
        return None
    return Party(str(row["party_id"]), row["username"], row["display_name"], row["avatar_url"])
