"""Payouts that were left half done: resumed, adopted, or given up, and never sent twice."""

from __future__ import annotations

from uuid import UUID

import pytest

from functions.payments import payouts
from functions.payments.schemas import PayoutIn
from shared.http.problems import PayoutAccountMissing
from tests.functions.payments.payees import Payees
from tests.functions.payments.people import new_key
from tests.functions.payments.reconciling import (
    NOTHING,
    Figures,
    ask,
    ask_and_die,
    due_in,
    earner,
    make_due,
    make_sent_ago,
    post_to_stripe,
    run,
    sent_keys,
)
from tools.local.stripe.faults import Mode

pytestmark = pytest.mark.slow

SENT_AND_PAID: Figures = (1, 1, 0, 0)  # what is sent is asked for right after that, by the same run
ADOPTED: Figures = (0, 1, 0, 0)
FAILED: Figures = (0, 0, 1, 0)
TRANSFERS = "POST /v1/transfers"


@pytest.fixture
async def creator(payees: Payees) -> str:
    """May have 1,000 tokens paid out."""
    return await earner(payees)


async def _is_paid(payees: Payees, payout_id: str, creator: str) -> None:
    assert (await payees.status(payout_id), await payees.earnings(creator)) == ("paid", 0)
    sent = [one for one in payees.world.stripe.transfers.values() if one["transfer_group"] == payout_id]
    assert len(sent) == 1
    await make_due(payees.world)
    assert await run() == NOTHING


async def _is_failed(payees: Payees, payout_id: str, creator: str) -> None:
    assert (await payees.status(payout_id), await payees.available(creator)) == ("failed", 1000)
    await make_due(payees.world)
    assert await run() == NOTHING


async def _unsent(payees: Payees, creator: str, mode: Mode = Mode.DOWN) -> str:
    """A payout that was sent, and of which we have heard nothing. `lost`: it went out all the same."""
    await payees.world.stripe.faults.set(mode, only=TRANSFERS)
    payout_id = await ask(creator)
    await payees.world.stripe.faults.set(Mode.OK)
    assert (await payees.status(payout_id), await payees.transfer_of(payout_id)) == ("submitted", "None")
    assert len(payees.world.stripe.transfers) == (mode is Mode.LOST)
    payees.world.stripe.reset_counters()
    return payout_id


# Under 20 hours, and after that


async def test_reserved_payout_whose_sender_died_is_sent(
    payees: Payees, creator: str, fresh_process: pytest.MonkeyPatch
) -> None:
    payout_id = await ask_and_die(creator, fresh_process)
    assert await payees.status(payout_id) == "reserved"
    assert await run() == SENT_AND_PAID
    await _is_paid(payees, payout_id, creator)
    assert sent_keys(payees.world.stripe) == [f"payout:{payout_id}"]


async def test_payout_that_somebody_may_be_sending_is_left_alone(payees: Payees, creator: str) -> None:
    payout_id = await _unsent(payees, creator)
    assert 0 < await due_in(payees.world, payout_id) <= 30
    assert await run() == NOTHING
    assert payees.world.stripe.transfers == {}
    await make_due(payees.world)
    assert await run() == SENT_AND_PAID


@pytest.mark.parametrize("hours", [0, 19.9])
async def test_unheard_of_payout_is_sent_again_under_the_same_key(payees: Payees, creator: str, hours: float) -> None:
    payout_id = await _unsent(payees, creator)
    await make_sent_ago(payees.world, payout_id, hours)
    assert await run() == SENT_AND_PAID
    assert sent_keys(payees.world.stripe) == [f"payout:{payout_id}"]
    await _is_paid(payees, payout_id, creator)


@pytest.mark.parametrize(
    "hours", [pytest.param(20.1, marks=pytest.mark.slow), 21, pytest.param(24.9, marks=pytest.mark.slow)]
)
async def test_unheard_of_payout_waits_when_stripe_may_have_forgotten_its_key(
    payees: Payees, creator: str, hours: float
) -> None:
    payout_id = await _unsent(payees, creator)
    for _ in range(2):
        await make_sent_ago(payees.world, payout_id, hours)
        assert await run() == NOTHING
        assert 290 < await due_in(payees.world, payout_id) <= 300
    assert (sent_keys(payees.world.stripe), await payees.status(payout_id)) == ([], "submitted")
    await make_sent_ago(payees.world, payout_id, 25.1)
    assert await run() == SENT_AND_PAID
    assert sent_keys(payees.world.stripe) == [f"payout:{payout_id}:2"]
    await _is_paid(payees, payout_id, creator)


async def test_the_25_hours_are_since_it_was_sent_last(payees: Payees, creator: str) -> None:
    payout_id = await _unsent(payees, creator)
    await make_sent_ago(payees.world, payout_id, 30)
    await payees.world.owner.execute("UPDATE payouts SET sent_at = now() - interval '10.2 hours'")
    assert await run() == NOTHING
    assert (sent_keys(payees.world.stripe), await payees.status(payout_id)) == ([], "submitted")


