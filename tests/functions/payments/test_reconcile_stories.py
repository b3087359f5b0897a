"""From a fan's money to a creator's account, nobody having told of anything; and what is in the way of that."""

from __future__ import annotations

from uuid import UUID

import pytest

from functions.payments import payouts
from functions.payments.schemas import PayoutIn
from shared.http.problems import EmailUnverified
from tests.functions.payments.payees import Payees
from tests.functions.payments.people import new_key
from tests.functions.payments.reconciling import NOTHING, ask, run
from tests.functions.payments.world import Bought

pytestmark = pytest.mark.slow

AGED = ("ledger_postings", "ledger_transfers", "charges")


async def _tipped(payees: Payees, creator: str, tokens: int = 1250) -> tuple[str, Bought]:
    """A fan who has bought 5,000 tokens and given so many of them to the creator, just now; and their purchase."""
    world, fan = payees.world, await payees.world.person()
    bought = await world.begin(fan, "t5000")
    world.stripe.confirm(bought.intent)
    await run()
    assert (await world.charge(fan, creator, tokens)).status == 201
    return fan, bought


async def _let_days_pass(payees: Payees, days: float) -> None:
    """All in the books is so much older."""
    owner = payees.world.owner
    async with owner.transaction():
        for table in AGED:
            await owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            await owner.execute(f"UPDATE {table} SET created_at = created_at - $1 * interval '1 day'", days)  # noqa: S608
            await owner.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


async def _refuses(creator: str, tokens: int = 1000) -> None:
    answer = await payouts.request(creator, PayoutIn(tokens=tokens), new_key())
    assert (answer.status, answer.body) == (402, "insufficient_earnings")


async def _pays(payees: Payees, creator: str, tokens: int = 1000) -> None:
    payout_id = await ask(creator, tokens)
    assert await run() == (0, 1, 0, 0)
    assert await payees.status(payout_id) == "paid"
    assert await run() == NOTHING


async def test_tip_is_paid_out_when_its_days_have_passed(payees: Payees) -> None:
    creator = await payees.creator()
    await _tipped(payees, creator)
    assert (await payees.earnings(creator), await payees.available(creator)) == (1000, 0)
    await _refuses(creator)
    await _let_days_pass(payees, 6.9)
    await _refuses(creator)
    await _let_days_pass(payees, 0.2)
    await _pays(payees, creator)
    assert await payees.earnings(creator) == 0


async def test_tip_is_not_paid_out_before_its_earner_has_proven_their_address(payees: Payees) -> None:
    creator = await payees.creator()
    await _tipped(payees, creator)
    await _let_days_pass(payees, 8)
    owner = payees.world.owner
    await owner.execute("UPDATE users SET email_verified_at = NULL WHERE id = $1", UUID(creator))
    with pytest.raises(EmailUnverified):
        await payouts.request(creator, PayoutIn(tokens=1000), new_key())
    assert await owner.fetchval("SELECT count(*) FROM payouts") == 0
    await owner.execute("UPDATE users SET email_verified_at = now() WHERE id = $1", UUID(creator))
    await _pays(payees, creator)


async def test_tip_of_money_that_was_refunded_is_paid_out_when_the_fan_has_repaid_it(payees: Payees) -> None:
    creator = await payees.creator()
    fan, bought = await _tipped(payees, creator)
    await _let_days_pass(payees, 8)
    payees.world.stripe.refund(bought.intent)
    assert await run() == (0, 1, 0, 0)
    assert await payees.world.tokens(fan) == (0, 1250)
    assert (await payees.earnings(creator), await payees.available(creator)) == (1000, 0)
    await _refuses(creator)
    for package, owed in (("t1000", 250), ("t500", 0)):
        await _refuses(creator)
        payees.world.stripe.confirm((await payees.world.begin(fan, package)).intent)
        assert await run() == (0, 1, 0, 0)
        assert (await payees.world.tokens(fan))[1] == owed
    await _pays(payees, creator)


@pytest.mark.parametrize("won", [True, False])
async def test_tip_of_money_that_is_disputed_is_paid_out_when_that_is_won(payees: Payees, *, won: bool) -> None:
    creator = await payees.creator()
    fan, bought = await _tipped(payees, creator)
    await payees.fund()
    await _let_days_pass(payees, 8)
    dispute = payees.world.stripe.dispute(bought.intent)
    await run()
    await _refuses(creator)
    payees.world.stripe.close_dispute(dispute["id"], won=won)
    await run()
    if won:
        assert await payees.world.tokens(fan) == (3750, 0)
        await _pays(payees, creator)
    else:
        await _refuses(creator)


async def test_part_that_others_paid_for_is_paid_out(payees: Payees) -> None:
    creator = await payees.creator()
    _, bought = await _tipped(payees, creator)
    await _tipped(payees, creator, 2000)
    await _let_days_pass(payees, 8)
    payees.world.stripe.refund(bought.intent)
    await run()
    assert await payees.available(creator) == 1600
    await _refuses(creator, 1601)
    await _pays(payees, creator, 1600)


async def test_payout_on_its_way_goes_on_when_the_money_is_refunded_meanwhile(payees: Payees) -> None:
    """What comes too late is the house's loss: nothing of a payout is called back."""
    creator = await payees.creator()
    fan, bought = await _tipped(payees, creator)
    await payees.fund()
    await _let_days_pass(payees, 8)
    payout_id = await ask(creator)
    payees.world.stripe.refund(bought.intent)
    assert await run() == (0, 2, 0, 0)
    assert (await payees.status(payout_id), await payees.world.tokens(fan)) == ("paid", (0, 1250))
    assert (await payees.earnings(creator), await payees.available(creator)) == (0, 0)
