"""What is past its days is forgotten, a thousand of each kind a run, and nothing a minute before that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from tests.functions.payments.payees import Payees
from tests.functions.payments.reconciling import NOTHING, Log, run

pytestmark = pytest.mark.slow

MINUTE, DAY = 60, 86_400


@pytest.fixture
async def owner(payees: Payees) -> asyncpg.Connection[Any]:
    return payees.world.owner


async def _purged(log: Log) -> int:
    log.clear()
    assert await run() == NOTHING
    (purged,) = log.metrics("ReconcilePurged")
    return purged


async def _session(
    owner: asyncpg.Connection[Any],
    name: str,
    *,
    created: float,
    ended: float | None,
    agent: str = "Firefox",
    ip: str = "",
) -> None:
    """Of so many seconds ago."""
    await owner.execute(
        """INSERT INTO sessions (user_id, token_hash, created_at, last_seen_at, ended_at, ip, user_agent)
           SELECT id, sha256($1::text::bytea), now() - $2 * interval '1 second', now(),
                  now() - $3 * interval '1 second', $4, $5
             FROM users ORDER BY id LIMIT 1""",
        *(name, created, ended, ip or name, agent),
    )


async def test_addresses_are_forgotten_30_days_after_the_end(owner: asyncpg.Connection[Any], log: Log) -> None:
    kept = {
        "ended just now": {"created": 5 * DAY, "ended": 0},
        "ended almost 30 days ago": {"created": 40 * DAY, "ended": 30 * DAY - MINUTE},
        "ended late in a long life": {"created": 59 * DAY, "ended": 29.5 * DAY},
        "nobody ended, alive": {"created": DAY, "ended": None},
        "nobody ended, over": {"created": 31 * DAY, "ended": None},
        "nobody ended, almost 30 days over": {"created": 60 * DAY - MINUTE, "ended": None},
    }
    forgotten = {
        "ended 30 days ago": {"created": 40 * DAY, "ended": 30 * DAY + MINUTE},
        "ended 30 days ago, at once": {"created": 30 * DAY + 2 * MINUTE, "ended": 30 * DAY + MINUTE},
        "ended years ago": {"created": 800 * DAY, "ended": 790 * DAY},
        "nobody ended, 30 days over": {"created": 60 * DAY + MINUTE, "ended": None},
    }
    for name, times in (kept | forgotten).items():
        await _session(owner, name, **times)  # type: ignore[arg-type]
    await _session(owner, "browser only", created=50 * DAY, ended=40 * DAY, ip=" ")
    await owner.execute("UPDATE sessions SET ip = '' WHERE ip = ' '")
    sessions = await owner.fetchval("SELECT count(*) FROM sessions")
    assert await _purged(log) == len(forgotten) + 1
    rows = await owner.fetch("SELECT ip FROM sessions WHERE ip <> '' AND user_agent = 'Firefox'")
    assert {row["ip"] for row in rows} == set(kept)
    assert await owner.fetchval("SELECT count(*) FROM sessions") == sessions, "the session itself stays"
    assert await owner.fetchval("SELECT count(*) FROM sessions WHERE (ip = '') <> (user_agent = '')") == 0
    assert await _purged(log) == 0


async def test_events_are_forgotten_30_days_after_they_came_unless_they_are_parked(
    owner: asyncpg.Connection[Any], log: Log
) -> None:
    for outcome in ("booked", "ignored", "parked"):
        for seconds in (0, 30 * DAY - MINUTE, 30 * DAY + MINUTE, 300 * DAY):
            await owner.execute(
                """INSERT INTO stripe_events (id, type, outcome, received_at)
                   VALUES ($1 || $2, 'x', $1, now() - $2::text::int * interval '1 second')""",
                *(outcome, str(seconds)),
            )
    assert await _purged(log) == 4
    rows = await owner.fetch("SELECT outcome, count(*) AS number FROM stripe_events GROUP BY 1")
    assert {row["outcome"]: row["number"] for row in rows} == {"booked": 2, "ignored": 2, "parked": 4}
    assert await owner.fetchval("SELECT max(now() - received_at) < '30 days' FROM stripe_events WHERE id !~ 'park'")
    assert await _purged(log) == 0


async def test_idempotency_keys_are_forgotten_30_days_after_they_were_used(
    owner: asyncpg.Connection[Any], log: Log
) -> None:
    for name, seconds in (("new", 0), ("almost", 30 * DAY - MINUTE), ("old", 30 * DAY + MINUTE), ("older", 90 * DAY)):
        await _keys(owner, [name], seconds)
    assert await _purged(log) == 2
    assert {row["key"] for row in await owner.fetch("SELECT key FROM idempotency_keys")} == {"new", "almost"}
    assert await _purged(log) == 0


async def _keys(owner: asyncpg.Connection[Any], names: Sequence[str], seconds: float) -> None:
    await owner.execute(
        """INSERT INTO idempotency_keys (user_id, route, key, body_hash, status, answer, created_at)
           SELECT (SELECT id FROM users ORDER BY id LIMIT 1), 'charge', name, sha256('x'), 201, '{}',
                  now() - $2 * interval '1 second' FROM unnest($1::text[]) AS n (name)""",
        *(names, seconds),
    )


async def test_a_thousand_of_each_kind_a_run_the_oldest_first(owner: asyncpg.Connection[Any], log: Log) -> None:
    await _keys(owner, [f"key-{number}" for number in range(1001)], 40 * DAY)
    await _keys(owner, ["the-youngest"], 35 * DAY)
    await owner.execute(
        """INSERT INTO stripe_events (id, type, outcome, received_at)
           SELECT 'evt_' || n, 'x', 'booked', now() - interval '40 days' - n * interval '1 second'
             FROM generate_series(1, 1003) n"""
    )
    await owner.execute(
        """INSERT INTO sessions (user_id, token_hash, created_at, ended_at, ip)
           SELECT (SELECT id FROM users ORDER BY id LIMIT 1), sha256(n::text::bytea), now() - interval '50 days',
                  now() - interval '40 days' - n * interval '1 second', '127.0.0.1' FROM generate_series(1, 1004) n"""
    )
    assert await _purged(log) == 3000
    left = {row["id"] for row in await owner.fetch("SELECT id FROM stripe_events")}
    assert left == {"evt_1", "evt_2", "evt_3"}
    assert {row["key"] for row in await owner.fetch("SELECT key FROM idempotency_keys")} > {"the-youngest"}
    assert await owner.fetchval("SELECT count(*) FROM sessions WHERE ip = '127.0.0.1' AND ended_at IS NOT NULL") == 4
    assert await _purged(log) == 2 + 3 + 4
    assert await _purged(log) == 0
