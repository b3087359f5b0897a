"""The sender of a payout, the webhooks about it and reconcile, all at once: it is sent once, and booked once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.functions.payments.payees import Payees
from tests.functions.payments.reconciling import ask, earner, make_due, run, sent_keys
from tools.local.stripe.faults import Mode
from tools.local.stripe.server import FakeStripe

pytestmark = pytest.mark.slow

TRANSFERS = "POST /v1/transfers"
GIVE_UP_SECONDS = 60  # for what never takes a tenth of it


@pytest.fixture
async def creator(payees: Payees) -> str:
    """May have 1,000 tokens paid out."""
    return await earner(payees)


@asynccontextmanager
async def _caught(stripe: FakeStripe, only: str, count: int) -> AsyncIterator[None]:
    """So many wait for Stripe when the block ends, and go on together."""
    stripe.faults.slow_seconds = 60
    await stripe.faults.set(Mode.SLOW, only=only)
    yield
    async with asyncio.timeout(GIVE_UP_SECONDS):
        await stripe.faults.caught(count)
    await stripe.faults.set(Mode.OK)


@pytest.mark.parametrize("is_reversed", [False, True])
async def test_webhooks_and_reconcile_at_one_payout_book_it_once(
    payees: Payees, creator: str, *, is_reversed: bool
) -> None:
    world = payees.world
    payout_id = await ask(creator)
    if is_reversed:
        world.stripe.reverse(await payees.transfer_of(payout_id), 5)
    told = [event for event in world.stripe.events if event["type"].startswith("transfer.")]
    tries = [world.receive(event) for event in 3 * told]
    async with _caught(world.stripe, "GET /v1/transfers", len(tries) + 1):
        runs = asyncio.gather(run(), run())
        received = asyncio.gather(*tries)
    await asyncio.gather(runs, received)
    moved = "SELECT count(*) FROM payout_movements WHERE stripe_id IS NOT NULL"
    assert await world.owner.fetchval(moved) == len(told) == 1 + is_reversed
    assert await payees.status(payout_id) == "paid"
    assert await payees.earnings(creator) == is_reversed


async def test_reconcile_that_takes_a_payout_from_its_slow_sender_sends_it_once(payees: Payees, creator: str) -> None:
    """It was due too early, which our clocks would not let happen: Stripe says that its key is in use."""
    world = payees.world
    async with _caught(world.stripe, TRANSFERS, 1):
        first = asyncio.create_task(ask(creator))
        async with asyncio.timeout(GIVE_UP_SECONDS):
            await world.stripe.faults.caught()
        await make_due(world)
        assert await run() == (1, 0, 0, 0)
        assert world.stripe.transfers == {}
    payout_id = await first
    assert await payees.transfer_of(payout_id) == "None", "whoever has the older fence writes nothing"
    await make_due(world)
    assert await run() == (0, 1, 0, 0)
    assert await payees.status(payout_id) == "paid"
    assert len(world.stripe.transfers) == 1
    assert set(sent_keys(world.stripe)) == {f"payout:{payout_id}"}
