"""Earnings and supporters in Postgres: SQL and nothing else.

Earned are the positive postings on a creator's account, less what a payout gave back, which was earned before. Each sum
is a range of the index ledger_postings_by_account, and of the table nothing. No row at all: there is no such creator.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from uuid import UUID

from shared.http.cursors import Cursor
from shared.postgres.pool import database

SUPPORTERS: Final = "supporters"  # by tokens, most first
_DAY: Final = timedelta(days=1)

_CREATOR: Final = "creators c LEFT JOIN ledger_accounts a ON a.user_id = c.user_id AND a.kind = 'earnings'"
_EARNED: Final = """
    p.account_id = a.id AND p.amount > 0 AND p.transfer_id <> ALL (ARRAY(
        SELECT m.transfer_id FROM payouts o JOIN payout_movements m ON m.payout_id = o.id WHERE o.creator_id = $1))
"""


@dataclass(frozen=True, slots=True)
class PastRow:
    last_6_days: int
    last_29_days: int
    lifetime: int
    supporters: int


@dataclass(frozen=True, slots=True)
class TodayRow:
    total: int
    new_supporters: int
    payouts_paid_cents: int


@dataclass(frozen=True, slots=True)
class SupporterRow:
    id: str
    username: str
    tokens: int
    charges: int

    def cursor(self) -> Cursor:
        return Cursor(SUPPORTERS, self.tokens, UUID(self.id))


async def earnings(creator_id: str, first: date, last: date) -> dict[date, int] | None:
    """Tokens of these days, both included, by day; none of a day without."""
    rows = await database().fetch(
        f"""SELECT e.day, e.total::bigint
              FROM {_CREATOR} LEFT JOIN LATERAL (
                   SELECT date_bin('1 day', p.created_at, $2) AS day, sum(p.amount) AS total
                     FROM ledger_postings p WHERE {_EARNED} AND p.created_at >= $2 AND p.created_at < $3
                    GROUP BY 1
              ) e ON true
             WHERE c.user_id = $1""",
        *(UUID(creator_id), _midnight(first), _midnight(last + _DAY)),
    )
    return {row["day"].date(): row["total"] for row in rows if row["day"] is not None} if rows else None


async def past(creator_id: str, today: date) -> PastRow | None:
    """As it was when this day began."""
    row = await database().fetchrow(
        f"""SELECT e.last_6_days::bigint, e.last_29_days::bigint, e.lifetime::bigint, (
                   SELECT count(DISTINCT g.payer_id) FROM charges g WHERE g.creator_id = $1 AND g.created_at < $2
                   ) AS supporters
              FROM {_CREATOR} CROSS JOIN LATERAL (
                   SELECT coalesce(sum(p.amount) FILTER (WHERE p.created_at >= $3), 0) AS last_6_days,
                          coalesce(sum(p.amount) FILTER (WHERE p.created_at >= $4), 0) AS last_29_days,
                          coalesce(sum(p.amount), 0) AS lifetime
                     FROM ledger_postings p WHERE {_EARNED} AND p.created_at < $2
              ) e
             WHERE c.user_id = $1""",
        *(UUID(creator_id), _midnight(today), _midnight(today - 6 * _DAY), _midnight(today - 29 * _DAY)),
    )
    return None if row is None else PastRow(**row)


async def today(creator_id: str, today: date) -> TodayRow | None:
    """What this day adds to it, and what was ever paid out. Costs what the day's charges do."""
    row = await database().fetchrow(
        f"""SELECT e.total::bigint, e.new_supporters, (
                   SELECT coalesce(sum(o.net_cents), 0) FROM payouts o WHERE o.creator_id = $1
                   ) AS payouts_paid_cents
              FROM {_CREATOR} CROSS JOIN LATERAL (
                   SELECT coalesce(sum(p.amount), 0) AS total,
                          count(DISTINCT g.payer_id) FILTER (WHERE NOT EXISTS (
                              SELECT FROM charges b
                               WHERE b.creator_id = $1 AND b.payer_id = g.payer_id AND b.created_at < $2
                          )) AS new_supporters
                     FROM ledger_postings p LEFT JOIN charges g ON g.transfer_id = p.transfer_id
                    WHERE {_EARNED} AND p.created_at >= $2 AND p.created_at < $3
              ) e
             WHERE c.user_id = $1""",
        *(UUID(creator_id), _midnight(today), _midnight(today + _DAY)),
    )
    return None if row is None else TodayRow(**row)


async def is_creator(creator_id: str) -> bool:
    return await database().fetchrow("SELECT FROM creators WHERE user_id = $1", UUID(creator_id)) is not None


async def list_supporters(creator_id: str, *, after: Cursor | None, limit: int) -> list[SupporterRow]:
    """By what they spent, most first, by keyset. Each page adds up the creator's charges, from an index alone. Whoever
    was suspended or closed their account is not shown."""
    place = "" if after is None else "HAVING (sum(g.tokens), g.payer_id) < ($3, $4)"
    rows = await database().fetch(  # OFFSET 0: those of the page alone are looked up, not all users there are
        f"""SELECT s.payer_id, u.username, s.tokens, s.charges
              FROM (SELECT g.payer_id, sum(g.tokens) AS tokens, count(*) AS charges
                      FROM charges g WHERE g.creator_id = $1 GROUP BY g.payer_id {place}
                     ORDER BY sum(g.tokens) DESC, g.payer_id DESC) s
             CROSS JOIN LATERAL (
                   SELECT u.username FROM users u WHERE u.id = s.payer_id AND u.status = 'active' OFFSET 0) u
             ORDER BY s.tokens DESC, s.payer_id DESC LIMIT $2""",
        *(UUID(creator_id), limit),
        *(() if after is None else (after.value, after.row_id)),
    )
    return [SupporterRow(str(row["payer_id"]), row["username"], row["tokens"], row["charges"]) for row in rows]


def _midnight(day: date) -> datetime:
    """As it begins."""
    return datetime.combine(day, time.min, UTC)
