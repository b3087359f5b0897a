"""Webhooks while something that they need is out, slow or not there yet: 503, and the next delivery settles it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import httpx
import pytest

from shared.postgres import outbox
from shared.settings import settings
from tests.functions.payments.people import Buyer
from tests.functions.payments.world import Json, World, world_of
from tools.local.proxy import FaultProxy
from tools.local.proxy import Mode as ProxyMode
from tools.local.rest.faults import Mode as RestMode
from tools.local.rest.server import RestServer
from tools.local.stripe.faults import Mode
from tools.local.stripe.server import FakeStripe
from tools.local.stripe.webhooks import Delivery

PATH = "/payments/webhooks/stripe"
GIVE_UP_SECONDS = 10  # for what never takes a tenth of it; whoever waits for Stripe without a deadline waits longer


@pytest.fixture
async def world(
    digis: httpx.AsyncClient, owner_url: str, stripe: FakeStripe, fresh_process: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    fresh_process.setenv("STRIPE_DEADLINE_MS", "12000")  # what is to succeed is given time
    settings.cache_clear()
    async with world_of(owner_url, stripe) as world:
        yield world


@pytest.fixture
async def event(world: World, fan: Buyer, stripe: FakeStripe) -> Json:
    """That the fan, who has 10,000 tokens and has read that, paid for 100 more."""
    stripe.confirm((await fan.begin())["payment_intent"])
    assert await fan.tokens() == 10_000
    return stripe.events[-1]


async def _deliver(digis: httpx.AsyncClient, stripe: FakeStripe, event: Json) -> httpx.Response:
    body = json.dumps(event).encode()
    async with asyncio.timeout(GIVE_UP_SECONDS):
        return await digis.post(PATH, content=body, headers={"Stripe-Signature": stripe.sign(body)})


async def _is_refused(digis: httpx.AsyncClient, stripe: FakeStripe, event: Json, code: str) -> None:
    answer = await _deliver(digis, stripe, event)
    assert (answer.status_code, answer.json()["code"]) == (503, code)
    assert int(answer.headers["retry-after"]) > 0


async def _settles(world: World, fan: Buyer, event: Json) -> None:
    """Nothing has been booked, and it is when Stripe sends it again."""
    assert await world.outcome(event) is None
    assert await world.tokens(fan.user_id) == (10_000, 0)
    assert await world.stripe.deliver(event) == 200
    assert await world.outcome(event) == "booked"
    assert await fan.tokens() == 10_100


@pytest.mark.parametrize(
    "mode",
    [
        *(ProxyMode.REFUSE, ProxyMode.ERROR_500, ProxyMode.CUT),
        pytest.param(ProxyMode.HANG, marks=pytest.mark.slow),
    ],
)
async def test_event_is_settled_by_the_next_delivery_when_postgres_was_out(
    digis: httpx.AsyncClient, world: World, fan: Buyer, event: Json, proxy: FaultProxy, mode: ProxyMode
) -> None:
    await proxy.set(mode)
    await _is_refused(digis, world.stripe, event, "upstream_unavailable")
    await proxy.set(ProxyMode.OK)
    await _settles(world, fan, event)


async def test_event_is_settled_by_the_next_delivery_when_postgres_went_while_stripe_was_asked(
    digis: httpx.AsyncClient, world: World, fan: Buyer, event: Json, proxy: FaultProxy
) -> None:
    faults = world.stripe.faults
    faults.slow_seconds = GIVE_UP_SECONDS * 2
    await faults.set(Mode.SLOW)
    refused = asyncio.create_task(_is_refused(digis, world.stripe, event, "upstream_unavailable"))
    await faults.caught()
    await proxy.set(ProxyMode.REFUSE)
    await faults.set(Mode.OK)
    await refused
    await proxy.set(ProxyMode.OK)
    await _settles(world, fan, event)


@pytest.mark.parametrize(
    ("mode", "only"),
    [
        *((mode, "") for mode in Mode if mode not in {Mode.OK, Mode.DECLINED}),
        *((Mode.HANG, "/v1/disputes"), (Mode.ERROR_500, "/v1/refunds")),
    ],
)
async def test_event_is_settled_by_the_next_delivery_when_stripe_was_out(
    digis: httpx.AsyncClient,
    world: World,
    fan: Buyer,
    event: Json,
    fresh_process: pytest.MonkeyPatch,
    mode: Mode,
    only: str,
) -> None:
    fresh_process.setenv("STRIPE_DEADLINE_MS", "300")
    settings.cache_clear()
    faults = world.stripe.faults
    faults.slow_seconds = GIVE_UP_SECONDS * 2
    await faults.set(mode, only=only)
    await _is_refused(digis, world.stripe, event, "payment_provider_unavailable")
    assert faults.mode is mode
    await faults.set(Mode.OK)
    fresh_process.setenv("STRIPE_DEADLINE_MS", "12000")
    settings.cache_clear()
    await _settles(world, fan, event)


@pytest.mark.parametrize("mode", [RestMode.REFUSE, RestMode.ERROR_500, RestMode.LOST])
async def test_event_is_settled_when_upstash_is_out(
    world: World, fan: Buyer, event: Json, rest: RestServer, mode: RestMode
) -> None:
    await rest.faults.set(mode)
    assert await world.stripe.deliver(event) == 200
    assert await world.outcome(event) == "booked"
    assert await world.tokens(fan.user_id) == (10_100, 0)
    await rest.faults.set(RestMode.OK)
    outbox.undelivered.clear()


async def test_event_is_settled_by_the_next_delivery_when_its_purchase_was_not_visible_yet(
    digis: httpx.AsyncClient, world: World, fan: Buyer, owner_url: str
) -> None:
    elsewhere, purchase_id = await asyncpg.connect(owner_url, timeout=5), uuid4()
    try:
        beginning = elsewhere.transaction()
        await beginning.start()
        await elsewhere.execute(
            """INSERT INTO purchases (id, user_id, package_id, tokens, price_cents, currency)
               VALUES ($1, $2, 't100', 100, 999, 'usd')""",
            *(purchase_id, fan.user_id),
        )
        form = {"metadata[purchase_id]": str(purchase_id), "metadata[stage]": "local"}
        async with httpx.AsyncClient(headers={"Authorization": "Bearer sk_test_local"}) as process_that_began:
            made = await process_that_began.post(
                f"{world.stripe.url}/v1/payment_intents", data={"amount": "999", "currency": "usd", **form}
            )
        world.stripe.confirm(made.json()["id"])
        event = world.stripe.events[-1]
        await _is_refused(digis, world.stripe, event, "upstream_unavailable")
        await beginning.commit()
    finally:
        await elsewhere.close(timeout=5)
    await _settles(world, fan, event)
    assert await world.status(str(purchase_id)) == "paid"


async def _begin_to_deliver(digis: httpx.AsyncClient, stripe: FakeStripe, event: Json) -> asyncio.StreamWriter:
    """A delivery whose connection is in our hands."""
    body = json.dumps(event).encode()
    _, writer = await asyncio.open_connection(digis.base_url.host, digis.base_url.port)
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: digis\r\nContent-Length: {len(body)}\r\nStripe-Signature: {stripe.sign(body)}"
    )
    writer.write(f"{head}\r\n\r\n".encode() + body)
    await writer.drain()
    return writer


async def test_event_has_one_effect_when_the_delivery_is_cut_while_stripe_is_asked(
    digis: httpx.AsyncClient, world: World, fan: Buyer, event: Json
) -> None:
    faults = world.stripe.faults
    faults.slow_seconds = GIVE_UP_SECONDS * 2
    await faults.set(Mode.SLOW, only="/v1/refunds")
    writer = await _begin_to_deliver(digis, world.stripe, event)
    await faults.caught()
    writer.close()
    await writer.wait_closed()
    await faults.set(Mode.OK)
    assert await world.stripe.deliver(event) == 200
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while await world.owner.fetchval("SELECT count(*) FROM cache_outbox"):
            pass  # the first delivery goes on by itself: what it booked may be there before what it drops is gone
    assert await fan.tokens() == 10_100


async def test_event_has_one_effect_when_the_delivery_is_cut_while_it_is_booked(
    digis: httpx.AsyncClient, world: World, fan: Buyer, event: Json, owner_url: str
) -> None:
    elsewhere = await asyncpg.connect(owner_url, timeout=5)
    try:
        async with elsewhere.transaction(), asyncio.timeout(GIVE_UP_SECONDS):
            await elsewhere.execute("SELECT FROM purchases FOR UPDATE")
            writer = await _begin_to_deliver(digis, world.stripe, event)
            while not await elsewhere.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                pass  # each look is a trip: Postgres tells nobody who waits for whom
            writer.close()
            await writer.wait_closed()
    finally:
        await elsewhere.close(timeout=5)
    assert await world.stripe.deliver(event) == 200
    assert await fan.tokens() == 10_100


@pytest.mark.parametrize("delivery", [Delivery.REPEATED, Delivery.REORDERED])
async def test_all_is_settled_when_stripe_delivers_badly_by_itself(
    world: World, fan: Buyer, event: Json, delivery: Delivery
) -> None:
    stripe = world.stripe
    intent = event["data"]["object"]["id"]
    assert (await fan.charge("luna", 10_000)).status_code == 201
    stripe.refund(intent, 500, fail=True)
    stripe.refund(intent, 250)
    stripe.webhooks.set(delivery)
    await stripe.delivered()
    assert stripe.refunds
    assert await fan.tokens() == 100 - 25
    assert [one["pending_webhooks"] for one in stripe.events] == [0] * len(stripe.events)
