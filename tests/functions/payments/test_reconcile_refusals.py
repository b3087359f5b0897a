"""What Stripe refuses, or hides, and what that must not lead to: money twice, tokens lost, others kept waiting."""

from __future__ import annotations

from uuid import UUID

import pytest

from functions.payments import books, intents, reconcile, senders, transfers
from functions.payments.movements import Payment, Transfer
from functions.payments.provider import ProviderFailed
from shared.http.problems import PaymentProviderUnavailable
from tests.functions.payments.payees import Payees
from tests.functions.payments.reconciling import (
    NOTHING,
    Log,
    ask,
    ask_and_die,
    earner,
    make_due,
    make_sent_ago,
    post_to_stripe,
    run,
    sent_keys,
)
from tools.local.stripe.faults import Mode

PRICE_CENTS = 999


@pytest.mark.parametrize("hours", [1.0, 21.0, 26.0])
async def test_payout_that_stripe_told_us_of_is_never_sent_again_when_it_is_not_listed(
    payees: Payees, log: Log, fresh_process: pytest.MonkeyPatch, hours: float
) -> None:
    """Somebody has changed it by hand, or it is of an account that our key does not see any more."""
    fresh_process.setattr(books, "YOUNG_SECONDS", 120)
    payout_id = await ask(await earner(payees))
    (made,) = payees.world.stripe.transfers.values()
    made["metadata"]["stage"] = "another"
    await make_sent_ago(payees.world, payout_id, hours)
    assert (await run())[::2] == (0, 0), "neither sent again nor given back"
    assert sent_keys(payees.world.stripe) == [f"payout:{payout_id}"]
    assert await payees.status(payout_id) == "submitted"
    assert f"payout {payout_id} was sent as {made['id']}, which is not listed" in log.errors
    made["metadata"]["stage"] = "local"
    await make_due(payees.world)
    await run()
    assert await payees.status(payout_id) == "paid"


async def test_what_was_taken_for_the_houses_is_not_booked_again(payees: Payees) -> None:
    """Somebody has to look: the payout stays as it is, and the books are right."""
    payout_id = await ask(await earner(payees))
    (made,) = payees.world.stripe.transfers.values()
    made["metadata"]["stage"] = "another"
    await run()
    made["metadata"]["stage"] = "local"
    await make_due(payees.world)
    await run()
    assert await payees.status(payout_id) == "submitted"
    assert sent_keys(payees.world.stripe) == [f"payout:{payout_id}"]


async def test_payout_that_is_refused_for_a_day_gives_its_tokens_back(
    payees: Payees, fresh_process: pytest.MonkeyPatch
) -> None:
    creator = await earner(payees)
    payout_id = await ask_and_die(creator, fresh_process)

    async def refuse(**_: object) -> Transfer:
        raise ProviderFailed(400, "transfers_not_allowed")

    with fresh_process.context() as patch:
        patch.setattr(transfers, "create", refuse)
        assert (await run())[2] == 0, "once is not enough"
        sql = "UPDATE payouts SET attempt = $2, due_at = now() WHERE id = $1"
        await payees.world.owner.execute(sql, UUID(payout_id), senders.MOST_REFUSALS)
        assert (await run())[2] == 1
    assert (await payees.status(payout_id), await payees.available(creator)) == ("failed", 1000)


async def test_want_of_funds_is_waited_for_however_long_it_takes(
    payees: Payees, fresh_process: pytest.MonkeyPatch
) -> None:
    payout_id = await ask_and_die(await earner(payees), fresh_process)
    sql = "UPDATE payouts SET attempt = $2 WHERE id = $1"
    await payees.world.owner.execute(sql, UUID(payout_id), 10 * senders.MOST_REFUSALS)

    async def refuse(**_: object) -> Transfer:
        raise ProviderFailed(400, transfers.NO_FUNDS)

    with fresh_process.context() as patch:
        patch.setattr(transfers, "create", refuse)
        assert (await run())[2] == 0
    await make_due(payees.world)
    await run()
    assert await payees.status(payout_id) == "paid"


@pytest.mark.parametrize(("status", "reason", "is_definitive"), [(403, None, False), (403, "account_invalid", True)])
def test_refusal_of_our_own_key_says_nothing_of_the_money(status: int, reason: str | None, is_definitive: bool) -> None:  # noqa: FBT001
    assert ProviderFailed(status, reason).is_definitive is is_definitive


async def test_entry_that_stripe_refuses_to_tell_more_of_keeps_nobody_from_the_others(
    payees: Payees, fresh_process: pytest.MonkeyPatch
) -> None:
    stripe, find = payees.world.stripe, intents.find_payment
    refused, other = [await payees.world.begin(await payees.world.person(), "t100") for _ in range(2)]
    stripe.confirm(other.intent)  # the older one: the latest are looked at first
    stripe.confirm(refused.intent)

    async def refuse(intent_id: str) -> Payment | None:
        if intent_id == refused.intent:
            raise ProviderFailed(400, "parameter_invalid")
        return await find(intent_id)

    with fresh_process.context() as patch:
        patch.setattr(intents, "find_payment", refuse)
        with pytest.raises(ProviderFailed):
            await reconcile.run()
    statuses = await payees.world.owner.fetch("SELECT id::text, status FROM purchases")
    assert {row["id"]: row["status"] for row in statuses} == {refused.id: "pending", other.id: "paid"}
    assert (await run())[1] == 1


async def test_stranger_is_looked_at_again_before_it_counts_as_one(
    payees: Payees, fresh_process: pytest.MonkeyPatch
) -> None:
    form = {"amount": str(PRICE_CENTS), "currency": "usd", "automatic_payment_methods[enabled]": "true"}
    foreign = await post_to_stripe(payees.world.stripe, "payment_intents", form)
    payees.world.stripe.confirm(foreign["id"])
    with fresh_process.context() as patch:
        patch.setattr(books, "YOUNG_SECONDS", 120)
        assert await run() == NOTHING
    assert await run() == (0, 1, 0, 0)


async def test_purchase_that_could_not_be_asked_for_is_asked_for_a_minute_later(payees: Payees) -> None:
    bought = await payees.world.begin(await payees.world.person(), "t100")
    await payees.world.owner.execute("UPDATE purchases SET created_at = now() - interval '2 days', due_at = now()")
    await payees.world.stripe.faults.set(Mode.DOWN)
    with pytest.raises(PaymentProviderUnavailable):
        await reconcile.run()
    await payees.world.stripe.faults.set(Mode.OK)
    sql = "SELECT extract(epoch FROM due_at - now())::float8 FROM purchases WHERE id = $1"
    assert 50 < await payees.world.owner.fetchval(sql, UUID(bought.id)) <= 60
