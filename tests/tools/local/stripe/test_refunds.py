"""Refunds by the real SDK: their bounds, and what fails after it succeeded."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import stripe

from tests.tools.local.stripe.sdk import every, intend, pay
from tools.local.stripe.errors import StripeRefused
from tools.local.stripe.server import FakeStripe


async def test_all_of_it_goes_back_but_the_fee(client: stripe.V1Services, fake: FakeStripe) -> None:
    paid = await pay(client)
    refund: Any = await client.refunds.create_async(
        {
            "payment_intent": paid.id,
            "metadata": {"refund_id": "r1"},
            "reason": "requested_by_customer",
            "expand": ["balance_transaction", "charge"],
        }
    )
    assert (refund.status, refund.amount, refund.payment_intent) == ("succeeded", 1000, paid.id)
    assert (refund.balance_transaction.amount, refund.balance_transaction.fee) == (-1000, 0)
    assert (refund.charge.amount_refunded, refund.charge.refunded) == (1000, True)
    assert fake.balance_cents == -59
    assert [event["type"] for event in fake.events][-2:] == ["refund.created", "charge.refunded"]
    assert await client.refunds.retrieve_async(refund.id) == await client.refunds.retrieve_async(refund.id)


async def test_more_than_is_left_is_refused(client: stripe.V1Services, fake: FakeStripe) -> None:
    paid = await pay(client)
    charge = str(paid.latest_charge)
    await client.refunds.create_async({"charge": charge, "amount": 600})
    with pytest.raises(stripe.InvalidRequestError) as too_much:
        await client.refunds.create_async({"charge": charge, "amount": 401})
    assert (too_much.value.http_status, too_much.value.code, too_much.value.param) == (400, None, "amount")
    rest = await client.refunds.create_async({"payment_intent": paid.id})
    assert rest.amount == 400
    with pytest.raises(stripe.InvalidRequestError) as nothing_left:
        await client.refunds.create_async({"payment_intent": paid.id})
    assert nothing_left.value.code == "charge_already_refunded"
    assert fake.charges[charge]["amount_refunded"] == 1000


async def test_refunds_at_once_never_exceed_the_charge(client: stripe.V1Services, fake: FakeStripe) -> None:
    paid = await pay(client)
    results = await asyncio.gather(
        *(client.refunds.create_async({"payment_intent": paid.id, "amount": 300}) for _ in range(8)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, stripe.Refund) for result in results) == 3
    assert fake.charges[str(paid.latest_charge)]["amount_refunded"] == 900


async def test_what_was_not_paid_is_not_refunded(client: stripe.V1Services) -> None:
    made = await intend(client)
    with pytest.raises(stripe.InvalidRequestError) as raised:
        await client.refunds.create_async({"payment_intent": made.id})
    assert raised.value.code == "payment_intent_unexpected_state"
    with pytest.raises(stripe.CardError):
        await client.payment_intents.confirm_async(made.id, {"payment_method": "pm_card_chargeDeclined"})
    charge = (await client.payment_intents.retrieve_async(made.id)).latest_charge
    with pytest.raises(stripe.InvalidRequestError):
        await client.refunds.create_async({"charge": str(charge)})


@pytest.mark.parametrize(
    "params",
    [
        {"payment_intent": "pi_unknown"},
        {"charge": "ch_unknown"},
        {},
        {"charge": "ch_unknown", "payment_intent": "pi_unknown"},
        {"charge": "ch_unknown", "amount": 0},
        {"charge": "ch_unknown", "reason": "boredom"},
    ],
)
async def test_what_names_no_payment_is_refused(client: stripe.V1Services, params: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        await client.refunds.create_async(params)


async def test_one_that_fails_gives_the_money_back(client: stripe.V1Services, fake: FakeStripe) -> None:
    paid = await pay(client, method="pm_card_refundFail")
    refund = await client.refunds.create_async({"payment_intent": paid.id})
    assert refund.status == "succeeded"
    await fake.delivered()
    failed: Any = await client.refunds.retrieve_async(refund.id, {"expand": ["failure_balance_transaction"]})
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert (failed.failure_balance_transaction.amount, failed.failure_balance_transaction.type) == (
        1000,
        "refund_failure",
    )
    charge = await client.charges.retrieve_async(str(paid.latest_charge))
    assert (charge.amount_refunded, charge.refunded) == (0, False)
    assert [event["type"] for event in fake.events][-2:] == ["refund.updated", "refund.failed"]
    assert fake.balance_cents == 941


async def test_a_test_can_refund_and_have_it_fail(client: stripe.V1Services, fake: FakeStripe) -> None:
    paid = await pay(client)
    assert fake.refund(paid.id, 200)["amount"] == 200
    second = fake.refund(paid.id, fail=True)
    fake.fail_refund(second["id"])  # by hand, before it does so by itself
    with pytest.raises(StripeRefused):
        fake.fail_refund(second["id"])
    await fake.delivered()
    assert fake.charges[str(paid.latest_charge)]["amount_refunded"] == 200
    assert fake.refunds[second["id"]]["status"] == "failed"
    fails = fake.refund(paid.id, fail=True)
    await fake.delivered()
    assert fake.refunds[fails["id"]]["status"] == "failed"


async def test_a_disputed_charge_is_not_refunded(client: stripe.V1Services, fake: FakeStripe) -> None:
    paid = await pay(client)
    fake.dispute(paid.id)
    with pytest.raises(stripe.InvalidRequestError) as raised:
        await client.refunds.create_async({"payment_intent": paid.id})
    assert raised.value.code == "charge_disputed"


async def test_they_are_listed_by_payment_and_by_charge(client: stripe.V1Services) -> None:
    first, second = await pay(client), await pay(client)
    of_first = [(await client.refunds.create_async({"payment_intent": first.id, "amount": 100})).id for _ in range(3)]
    await client.refunds.create_async({"payment_intent": second.id})
    listed = await every(await client.refunds.list_async({"payment_intent": first.id, "limit": 1}))
    assert [refund.id for refund in listed] == of_first[::-1]
    by_charge = await client.refunds.list_async({"charge": str(first.latest_charge)})
    assert [refund.id for refund in by_charge.data] == of_first[::-1]
    expanded: Any = await client.charges.retrieve_async(
        str(first.latest_charge), {"expand": ["refunds.data.balance_transaction"]}
    )
    assert [refund.balance_transaction.amount for refund in expanded.refunds.data] == [-100, -100, -100]
    assert [refund.id for refund in await every(expanded.refunds)] == of_first[::-1]


async def test_its_metadata_can_be_changed(client: stripe.V1Services, fake: FakeStripe) -> None:
    paid = await pay(client)
    refund = await client.refunds.create_async({"payment_intent": paid.id})
    changed: Any = await client.refunds.update_async(refund.id, {"metadata": {"why": "asked"}})
    assert changed.metadata["why"] == "asked"
    assert fake.events[-1]["type"] == "refund.updated"
