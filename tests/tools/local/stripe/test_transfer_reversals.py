"""Reversals by the real SDK: in parts, never more than is left."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.tools.local.stripe.sdk import every, onboarded, transfer
from tools.local.stripe.errors import StripeRefused
from tools.local.stripe.server import FakeStripe


@pytest.fixture
async def made(client: stripe.V1Services, fake: FakeStripe) -> stripe.Transfer:
    """A transfer of 10 dollars, and nothing left in the balance."""
    fake.top_up(1000)
    return await transfer(client, await onboarded(client, fake))


async def test_money_comes_back_when_a_transfer_is_reversed_in_parts(
    client: stripe.V1Services, fake: FakeStripe, made: stripe.Transfer
) -> None:
    first = await client.transfers.reversals.create_async(made.id, {"amount": 300, "metadata": {"why": "w"}})
    assert (first.object, first.amount, first.currency, first.transfer) == ("transfer_reversal", 300, "usd", made.id)
    assert first.metadata is not None
    assert first.metadata["why"] == "w"
    moved: Any = await client.balance_transactions.retrieve_async(
        str(first.balance_transaction), {"expand": ["source"]}
    )
    assert (moved.type, moved.amount, moved.fee, moved.net) == ("transfer_refund", 300, 0, 300)
    assert (moved.source.id, moved.reporting_category) == (first.id, "transfer_reversal")
    partly = await client.transfers.retrieve_async(made.id)
    assert (partly.amount_reversed, partly.reversed, partly.reversals.data) == (300, False, [first])
    assert fake.available_cents == 300
    rest = await client.transfers.reversals.create_async(made.id)
    whole: Any = await client.transfers.retrieve_async(made.id, {"expand": ["reversals.data.balance_transaction"]})
    assert (rest.amount, whole.amount_reversed, whole.reversed) == (700, 1000, True)
    assert [each.balance_transaction.net for each in whole.reversals.data] == [700, 300]
    assert fake.available_cents == 1000


async def test_each_reversal_is_an_event_of_the_transfer_when_it_happens(
    client: stripe.V1Services, fake: FakeStripe, made: stripe.Transfer
) -> None:
    fake.reverse(made.id, 400)
    fake.reverse(made.id)
    events = [event for event in fake.events if event["type"] == "transfer.reversed"]
    objects = [event["data"]["object"] for event in events]
    assert [(each["id"], each["amount_reversed"], each["reversed"]) for each in objects] == [
        (made.id, 400, False),
        (made.id, 1000, True),
    ]
    assert [len(each["reversals"]["data"]) for each in objects] == [1, 2]


async def test_reversal_is_refused_when_it_is_more_than_is_left(
    client: stripe.V1Services, fake: FakeStripe, made: stripe.Transfer
) -> None:
    fake.reverse(made.id, 400)
    for amount in (601, 0, -1):
        with pytest.raises(stripe.InvalidRequestError) as raised:
            await client.transfers.reversals.create_async(made.id, {"amount": amount})
        assert (raised.value.http_status, raised.value.param) == (400, "amount")
    fake.reverse(made.id, 600)
    with pytest.raises(stripe.InvalidRequestError, match="already fully reversed"):
        await client.transfers.reversals.create_async(made.id)
    with pytest.raises(StripeRefused):
        fake.reverse("tr_none")
    assert fake.transfers[made.id]["amount_reversed"] == fake.balance_cents == 1000


async def test_reversals_are_found_when_they_are_of_that_transfer(
    client: stripe.V1Services, fake: FakeStripe, made: stripe.Transfer
) -> None:
    ids = [fake.reverse(made.id, 10)["id"] for _ in range(12)]
    reversals = client.transfers.reversals
    assert [each.id for each in await every(await reversals.list_async(made.id, {"limit": 5}))] == ids[::-1]
    within = (await client.transfers.retrieve_async(made.id)).reversals
    assert ([each.id for each in within.data], within.has_more) == (ids[:1:-1], True)
    assert (await reversals.retrieve_async(made.id, ids[0])).amount == 10
    other = await transfer(client, str(made.destination), 10)
    for transfer_id, reversal_id in ((other.id, ids[0]), (made.id, "trr_none")):
        with pytest.raises(stripe.InvalidRequestError) as raised:
            await reversals.retrieve_async(transfer_id, reversal_id)
        assert raised.value.http_status == 404


async def test_reversal_is_made_once_when_its_key_is_repeated(
    client: stripe.V1Services, fake: FakeStripe, made: stripe.Transfer
) -> None:
    key: Any = {"idempotency_key": "reverse-1"}
    both = [await client.transfers.reversals.create_async(made.id, {"amount": 100}, key) for _ in range(2)]
    assert both[0].id == both[1].id
    assert fake.transfers[made.id]["amount_reversed"] == 100
