"""Drift: an alarm when the ledger is not what is at Stripe, on every run, and none while money is on its way."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from functions.payments import books, transfers
from functions.payments.ledger import House
from tests.functions.payments.payees import Payees
from tests.functions.payments.reconciling import NOTHING, Log, ask, earner, run


async def _plant(owner: asyncpg.Connection[Any], cents: int, *, hours: float = 0) -> None:
    """Money in the ledger that is not at Stripe; no trigger has anything against it."""
    async with owner.transaction():
        made = await owner.fetchrow(
            """INSERT INTO ledger_transfers (kind, created_at) VALUES ('house', now() - $1 * interval '1 hour')
               RETURNING id, created_at""",
            hours,
        )
        assert made is not None
        await owner.execute(
            """INSERT INTO ledger_postings (transfer_id, account_id, amount, created_at)
               VALUES ($1, $2, $4, $6), ($1, $3, $5, $6)""",
            *(made["id"], int(House.STRIPE), int(House.REVENUE), cents, -cents, made["created_at"]),
        )


async def _drift(log: Log) -> int:
    log.clear()
    await run()
    assert log.errors == [f"the ledger is {log.drift} cents away from what is at Stripe"] * bool(log.drift)
    return log.drift


async def _age(owner: asyncpg.Connection[Any], hours: float) -> None:
    """All that was posted is so much older. No posting ever changes: that is switched off, and on again."""
    async with owner.transaction():
        for table in ("ledger_postings", "ledger_transfers"):
            await owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_never_change")
            await owner.execute(f"UPDATE {table} SET created_at = created_at - $1 * interval '1 hour'", hours)  # noqa: S608
            await owner.execute(f"ALTER TABLE {table} ENABLE TRIGGER {table}_never_change")


async def _mark(owner: asyncpg.Connection[Any]) -> tuple[float, int] | None:
    """How many hours ago the ledger was summed up to, and to what."""
    row = await owner.fetchrow(
        """SELECT extract(epoch FROM now() - at)::float8 / 3600 AS hours, cents FROM reconcile_marks
            WHERE name = 'ledger'"""
    )
    return None if row is None else (row["hours"], row["cents"])


async def _sum(owner: asyncpg.Connection[Any], older_than_hours: float) -> int:
    return int(
        await owner.fetchval(
            """SELECT coalesce(sum(amount), 0) FROM ledger_postings
                WHERE account_id = $1 AND created_at <= now() - $2 * interval '1 hour'""",
            *(int(House.STRIPE), older_than_hours),
        )
    )


@pytest.mark.plants_a_fault
@pytest.mark.parametrize(("cents", "hours"), [(1, 0), (-5000, 0), (12_345, 30), (-1, 30)])
async def test_drift_is_told_of_on_every_run(payees: Payees, log: Log, cents: int, hours: float) -> None:
    await ask(await earner(payees))
    assert await _drift(log) == 0
    if hours:
        await payees.world.owner.execute("DELETE FROM reconcile_marks WHERE name = 'ledger'")
    await _plant(payees.world.owner, cents, hours=hours)
    assert [await _drift(log) for _ in range(3)] == [-cents] * 3
    await _plant(payees.world.owner, -cents)
    assert await _drift(log) == 0


async def test_payment_that_comes_in_between_is_no_drift(
    payees: Payees, log: Log, fresh_process: pytest.MonkeyPatch
) -> None:
    """It is at Stripe, and nobody has told us of it, nor had reconcile found it by then."""
    world, look = payees.world, transfers.balance_cents
    fan, payout_id = await world.person(), await ask(await earner(payees))
    assert await _drift(log) == 0
    bought = [await world.begin(fan, "t100") for _ in range(2)]
    unpaid = list(bought)

    async def look_late() -> int:
        if unpaid:
            world.stripe.confirm(unpaid.pop().intent)
        if len(unpaid) == 1:
            world.stripe.reverse(await payees.transfer_of(payout_id), 1000)
        return await look()

    with fresh_process.context() as patch:
        patch.setattr(transfers, "balance_cents", look_late)
        assert await _drift(log) == 0
    assert (await world.tokens(fan), await payees.status(payout_id)) == ((0, 0), "paid")
    await run()
    assert await world.tokens(fan) == (200, 0)
    assert await _drift(log) == 0


@pytest.mark.plants_a_fault
async def test_what_is_told_of_ten_minutes_late_is_drift(
    payees: Payees, log: Log, fresh_process: pytest.MonkeyPatch
) -> None:
    """If reconcile itself cannot book it."""
    bought = await payees.world.begin(await payees.world.person(), "t100")
    payees.world.stripe.advance(-books.OVERLAP_SECONDS - 5)
    payees.world.stripe.confirm(bought.intent)
    payees.world.stripe.advance(books.OVERLAP_SECONDS + 5)
    await payees.world.owner.execute("UPDATE purchases SET price_cents = 998")  # not what was asked for: it is parked
    log.clear()
    await run()
    assert log.drift == 999 - 59
    assert log.errors[-1] == f"the ledger is {999 - 59} cents away from what is at Stripe"


# The sum that is kept


@pytest.mark.plants_a_fault
async def test_kept_sum_is_the_plain_sum_of_what_is_an_hour_old(payees: Payees, log: Log) -> None:
    owner, planted = payees.world.owner, 0
    await payees.fund()
    await _age(owner, 100)
    await payees.fund()
    assert await _drift(log) == 0
    hours, cents = await _mark(owner) or (0, 0)
    assert (round(hours, 1), cents) == (1.0, await _sum(owner, 50)), "the first run summed up what there was"
    for place, ago in enumerate((0.1, 1.5, 2.5, 3.5, 4.5)):
        await _plant(owner, 10**place, hours=ago)
        planted += 10**place
        await owner.execute(
            "UPDATE reconcile_marks SET at = now() - interval '4 hours', cents = $1 WHERE name = 'ledger'",
            await _sum(owner, 4),
        )
        for _ in range(2):
            assert await _drift(log) == -planted, ago
            hours, cents = await _mark(owner) or (0, 0)
            assert (round(hours, 1), cents) == (1.0, await _sum(owner, 1))


async def test_kept_sum_is_not_advanced_by_every_run(payees: Payees, log: Log) -> None:
    owner = payees.world.owner
    await _age(owner, 1000)
    await run()
    for ago, advances in ((1.5, False), (1.99, False), (2.01, True), (500, True)):
        await owner.execute("UPDATE reconcile_marks SET at = now() - $1 * interval '1 hour' WHERE name = 'ledger'", ago)
        assert await _drift(log) == 0
        hours, _ = await _mark(owner) or (0, 0)
        assert round(hours, 2) == (1.0 if advances else ago)


async def test_postings_of_the_last_hour_are_summed_up_anew(payees: Payees, log: Log) -> None:
    """Their transactions are seen later than they are dated."""
    owner = payees.world.owner
    assert await _drift(log) == 0
    old = await _sum(owner, 1)
    for _ in range(3):
        await payees.fund()
        assert await _drift(log) == 0
        assert (await _mark(owner) or (0, None))[1] == old
    assert await run() == NOTHING
