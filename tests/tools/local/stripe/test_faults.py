"""Each way to be broken, as the real SDK sees it, and back again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import stripe

from tests.tools.local.stripe.sdk import intend, pay
from tools.local.stripe.faults import Mode
from tools.local.stripe.server import FakeStripe

CREATE: Any = {"amount": 500, "currency": "usd"}
KEY: Any = {"idempotency_key": "key-1"}


async def test_refused_nobody_listens_until_it_is_mended(client: stripe.V1Services, fake: FakeStripe) -> None:
    await intend(client)
    await fake.faults.set(Mode.REFUSE)
    with pytest.raises(stripe.APIConnectionError):
        await intend(client)
    await fake.faults.set(Mode.OK)
    await intend(client)
    assert len(fake.payment_intents) == 2
    with pytest.raises(ValueError, match="count"):
        await fake.faults.set(Mode.REFUSE, count=1)


async def test_hanging_it_does_nothing_and_never_answers(client: stripe.V1Services, fake: FakeStripe) -> None:
    await fake.faults.set(Mode.HANG)
    request = asyncio.create_task(intend(client))
    await fake.faults.caught()
    assert not request.done()
    await fake.faults.set(Mode.OK)
    with pytest.raises(stripe.APIConnectionError):
        await request
    assert not fake.payment_intents


async def test_slow_it_is_carried_out_late(client: stripe.V1Services, fake: FakeStripe) -> None:
    await fake.faults.set(Mode.SLOW)
    fake.faults.slow_seconds = 3600
    request = asyncio.create_task(intend(client))
    await fake.faults.caught()
    assert not fake.payment_intents
    await fake.faults.set(Mode.SLOW)
    fake.faults.slow_seconds = 0
    assert (await request).id in fake.payment_intents
    await intend(client)


@pytest.mark.parametrize("mode", [Mode.LOST, Mode.CUT])
async def test_a_reply_that_is_lost_is_there_for_who_asks_again(
    client: stripe.V1Services, fake: FakeStripe, mode: Mode
) -> None:
    await fake.faults.set(mode, count=1)
    with pytest.raises(stripe.APIConnectionError):
        await client.payment_intents.create_async(CREATE, KEY)
    (made,) = fake.payment_intents
    assert (await client.payment_intents.create_async(CREATE, KEY)).id == made
    assert len(fake.payment_intents) == 1


async def test_a_500_comes_to_nothing(client: stripe.V1Services, fake: FakeStripe) -> None:
    await fake.faults.set(Mode.ERROR_500)
    with pytest.raises(stripe.APIError) as raised:
        await intend(client)
    assert raised.value.http_status == 500
    with pytest.raises(stripe.APIError):
        await client.balance.retrieve_async()
    await fake.faults.set(Mode.OK)
    assert not fake.payment_intents


async def test_down_nothing_is_stored(client: stripe.V1Services, fake: FakeStripe) -> None:
    await fake.faults.set(Mode.DOWN, count=1)
    with pytest.raises(stripe.APIError) as raised:
        await client.payment_intents.create_async(CREATE, KEY)
    assert raised.value.http_status == 503
    assert not fake.payment_intents
    assert (await client.payment_intents.create_async(CREATE, KEY)).status == "requires_payment_method"


@pytest.mark.parametrize("only", ["POST /v1/refunds", "/v1/refunds", "POST /v1/ref"])
async def test_only_what_is_meant_is_broken(client: stripe.V1Services, fake: FakeStripe, only: str) -> None:
    await fake.faults.set(Mode.LOST, count=1, only=only)
    paid = await pay(client)
    with pytest.raises(stripe.APIConnectionError):
        await client.refunds.create_async({"payment_intent": paid.id, "amount": 100})
    await client.refunds.create_async({"payment_intent": paid.id, "amount": 100})
    assert fake.faults.mode is Mode.OK
    assert len(fake.refunds) == 2


async def test_only_a_method_is_broken(client: stripe.V1Services, fake: FakeStripe) -> None:
    await fake.faults.set(Mode.DOWN, only="POST")
    await client.balance.retrieve_async()
    with pytest.raises(stripe.APIError):
        await intend(client)


async def test_it_stops_while_requests_hang_and_are_slow(fake: FakeStripe, client: stripe.V1Services) -> None:
    await fake.faults.set(Mode.HANG, count=1)
    hanging = asyncio.create_task(intend(client))
    await fake.faults.caught()
    await fake.stop()
    with pytest.raises(stripe.APIConnectionError):
        await hanging
