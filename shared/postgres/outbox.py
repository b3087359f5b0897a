"""The outbox: which cached values a change made untrue, kept in Postgres until Redis has dropped them.

The row is written in the change's own transaction. It is sent right after the commit; when the process dies before
that, or Upstash is out, `drain` (reconcile's) sends it later. Dropping twice is harmless. Until a lost drop is sent, a
value's soft expiry bounds how long the old one is served.
"""

from __future__ import annotations

from typing import Final

from shared import telemetry
from shared.http.problems import UpstreamUnavailable
from shared.postgres.transaction import Begin, Transaction
from shared.upstash.client import upstash
from shared.upstash.errors import UpstashError

ROWS_PER_DRAIN: Final = 200  # far under the statement timeout; what is left is for the next


async def record(transaction: Transaction, keys: list[str]) -> int:
    """Write a row, as the transaction's last statement; return its id."""
    row = await transaction.fetchrow("INSERT INTO cache_outbox (keys) VALUES ($1) RETURNING id", keys)
    assert row is not None
    return int(row["id"])


async def send(begin: Begin, row_id: int, keys: list[str]) -> None:
    """Drop the values of a committed row, and then the row. What fails stays for `drain`."""
    try:
        await _drop(keys)
        async with begin() as transaction:
            await transaction.execute("DELETE FROM cache_outbox WHERE id = $1", row_id)
    except (UpstashError, UpstreamUnavailable) as error:
        telemetry.logger().warning("a cached value will be dropped later: %s", type(error).__name__)


async def drain(begin: Begin) -> int:
    """Drop the values of rows that are still there, oldest first; return how many rows. Runs may overlap.

    Raise UpstashUnavailable or UpstashRefused while Redis cannot be told, or DatabaseUnavailable.
    """
    async with begin() as transaction:
        rows = await transaction.fetch(
            "SELECT id, keys FROM cache_outbox ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED", ROWS_PER_DRAIN
        )
        if rows:
            await _drop(sorted({key for row in rows for key in row["keys"]}))
            await transaction.execute("DELETE FROM cache_outbox WHERE id = ANY($1)", [row["id"] for row in rows])
    return len(rows)


async def _drop(keys: list[str]) -> None:
    """One DEL. Where no Upstash is configured nothing is cached."""
    client = upstash()
    if client is not None:
        await client.execute(["DEL", *keys])
