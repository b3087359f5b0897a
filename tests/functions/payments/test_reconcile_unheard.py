"""Events that never arrive: one run of reconcile finds what each would have told, and the next run finds nothing."""

from __future__ import annotations

import pytest

from tests.functions.payments.payees import Payees
from tests.functions.payments.reconciling import (
    NOTHING,
    SETTLED,
    Log,
    ask,
    due_in,
    earner,
    make_due,
    run,
    settles,
)
from tests.functions.payments.world import Bought
from tools.local.stripe.errors import StripeRefused

HOUR = 3600


# Payments


async def _paid(payees: Payees, package: str = "t100") -> tuple[str, Bought]:
    """A fan, and what they bought, which is settled."""
    fan = await payees.world.person()
    bought = await payees.world.begin(fan, package)
    payees.world.stripe.confirm(bought.intent)
    await run()
    assert await payees.world.status(bought.id) == "paid"
    return fan, bought


async def test_payment_is_found(payees: Payees, log: Log) -> None:
    fan = await payees.world.person()
    bought = await payees.world.begin(fan, "t100")
    payees.world.stripe.confirm(bought.intent)
    assert (await payees.world.status(bought.id), await payees.world.tokens(fan)) == ("pending", (0, 0))
    await settles(payees, log)
    assert (await payees.world.status(bought.id), await payees.world.tokens(fan)) == ("paid", (100, 0))


@pytest.mark.parametrize("fails", ["declined", "canceled"])
async def test_payment_that_failed_is_found_when_it_is_due(payees: Payees, log: Log, fails: str) -> None:
    fan = await payees.world.person()
    bought = await payees.world.begin(fan, "t100")
    if fails == "declined":
        with pytest.raises(StripeRefused):
            payees.world.stripe.confirm(bought.intent, "pm_card_chargeDeclined")
    else:
        payees.world.stripe.cancel(bought.intent)
    assert await run() == NOTHING, "it has ten minutes"
    await make_due(payees.world)
    await settles(payees, log)
    assert (await payees.world.status(bought.id), await payees.world.tokens(fan)) == ("failed", (0, 0))


async def test_payment_that_nobody_makes_is_asked_for_ever_less_often_and_for_a_day(payees: Payees) -> None:
    bought = await payees.world.begin(await payees.world.person(), "t100")
    owner, stripe = payees.world.owner, payees.world.stripe
    for hours, next_hours in ((0.2, 0.2), (3, 3), (23.9, 23.9), (24.1, None)):
        await owner.execute(
            "UPDATE purchases SET created_at = now() - $1 * interval '1 hour', due_at = now() - interval '1 second'",
            hours,
        )
        for asked in (1, 0):
            stripe.reset_counters()
            assert await run() == NOTHING
            assert sum(one.path == f"/v1/payment_intents/{bought.intent}" for one in stripe.seen) == asked, hours
        left = await owner.fetchval("SELECT extract(epoch FROM nullif(due_at, 'infinity') - now()) FROM purchases")
        assert left is None if next_hours is None else abs(float(left) - next_hours * HOUR) < 60


async def test_refund_is_found(payees: Payees, log: Log) -> None:
    fan, bought = await _paid(payees)
    payees.world.stripe.refund(bought.intent, 500)
    await settles(payees, log)
    assert (await payees.world.status(bought.id), await payees.world.tokens(fan)) == ("paid", (50, 0))
    payees.world.stripe.refund(bought.intent)
    await settles(payees, log)
    assert (await payees.world.status(bought.id), await payees.world.tokens(fan)) == ("refunded", (0, 0))


async def test_refund_that_failed_is_found(payees: Payees, log: Log) -> None:
    fan, bought = await _paid(payees)
    payees.world.stripe.fail_refund(payees.world.stripe.refund(bought.intent)["id"])
    await settles(payees, log)
    assert (await payees.world.status(bought.id), await payees.world.tokens(fan)) == ("paid", (100, 0))


@pytest.mark.parametrize("won", [True, False])
async def test_dispute_and_its_end_are_found(payees: Payees, log: Log, *, won: bool) -> None:
    fan, bought = await _paid(payees)
    dispute = payees.world.stripe.dispute(bought.intent)
    await settles(payees, log)
    assert (await payees.world.status(bought.id), await payees.world.tokens(fan)) == ("disputed", (0, 0))
    payees.world.stripe.close_dispute(dispute["id"], won=won)
    await settles(payees, log, SETTLED if won else NOTHING)
    after = ("paid", (100, 0)) if won else ("disputed", (0, 0))
    assert (await payees.world.status(bought.id), await payees.world.tokens(fan)) == after


# Payouts


async def test_transfer_is_found(payees: Payees, log: Log) -> None:
    creator = await earner(payees)
    payout_id = await ask(creator)
    assert (await payees.status(payout_id), await payees.earnings(creator)) == ("submitted", 0)
    await settles(payees, log)
    assert (await payees.status(payout_id), await payees.earnings(creator)) == ("paid", 0)


async def test_transfer_is_found_by_stripes_entries_when_the_payout_is_not_due(payees: Payees, log: Log) -> None:
    payout_id = await ask(await earner(payees))
    await payees.world.owner.execute("UPDATE payouts SET due_at = now() + interval '1 hour'")
    await settles(payees, log)
    assert await payees.status(payout_id) == "paid"
    assert await due_in(payees.world, payout_id) > HOUR - 60, "nobody has claimed it"


@pytest.mark.parametrize(
    ("cents", "status", "earned"),
    [
        ([5000], "reversed", 1000),
        ([7], "paid", 1),
        pytest.param([4000, 1000], "reversed", 1000, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("is_paid", [True, False])
async def test_reversal_is_found(
    payees: Payees, log: Log, cents: list[int], status: str, earned: int, *, is_paid: bool
) -> None:
    """Also when it was reversed before we knew that it was paid."""
    creator = await earner(payees)
    payout_id = await ask(creator)
    if is_paid:
        await settles(payees, log)
    for part in cents:
        payees.world.stripe.reverse(await payees.transfer_of(payout_id), part)
    await settles(payees, log)
    assert (await payees.status(payout_id), await payees.earnings(creator)) == (status, earned)
    assert await payees.available(creator) == earned


async def test_more_reversals_than_are_listed_with_a_transfer_are_found(payees: Payees, log: Log) -> None:
    creator = await earner(payees)
    payout_id = await ask(creator)
    await settles(payees, log)
    for _ in range(13):
        payees.world.stripe.reverse(await payees.transfer_of(payout_id), 50)
    await settles(payees, log)
    assert (await payees.status(payout_id), await payees.earnings(creator)) == ("paid", 130)
