"""The outbox: which cached values a change made untrue, kept in Postgres until Redis has dropped them.

The row is written in the change's own transaction. It is sent right after the commit; when the process dies before
that, or Upstash is out, `drain` (reconcile's) sends it later. Dropping twice is harmless. Until a lost drop is sent, a
value's soft expiry bounds how long the old one is served.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from shared import telemetry
from shared.http.problems import UpstreamUnavailable
from shared.postgres.transaction import Begin, Transaction
from shared.upstash.client import upstash
from shared.upstash.errors import UpstashError

KEYS_PER_TRIP: Final = 50
KEYS_REMEMBERED: Final = 1000  # in this process; each is under 300 bytes
ROWS_PER_DRAIN: Final = 200  # far under the statement timeout; what is left is for the next

undelivered: Final[dict[str, None]] = {}


async def record(transaction: Transaction, keys: list[str]) -> int:
    """Write a row, as the transaction's last statement; return its id."""
    row = await transaction.fetchrow("INSERT INTO cache_outbox (keys) VALUES ($1) RETURNING id", keys)
    assert row is not None
    return int(row["id"])


async def send(begin: Begin, row_id: int | None, committed: Transaction) -> None:
    """Drop the values of a committed transaction, then its row. What fails, or is to wait, stays for the next trip and
    for `drain`."""
    if committed.drops_wait:
        undelivered.update(dict.fromkeys(committed.dropped))
        return
    try:
        await _drop(committed.dropped, committed.sent_after)
        committed.drops_confirmed = True
        if row_id is not None:
            async with begin() as transaction:
                await transaction.execute("DELETE FROM cache_outbox WHERE id = $1", row_id)
    except (UpstashError, UpstreamUnavailable) as error:
        if not committed.drops_confirmed:
            undelivered.update(dict.fromkeys(committed.dropped))
        telemetry.logger().warning("a cached value will be dropped later: %s", type(error).__name__)


def take_undelivered() -> list[str]:
    """The keys whose drop did not reach Redis, for the next trip that is made anyway; `give_back` them if it fails."""
    taken = list(undelivered)[:KEYS_PER_TRIP]
    for key in taken:
        del undelivered[key]
    return taken


def give_back(keys: list[str]) -> None:
    """They were not dropped after all. `drain` has the rows of those that are too many to remember here."""
    undelivered.update(dict.fromkeys(keys[: KEYS_REMEMBERED - len(undelivered)]))


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


async def _drop(keys: list[str], more: Sequence[list[Any]] = ()) -> None:
    """One trip. Raise UpstashError when the drop was not confirmed. Without an Upstash nothing is cached."""
    client = upstash()
    if client is None:
        return
    answers = await client.run(*([["DEL", *keys]] if keys else []), *more)
    if keys and isinstance(answers[0], UpstashError):
        raise answers[0]
