"""A creator's earnings of today: what payments changes all the time, and analytics shows beside the days that are over.

A day that is over changes no more: its part is cached by itself, and no charge drops it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

from pydantic import BaseModel

from shared.cache.space import Space
from shared.cache.spaces import ANALYTICS
from shared.postgres.transaction import Transaction
from shared.upstash import keys

# More than a transaction takes: what is dated before midnight is committed by this long after it.
SETTLED: Final = timedelta(seconds=10)


class Today(BaseModel):
    """Of one creator and one day, UTC. `total` in tokens, net of the fee; `new_supporters` had never paid before."""

    total: int
    new_supporters: int
    payouts_paid_cents: int  # ever


space: Final = Space(keys.ANALYTICS, "today", Today, ANALYTICS)


def key_parts(creator_id: str, today: date) -> tuple[str, str]:
    return creator_id, today.isoformat()


def forget(transaction: Transaction, creator_id: str, at: datetime) -> None:
    """Who reads the day of this moment after the transaction has committed reads it anew.

    Just before midnight that may be the next day already.
    """
    for day in sorted({at.astimezone(UTC).date(), (at + SETTLED).astimezone(UTC).date()}):
        space.drop(transaction, *key_parts(creator_id, day))
