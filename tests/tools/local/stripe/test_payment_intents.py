"""PaymentIntents and their Charges, by the real SDK."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import stripe

from tests.tools.local.stripe.sdk import Client, intend, pay
from tools.local.stripe.errors import StripeRefused
from tools.local.stripe.faults import Mode
from tools.local.stripe.server import FakeStripe


async def test_created_it_waits_for_a_payment_method(client: stripe.V1Services) -> None:
    made = await intend(client, 1250, metadata={"purchase_id": "p1"}, automatic_payment_methods={"enabled": True})
    assert (made.status, made.amount, made.currency, made.amount_received) == (
        "requires_payment_method",
        1250,
        "usd",
        0,
    )
    assert made.client_secret is not None
    assert made.client_secret.startswith(f"{made.id}_secret_")
    assert made.metadata["purchase_id"] == "p1"
    assert await client.payment_intents.retrieve_async(made.id) == made


async def test_confirmed_with_a_good_card_it_is_paid(client: stripe.V1Services, fake: FakeStripe) -> None:
    made = await intend(client, 1000, metadata={"purchase_id": "p1"})
    paid = await client.payment_intents.confirm_async(
        made.id, {"payment_method": "pm_card_visa", "expand": ["latest_charge.balance_transaction"]}
    )
    assert (paid.status, paid.amount_received) == ("succeeded", 1000)
    charge: Any = paid.latest_charge
    assert (charge.paid, charge.status, charge.amount_captured) == (True, "succeeded", 1000)
    assert charge.metadata["purchase_id"] == "p1"
    assert (charge.balance_transaction.fee, charge.balance_transaction.net) == (59, 941)
    assert [event["type"] for event in fake.events] == [
        *("payment_intent.created", "charge.succeeded", "payment_intent.succeeded")
    ]


@pytest.mark.parametrize("method", ["pm_card_chargeDeclined", "pm_card_visa_chargeDeclined"])
async def test_a_declined_card_leaves_it_open_for_another(
    client: stripe.V1Services, fake: FakeStripe, method: str
) -> None:
    made = await intend(client)
    with pytest.raises(stripe.CardError) as raised:
        await client.payment_intents.confirm_async(made.id, {"payment_method": method})
    assert (raised.value.http_status, raised.value.code) == (402, "card_declined")
    error: Any = raised.value.error
    assert (error.decline_code, error.payment_intent.id) == ("generic_decline", made.id)
    declined: Any = await client.payment_intents.retrieve_async(made.id, {"expand": ["latest_charge"]})
    assert declined.status == "requires_payment_method"
    assert declined.last_payment_error.code == "card_declined"
    assert (declined.latest_charge.status, declined.latest_charge.paid) == ("failed", False)
    assert [event["type"] for event in fake.events][1:] == ["charge.failed", "payment_intent.payment_failed"]
    assert fake.balance_cents == 0

    paid = await client.payment_intents.confirm_async(made.id, {"payment_method": "pm_card_visa"})
    assert (paid.status, paid.last_payment_error) == ("succeeded", None)


async def test_created_with_a_payment_method_it_waits_for_the_confirmation(client: stripe.V1Services) -> None:
    made = await intend(client, payment_method="pm_card_visa")
    assert made.status == "requires_confirmation"
    assert (await client.payment_intents.confirm_async(made.id)).status == "succeeded"


async def test_created_and_confirmed_at_once(client: stripe.V1Services, fake: FakeStripe) -> None:
    assert (await intend(client, payment_method="pm_card_visa", confirm=True)).status == "succeeded"
    with pytest.raises(stripe.InvalidRequestError):
        await intend(client, confirm=True)
    assert len(fake.payment_intents) == 1


async def test_two_confirmations_at_once_make_one_charge(client: stripe.V1Services, fake: FakeStripe) -> None:
    made = await intend(client)
    confirm = client.payment_intents.confirm_async
    results = await asyncio.gather(
        *(confirm(made.id, {"payment_method": "pm_card_visa"}) for _ in range(8)), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, stripe.InvalidRequestError)]
    assert {error.code for error in refused} == {"payment_intent_unexpected_state"}
    assert (len(refused), len(fake.charges)) == (7, 1)


async def test_a_paid_one_is_neither_confirmed_nor_canceled_nor_changed_in_amount(client: stripe.V1Services) -> None:
    paid = await pay(client)
    for attempt in (
        client.payment_intents.confirm_async(paid.id, {"payment_method": "pm_card_visa"}),
        client.payment_intents.cancel_async(paid.id),
        client.payment_intents.update_async(paid.id, {"amount": 2000}),
    ):
        with pytest.raises(stripe.InvalidRequestError) as raised:
            await attempt
        assert raised.value.code == "payment_intent_unexpected_state"


async def test_a_canceled_one_is_not_paid(client: stripe.V1Services, fake: FakeStripe) -> None:
    made = await intend(client)
    canceled = await client.payment_intents.cancel_async(made.id, {"cancellation_reason": "abandoned"})
    assert (canceled.status, canceled.cancellation_reason) == ("canceled", "abandoned")
    with pytest.raises(StripeRefused):
        fake.confirm(made.id)
    with pytest.raises(StripeRefused):
        fake.cancel(made.id)
    assert fake.events[-1]["type"] == "payment_intent.canceled"
    assert not fake.charges


async def test_metadata_is_merged_and_deleted_by_what_is_empty(client: stripe.V1Services) -> None:
    made = await intend(client, metadata={"a": "1", "b": "2"})
    changed = await client.payment_intents.update_async(
        made.id, {"metadata": {"b": "", "c": "3"}, "description": "d", "amount": 700}
    )
    assert dict(changed.metadata.to_dict()) == {"a": "1", "c": "3"}
    assert (changed.description, changed.amount) == ("d", 700)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"amount": 49, "currency": "usd"}, "amount_too_small"),
        ({"amount": 100_000_000, "currency": "usd"}, "amount_too_large"),
        ({"currency": "usd"}, "parameter_missing"),
        ({"amount": 500}, "parameter_missing"),
        ({"amount": "many", "currency": "usd"}, "parameter_invalid_integer"),
        ({"amount": 500, "currency": "usd", "payment_method": "pm_unknown"}, "resource_missing"),
    ],
)
async def test_what_is_wrong_is_not_created(
    client: stripe.V1Services, fake: FakeStripe, params: Any, code: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as raised:
        await client.payment_intents.create_async(params)
    assert (raised.value.http_status, raised.value.code) == (400, code)
    assert not fake.payment_intents


async def test_charges_are_found_by_their_payment_intent(client: stripe.V1Services) -> None:
    await pay(client)
    paid = await pay(client)
    (charge,) = (await client.charges.list_async({"payment_intent": paid.id})).data
    assert charge.id == paid.latest_charge
    again: Any = await client.charges.retrieve_async(charge.id, {"expand": ["refunds", "payment_intent"]})
    assert (again.refunds.data, again.payment_intent.id) == ([], paid.id)


async def test_every_confirmation_is_declined_when_told_so(client: stripe.V1Services, fake: FakeStripe) -> None:
    made = await intend(client)
    await fake.faults.set(Mode.DECLINED, count=1)
    await client.payment_intents.retrieve_async(made.id)  # is no confirmation, and uses nothing up
    with pytest.raises(stripe.CardError):
        await client.payment_intents.confirm_async(made.id, {"payment_method": "pm_card_visa"})
    await fake.faults.set(Mode.DECLINED)
    with pytest.raises(StripeRefused):
        fake.confirm(made.id)
    await fake.faults.set(Mode.OK)
    assert fake.confirm(made.id)["status"] == "succeeded"


async def test_the_synchronous_client_is_served_as_well(fake: FakeStripe) -> None:
    http = Client(allow_sync_methods=True)
    client = stripe.StripeClient("sk_test_local", base_addresses={"api": fake.url}, http_client=http)
    made = await asyncio.to_thread(client.v1.payment_intents.create, {"amount": 500, "currency": "usd"})
    assert made.id in fake.payment_intents
    assert http._client is not None
    http._client.close()
    await http.aclose()


async def test_livemode_is_what_it_was_made_with() -> None:
    fake = FakeStripe(livemode=True)
    assert fake._account.make("payment_method")["livemode"] is True
