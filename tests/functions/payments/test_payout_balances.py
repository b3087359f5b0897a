"""What of a creator's earnings may be paid out: what is past its days, and was not spent by somebody who owes it."""

from __future__ import annotations

import pytest

from functions.payments import payouts
from functions.payments.schemas import PayoutIn
from shared.settings import settings
from tests.functions.payments.payees import Payees
from tests.functions.payments.people import new_key
from tests.functions.payments.world import World


@pytest.fixture
async def payees(world: World) -> Payees:
    return Payees(world)


# The hold


async def test_earnings_of_the_last_days_are_held(payees: Payees, fresh_process: pytest.MonkeyPatch) -> None:
    fan, creator = await payees.world.person(), await payees.creator()
    ages = (0, 0.9, 1.1, 6.99, 7.01, 29.9, 30.1)
    for place, days in enumerate(ages):
        await payees.earn(fan, creator, 100 * 2**place, days=days)
    for hold in (7, 0, 1, 30):
        if hold != 7:  # which is what it is where nobody says
            fresh_process.setenv("PAYOUT_HOLD_DAYS", str(hold))
            settings.cache_clear()
        old = sum(80 * 2**place for place, days in enumerate(ages) if days >= hold)
        assert (await payees.earnings(creator), await payees.available(creator)) == (80 * 127, old), hold


async def test_what_is_held_is_not_paid_out(payees: Payees) -> None:
    fan, creator = await payees.world.person(), await payees.creator()
    await payees.fund()
    await payees.earn(fan, creator, 1250, days=6.99)
    await _assert_refused(payees, creator, 1000)
    await payees.earn(fan, creator, 1250, days=7.01)
    await _assert_refused(payees, creator, 1001)
    assert await payees.status(await payees.pay_out(creator, 1000)) == "paid"
    assert (await payees.earnings(creator), await payees.available(creator)) == (1000, 0)
    await _assert_refused(payees, creator, 1000)


async def test_what_a_payout_gave_back_is_available_at_once(payees: Payees) -> None:
    fan, creator = await payees.world.person(), await payees.creator()
    await payees.fund()
    await payees.earn(fan, creator, 2500, days=8)
    await payees.earn(fan, creator, 100, days=1)
    payout_id = await payees.pay_out(creator, 1600)
    assert await payees.available(creator) == 400
    transfer_id = await payees.transfer_of(payout_id)
    payees.world.stripe.reverse(transfer_id, 3000)
    await payees.tell()
    assert (await payees.status(payout_id), await payees.available(creator)) == ("paid", 1000)
    payees.world.stripe.reverse(transfer_id)
    await payees.tell()
    assert (await payees.status(payout_id), await payees.available(creator)) == ("reversed", 2000)
    assert await payees.earnings(creator) == 2080
    assert await payees.status(await payees.pay_out(creator, 2000)) == "paid"
    assert await payees.available(creator) == 0


# Debts


async def test_what_a_fan_in_debt_spent_is_not_available_until_it_is_repaid(payees: Payees) -> None:
    fan, creator = await payees.world.person(), await payees.creator()
    await payees.earn(fan, creator, 1000, days=10)
    await payees.owe(fan, 300)
    assert await payees.available(creator) == 800 - 240
    await payees.owe(fan, 50)
    assert await payees.available(creator) == 800 - 280
    for left in (250, 150, 50, 0):
        await payees.repay(fan)
        assert await payees.available(creator) == 800 - left * 8 // 10
    assert await payees.earnings(creator) == 800, "never touched"


async def test_more_is_owed_than_was_spent_here(payees: Payees) -> None:
    fan, creator = await payees.world.person(), await payees.creator()
    await payees.earn(fan, creator, 100, days=10)
    await payees.owe(fan, 1000)
    assert (await payees.earnings(creator), await payees.available(creator)) == (80, 0)


async def test_what_was_spent_last_is_what_is_owed(payees: Payees) -> None:
    """Of two creators, the one who was paid last has to wait; of one charge, the part that is owed."""
    fan, first, last = await payees.world.person(), await payees.creator(), await payees.creator()
    await payees.earn(fan, first, 200, days=20)
    await payees.earn(fan, last, 100, days=15)
    await payees.earn(fan, first, 50, days=10)
    for more, of_first, of_last in ((20, 184, 80), (30, 160, 80), (60, 160, 32), (40, 160, 0), (150, 40, 0)):
        await payees.owe(fan, more)
        assert (await payees.available(first), await payees.available(last)) == (of_first, of_last), more


