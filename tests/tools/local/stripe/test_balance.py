"""What is pending and what is available, and money that comes without a payment."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.tools.local.stripe.sdk import onboarded, pay, transfer
from tools.local.stripe.server import FakeStripe

WEEK = 7 * 24 * 3600


async def held(client: stripe.V1Services) -> tuple[int, int]:
    """Available and pending, in cents, as the API says."""
    balance = await client.balance.retrieve_async()
    return balance.available[0].amount, balance.pending[0].amount


async def test_payment_is_available_at_once_when_nothing_else_is_set(
    client: stripe.V1Services, fake: FakeStripe
) -> None:
    await pay(client)
    assert await held(client) == (fake.available_cents, fake.pending_cents) == (941, 0)


async def test_payment_is_pending_when_its_time_has_not_come(client: stripe.V1Services, fake: FakeStripe) -> None:
    fake.funds_available_after_seconds = WEEK
    paid: Any = await client.payment_intents.retrieve_async(
        (await pay(client)).id, {"expand": ["latest_charge.balance_transaction"]}
    )
    moved = paid.latest_charge.balance_transaction
    assert (moved.status, moved.available_on - moved.created) == ("pending", WEEK)
    fake.top_up(500)
    assert await held(client) == (fake.available_cents, fake.pending_cents) == (500, 941)
    assert fake.balance_cents == 1441
    fake.advance(WEEK - 60)
    assert fake.pending_cents == 941
    fake.advance(60)
    assert fake.balance_transactions[moved.id]["status"] == "available"
    assert await held(client) == (fake.available_cents, fake.pending_cents) == (1441, 0)


async def test_transaction_is_available_when_it_is_first_looked_at_after_its_time(
    client: stripe.V1Services, fake: FakeStripe
) -> None:
    fake.funds_available_after_seconds = WEEK
    await pay(client)
    fake.advance(WEEK)
    (moved,) = (await client.balance_transactions.list_async({"type": "charge"})).data
    assert moved.status == "available"


async def test_only_what_is_available_is_transferred_when_more_is_pending(
    client: stripe.V1Services, fake: FakeStripe
) -> None:
    creator = await onboarded(client, fake)
    fake.funds_available_after_seconds = WEEK
    await pay(client, 100_000)
    with pytest.raises(stripe.InvalidRequestError) as raised:
        await transfer(client, creator)
    assert raised.value.code == "balance_insufficient"
    fake.advance(WEEK)
    await transfer(client, creator)
    assert fake.balance_cents == 100_000 - 2930 - 1000


async def test_money_is_there_at_once_when_it_is_topped_up(client: stripe.V1Services, fake: FakeStripe) -> None:
    fake.funds_available_after_seconds = WEEK
    made = fake.top_up(5000)
    topup = await client.topups.retrieve_async(made["id"], {"expand": ["balance_transaction"]})
    moved: Any = topup.balance_transaction
    assert (topup.status, topup.amount, moved.type, moved.net) == ("succeeded", 5000, "topup", 5000)
    assert [each.id for each in (await client.topups.list_async()).data] == [topup.id]
    assert fake.available_cents == 5000
    assert [event["type"] for event in fake.events] == ["topup.created", "topup.succeeded"]


async def test_balance_is_by_currency_when_there_are_several(client: stripe.V1Services, fake: FakeStripe) -> None:
    fake.top_up(100, "eur")
    fake.top_up(200)
    balance = await client.balance.retrieve_async()
    assert [(each.currency, each.amount) for each in balance.available] == [("eur", 100), ("usd", 200)]
    assert fake.balance_cents == 300
