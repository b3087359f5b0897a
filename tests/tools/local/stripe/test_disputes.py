"""Disputes by the real SDK, won and lost, and a balance that is the sum of all that moved."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.tools.local.stripe.sdk import every, pay
from tools.local.stripe.errors import StripeRefused
from tools.local.stripe.resources.balance import charge_fee
from tools.local.stripe.server import FakeStripe


async def test_a_payment_with_that_card_is_disputed_a_moment_later(client: stripe.V1Services, fake: FakeStripe) -> None:
    paid = await pay(client, method="pm_card_createDispute")
    await fake.delivered()
    (dispute,) = (await client.disputes.list_async({"payment_intent": paid.id})).data
    assert (dispute.status, dispute.amount, dispute.charge) == ("needs_response", 1000, paid.latest_charge)
    (withdrawal,) = dispute.balance_transactions
    assert (withdrawal.amount, withdrawal.fee, withdrawal.net) == (-1000, 1500, -2500)
    assert (await client.charges.retrieve_async(str(paid.latest_charge))).disputed is True
    assert [event["type"] for event in fake.events][-2:] == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
    ]
    assert fake.balance_cents == 941 - 2500


async def test_won_it_gives_back_all_but_the_fee(client: stripe.V1Services, fake: FakeStripe) -> None:
    paid = await pay(client)
    opened = fake.dispute(paid.id)
    won = await client.disputes.update_async(
        opened["id"], {"evidence": {"uncategorized_text": "winning_evidence"}, "submit": True}
    )
    assert won.status == "won"
    assert [moved.net for moved in won.balance_transactions] == [-2500, 1000]
    assert [event["type"] for event in fake.events][-2:] == [
        "charge.dispute.closed",
        "charge.dispute.funds_reinstated",
    ]
    assert fake.balance_cents == 941 - 1500


async def test_lost_it_gives_back_nothing(client: stripe.V1Services, fake: FakeStripe) -> None:
    opened = fake.dispute((await pay(client)).id)
    lost = await client.disputes.update_async(opened["id"], {"evidence": {"uncategorized_text": "losing_evidence"}})
    assert (lost.status, len(lost.balance_transactions)) == ("lost", 1)
    assert fake.events[-1]["type"] == "charge.dispute.closed"
    with pytest.raises(stripe.InvalidRequestError):
        await client.disputes.update_async(opened["id"], {"evidence": {"uncategorized_text": "winning_evidence"}})
    with pytest.raises(StripeRefused):
        fake.close_dispute(opened["id"], won=True)


async def test_evidence_is_kept_until_it_is_submitted_and_then_reviewed(
    client: stripe.V1Services, fake: FakeStripe
) -> None:
    opened = fake.dispute((await pay(client)).id)
    staged = await client.disputes.update_async(
        opened["id"],
        {"evidence": {"customer_name": "C"}, "submit": False, "metadata": {"case": "7"}},
    )
    assert (staged.status, staged.evidence.customer_name, staged.metadata["case"]) == ("needs_response", "C", "7")
    sent = await client.disputes.update_async(opened["id"], {"evidence": {"uncategorized_text": "here"}})
    assert (sent.status, sent.evidence_details.submission_count) == ("under_review", 1)
    assert fake.close_dispute(opened["id"], won=True)["status"] == "won"


async def test_one_can_give_up(client: stripe.V1Services, fake: FakeStripe) -> None:
    opened = fake.dispute((await pay(client)).id)
    assert (await client.disputes.close_async(opened["id"])).status == "lost"


async def test_only_what_was_not_refunded_is_taken_and_only_once(client: stripe.V1Services, fake: FakeStripe) -> None:
    paid = await pay(client)
    fake.refund(paid.id, 400)
    opened = fake.dispute(paid.id)
    assert opened["amount"] == 600
    assert (await client.disputes.retrieve_async(opened["id"])).amount == 600
    with pytest.raises(StripeRefused):
        fake.dispute(paid.id)
    refunded = await pay(client)
    fake.refund(refunded.id)
    with pytest.raises(StripeRefused):
        fake.dispute(refunded.id)
    assert [d.id for d in (await client.disputes.list_async({"charge": str(paid.latest_charge)})).data] == [
        opened["id"]
    ]


@pytest.mark.parametrize(("cents", "fee"), [(50, 31), (100, 33), (500, 45), (1000, 59), (1050, 60), (99_999, 2930)])
def test_the_fee_is_rounded_half_up(cents: int, fee: int) -> None:
    assert charge_fee(cents) == fee


async def test_the_balance_is_the_sum_of_its_transactions(client: stripe.V1Services, fake: FakeStripe) -> None:
    assert (await client.balance.retrieve_async()).available[0].amount == 0
    paid = [await pay(client, 1000 + each) for each in range(3)]
    failing = fake.refund(paid[0].id, 100)
    fake.fail_refund(failing["id"])
    fake.refund(paid[0].id, 150)
    fake.close_dispute(fake.dispute(paid[1].id)["id"], won=True)
    fake.dispute(paid[2].id)
    moved = await every(await client.balance_transactions.list_async({"limit": 2}))
    balance = await client.balance.retrieve_async()
    assert sum(each.net for each in moved) == balance.available[0].amount == fake.balance_cents
    assert all(each.net == each.amount - each.fee for each in moved)
    assert (balance.available[0].currency, balance.pending[0].amount) == ("usd", 0)


async def test_transactions_are_found_by_type_and_source(client: stripe.V1Services, fake: FakeStripe) -> None:
    paid = await pay(client)
    refund = fake.refund(paid.id)
    of_type = await client.balance_transactions.list_async({"type": "refund", "expand": ["data.source"]})
    source: Any = of_type.data[0].source
    assert (len(of_type.data), source.id, source.object) == (1, refund["id"], "refund")
    (of_source,) = (await client.balance_transactions.list_async({"source": str(paid.latest_charge)})).data
    assert (await client.balance_transactions.retrieve_async(of_source.id)).type == "charge"