async def test_what_was_spent_in_the_last_days_is_held_once(payees: Payees) -> None:
    fan, creator = await payees.world.person(), await payees.creator()
    await payees.earn(fan, creator, 200, days=10)
    await payees.earn(fan, creator, 100, days=1)
    await payees.owe(fan, 60)
    assert await payees.available(creator) == 160, "it is of what is held anyway"
    await payees.owe(fan, 60)
    assert await payees.available(creator) == 160 - 16


async def test_fee_of_what_is_owed_is_rounded_as_the_charges(payees: Payees) -> None:
    fan, creator = await payees.world.person(), await payees.creator()
    await payees.earn(fan, creator, 9, days=10)  # of which 1 is the fee
    for owed, held in ((1, 1), (5, 5), (9, 8)):
        await payees.owe(fan, owed - (await payees.world.tokens(fan))[1])
        assert await payees.available(creator) == 8 - held, owed


async def test_debts_of_others_and_of_the_creator_hold_nothing(payees: Payees) -> None:
    fan, other, creator = await payees.world.person(), await payees.world.person(), await payees.creator()
    await payees.earn(fan, creator, 1000, days=10)
    await payees.owe(other, 500)
    await payees.owe(creator, 500)
    assert await payees.available(creator) == 800


async def test_two_fans_in_debt_hold_what_each_has_spent(payees: Payees) -> None:
    one, two, creator = await payees.world.person(), await payees.world.person(), await payees.creator()
    for days in (30, 20, 10):
        await payees.earn(one, creator, 100, days=days)
        await payees.earn(two, creator, 100, days=days + 1)
    await payees.owe(one, 50)
    await payees.owe(two, 120)
    assert await payees.available(creator) == 480 - 40 - 96


# Debts, and payouts before and after


async def test_what_was_paid_out_before_the_debt_is_not_taken_from_what_came_later(payees: Payees) -> None:
    thief, fan, creator = await payees.world.person(), await payees.world.person(), await payees.creator()
    await payees.fund()
    await payees.earn(thief, creator, 2000, days=30)
    await payees.pay_out(creator, 1600)
    await payees.earn(fan, creator, 2000, days=10)
    await payees.owe(thief, 1000)
    assert await payees.available(creator) == 1600
    await payees.owe(thief, 1000)
    assert await payees.status(await payees.pay_out(creator, 1600)) == "paid"


async def test_part_that_was_paid_out_before_the_debt_is_gone_and_the_rest_is_held(payees: Payees) -> None:
    thief, fan, creator = await payees.world.person(), await payees.world.person(), await payees.creator()
    await payees.fund()
    await payees.earn(thief, creator, 2000, days=30)
    await payees.pay_out(creator, 1000)
    await payees.earn(fan, creator, 1000, days=10)
    await payees.owe(thief, 500)
    assert await payees.available(creator) == 200 + 800
    for _ in range(3):
        await payees.owe(thief, 500)
    assert await payees.available(creator) == 800


async def test_what_is_owed_stays_held_however_often_the_rest_is_paid_out(payees: Payees) -> None:
    """The thief spent first, so that payouts of what others spent would seem to be of the thief's."""
    thief, fan, creator = await payees.world.person(), await payees.world.person(), await payees.creator()
    await payees.fund()
    await payees.earn(thief, creator, 2000, days=30)
    await payees.earn(fan, creator, 2000, days=10)
    await payees.owe(thief, 1000)
    await payees.owe(thief, 1000)
    assert await payees.available(creator) == 1600
    await payees.pay_out(creator, 1600)
    assert (await payees.earnings(creator), await payees.available(creator)) == (1600, 0)
    await _assert_refused(payees, creator, 1000)


async def _assert_refused(payees: Payees, creator: str, tokens: int) -> None:
    answer = await payouts.request(creator, PayoutIn(tokens=tokens), new_key())
    assert (answer.status, answer.body) == (402, "insufficient_earnings")
