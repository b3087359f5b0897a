"""What reconcile needs of Postgres beside the repositories of others: SQL and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from functions.payments.ledger import House
from functions.payments.movements import Entry
from shared.postgres.pool import database
from shared.postgres.transaction import Transaction

EVENTS_KEPT_DAYS: Final = 30
_ENTRIES: Final = "entries"
_LEDGER: Final = "ledger"

_BOOKED: Final = """
    SELECT id FROM purchase_movements WHERE id = ANY($1)
    UNION ALL SELECT stripe_id FROM payout_movements WHERE stripe_id = ANY($1)
    UNION ALL SELECT id FROM house_movements WHERE id = ANY($1)
"""

# A transaction's rows are dated by its beginning and seen from its end, seconds later. So what is summed up once and
# for all is an hour old, and the rest is added anew.
_COMPARED: Final = f"""
    WITH mark AS (SELECT coalesce(max(at), '-infinity') AS at, coalesce(max(cents), 0) AS cents
                    FROM reconcile_marks WHERE name = '{_LEDGER}'),
         sums AS (SELECT coalesce(sum(p.amount) FILTER (WHERE p.created_at <= now() - interval '1 hour'), 0) AS old,
                         coalesce(sum(p.amount) FILTER (WHERE p.created_at > now() - interval '1 hour'), 0) AS young
                    FROM mark, ledger_postings p WHERE p.account_id = {int(House.STRIPE)} AND p.created_at > mark.at),
         kept AS (INSERT INTO reconcile_marks AS m (name, at, cents)
                  SELECT '{_LEDGER}', now() - interval '1 hour', mark.cents + sums.old FROM mark, sums
                   WHERE mark.at < now() - interval '2 hours'
                  ON CONFLICT (name) DO UPDATE SET at = excluded.at, cents = excluded.cents)
    SELECT (mark.cents + sums.old + sums.young)::bigint AS cents,
           (SELECT coalesce(sum(e.net), 0) FROM unnest($1::text[], $2::bigint[]) AS e (id, net)
             WHERE e.id NOT IN ({_BOOKED}))::bigint AS missing
      FROM mark, sums
"""


async def find_mark() -> float | None:
    """Up to when Stripe's entries were looked at, in seconds since 1970; None before the first time."""
    row = await database().fetchrow("SELECT at FROM reconcile_marks WHERE name = $1", _ENTRIES)
    return None if row is None else float(row["at"].timestamp())


async def set_mark(seconds: float) -> None:
    """Never back: of two that overlap the slower one may be the later to say so."""
    await database().fetchrow_writing(
        """INSERT INTO reconcile_marks AS m (name, at) VALUES ($1, $2)
           ON CONFLICT (name) DO UPDATE SET at = greatest(m.at, excluded.at) RETURNING at""",
        *(_ENTRIES, datetime.fromtimestamp(seconds, UTC)),
    )


async def booked_among(entry_ids: Sequence[str], transaction: Transaction | None = None) -> set[str]:
    """Those of Stripe's balance transactions that are in the books."""
    rows = await (transaction or database()).fetch(_BOOKED, entry_ids)
    return {row["id"] for row in rows}


async def compare(entries: Sequence[Entry]) -> tuple[int, int]:
    """The ledger's cents at Stripe, and the net cents of those of these entries that are not booked, of one moment."""
    row = await database().fetchrow_writing(
        _COMPARED, *([entry.id for entry in entries], [entry.cents - entry.fee_cents for entry in entries])
    )
    assert row is not None
    return row["cents"], row["missing"]


async def lock_entry(transaction: Transaction, entry_id: str) -> bool:
    """Have this entry to ourselves until the transaction ends; whether it is still to be booked."""
    await transaction.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", entry_id)
    return not await booked_among([entry_id], transaction)


async def insert_house_movement(transaction: Transaction, entry: Entry, transfer_id: object) -> None:
    await transaction.execute(
        "INSERT INTO house_movements (id, type, cents, fee_cents, transfer_id) VALUES ($1, $2, $3, $4, $5)",
        *(entry.id, entry.type, entry.cents, entry.fee_cents, transfer_id),
    )


async def claim_purchase() -> str | None:
    """The payment of a pending purchase that has been due for longest; None when none is. It is due again when it is
    twice as old, and after a day no more."""
    row = await database().fetchrow_writing(
        """UPDATE purchases SET due_at = CASE WHEN created_at < now() - interval '1 day' THEN 'infinity'
                   ELSE now() + greatest(now() - created_at, interval '10 minutes') END
            WHERE id = (SELECT id FROM purchases
                         WHERE status = 'pending' AND payment_intent_id IS NOT NULL AND due_at <= now()
                         ORDER BY due_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)
           RETURNING payment_intent_id"""
    )
    return None if row is None else row["payment_intent_id"]


async def put_off_purchase(intent_id: str) -> None:
    """It could not be asked for: soon again."""
    await database().fetchrow_writing(
        "UPDATE purchases SET due_at = now() + interval '1 minute' WHERE payment_intent_id = $1 RETURNING id", intent_id
    )


async def purge_events(*, limit: int) -> int:
    """Forget events that were dealt with long ago; those that are parked stay until somebody has looked."""
    rows = await database().fetch_writing(
        """DELETE FROM stripe_events WHERE id IN (
               SELECT id FROM stripe_events
                WHERE received_at < now() - make_interval(days => $1) AND outcome <> 'parked'
                ORDER BY received_at LIMIT $2)
           RETURNING id""",
        *(EVENTS_KEPT_DAYS, limit),
    )
    return len(rows)