async def test_each_new_attempt_has_a_day_of_its_own(payees: Payees, creator: str) -> None:
    payout_id = await _unsent(payees, creator)
    await make_sent_ago(payees.world, payout_id, 26)
    await payees.world.stripe.faults.set(Mode.DOWN, only=TRANSFERS)
    assert await run() == (1, 0, 0, 0)
    await payees.world.stripe.faults.set(Mode.OK)
    await make_sent_ago(payees.world, payout_id, 21)
    assert await run() == NOTHING
    await make_sent_ago(payees.world, payout_id, 26)
    assert await run() == SENT_AND_PAID
    assert sent_keys(payees.world.stripe) == [f"payout:{payout_id}:2", f"payout:{payout_id}:3"]


@pytest.mark.parametrize(
    "hours", [pytest.param(0, marks=pytest.mark.slow), 21, 26, pytest.param(1000, marks=pytest.mark.slow)]
)
async def test_transfer_that_we_do_not_know_of_is_adopted(payees: Payees, creator: str, hours: float) -> None:
    payout_id = await _unsent(payees, creator, Mode.LOST)
    await make_sent_ago(payees.world, payout_id, hours)
    assert await run() == ADOPTED
    assert sent_keys(payees.world.stripe) == []
    await _is_paid(payees, payout_id, creator)


async def test_sender_that_died_after_its_claim_is_no_sender_that_never_sent(payees: Payees, creator: str) -> None:
    """It is `submitted` from the claim on; had it been sent, its transfer would be there."""
    payout_id = await _unsent(payees, creator, Mode.LOST)
    await payees.world.owner.execute("UPDATE users SET status = 'suspended' WHERE id = $1", UUID(creator))
    await make_due(payees.world)
    assert await run() == ADOPTED
    assert await payees.status(payout_id) == "paid"


# No funds


async def test_payout_without_funds_is_paid_after_a_top_up(payees: Payees, creator: str) -> None:
    stripe = payees.world.stripe
    account_id = await payees.world.owner.fetchval(
        "SELECT account_id FROM payout_accounts WHERE user_id = $1", UUID(creator)
    )
    form = {"amount": str(stripe.available_cents - 4999), "currency": "usd", "destination": account_id}
    await post_to_stripe(stripe, "transfers", form)  # the house has paid somebody with it
    assert await run() == (0, 1, 0, 0)
    stripe.reset_counters()
    payout_id = await ask(creator)
    assert await payees.status(payout_id) == "submitted"
    assert 590 < await due_in(payees.world, payout_id) <= 600
    assert await run() == NOTHING, "it is not due"
    await make_due(payees.world)
    assert await run() == (1, 0, 0, 0), "still not"
    stripe.top_up(1)
    await make_due(payees.world)
    assert await run() == (1, 2, 0, 0), "the money that came in is booked as well"
    assert sent_keys(stripe) == [f"payout:{payout_id}", f"payout:{payout_id}:2", f"payout:{payout_id}:3"]
    await _is_paid(payees, payout_id, creator)


# Accounts


async def test_payout_fails_when_its_account_was_closed_before_it_was_sent(
    payees: Payees, creator: str, fresh_process: pytest.MonkeyPatch
) -> None:
    payout_id = await ask_and_die(creator, fresh_process)
    sql = "SELECT account_id FROM payouts"
    payees.world.stripe.close_account(await payees.world.owner.fetchval(sql))
    assert await run() == FAILED
    await _is_failed(payees, payout_id, creator)
    with pytest.raises(PayoutAccountMissing):
        await payouts.request(creator, PayoutIn(tokens=1000), new_key())


async def test_payout_is_paid_when_its_account_was_closed_after_it_was_sent(payees: Payees, creator: str) -> None:
    payout_id = await ask(creator)
    payees.world.stripe.close_account(await payees.world.owner.fetchval("SELECT account_id FROM payouts"))
    assert await run() == ADOPTED
    await _is_paid(payees, payout_id, creator)


# Suspended meanwhile


@pytest.mark.parametrize("change", ["status = 'suspended'", "status = 'closed'", "is_creator = false"])
async def test_payout_that_was_never_sent_fails_when_they_may_not_be_paid_any_more(
    payees: Payees, creator: str, fresh_process: pytest.MonkeyPatch, change: str
) -> None:
    payout_id = await ask_and_die(creator, fresh_process)
    await payees.world.owner.execute(f"UPDATE users SET {change} WHERE id = $1", UUID(creator))  # noqa: S608
    assert await run() == FAILED
    assert sent_keys(payees.world.stripe) == []
    await _is_failed(payees, payout_id, creator)


async def test_payout_that_may_have_been_sent_waits_when_they_are_suspended(payees: Payees, creator: str) -> None:
    payout_id = await _unsent(payees, creator)
    await payees.world.set_status(creator, "suspended")
    for hours in (0, 12, 21, 24.9):
        await make_sent_ago(payees.world, payout_id, hours)
        assert await run() == NOTHING, hours
        assert await payees.status(payout_id) == "submitted"
    await make_sent_ago(payees.world, payout_id, 25.1)
    assert await run() == FAILED
    assert sent_keys(payees.world.stripe) == []
    await _is_failed(payees, payout_id, creator)


async def test_payout_is_paid_when_they_are_active_again(payees: Payees, creator: str) -> None:
    payout_id = await _unsent(payees, creator)
    await payees.world.set_status(creator, "suspended")
    await make_due(payees.world)
    assert await run() == NOTHING
    await payees.world.set_status(creator, "active")
    await make_due(payees.world)
    assert await run() == SENT_AND_PAID
    await _is_paid(payees, payout_id, creator)
