"""What a purchase says of itself after each thing that happens to it at Stripe."""

from __future__ import annotations

import asyncio

import pytest

from tests.functions.payments.world import World
from tests.functions.payments.world_stories import InOrder, Story
from tools.local.stripe.faults import Mode

# Each step, and the status that it leads to.
LIVES = {
    "a decline is not the end": [
        *(("begin a t500", "pending"), ("decline a", "failed"), ("decline a", "failed"), ("confirm a", "paid")),
    ],
    "a payment that is canceled": [("begin a t500", "pending"), ("cancel a", "failed")],
    "a payment that is canceled after a decline": [
        *(("begin a t500", "pending"), ("decline a", "failed"), ("cancel a", "failed")),
    ],
    "returned piece by piece": [
        *(("buy a t500", "paid"), ("refund a 1", "paid"), ("refund a 4497", "paid"), ("refund a 1", "refunded")),
    ],
    "returned, and not": [
        ("buy a t500", "paid"),
        ("refund a", "refunded"),
        ("fail a", "paid"),
        ("refund a", "refunded"),
    ],
    "disputed and won": [("buy a t500", "paid"), ("dispute a", "disputed"), ("win a", "paid")],
    "disputed and lost": [("buy a t500", "paid"), ("dispute a", "disputed"), ("lose a", "disputed")],
    "the rest disputed and won": [
        *(("buy a t500", "paid"), ("refund a 1000", "paid"), ("dispute a", "disputed"), ("win a", "paid")),
    ],
    "the rest disputed and lost": [
        *(("buy a t500", "paid"), ("refund a 1000", "paid"), ("dispute a", "disputed"), ("lose a", "disputed")),
    ],
    "a refund that fails while the rest is disputed": [
        *(("buy a t500", "paid"), ("refund a 1000", "paid"), ("dispute a", "disputed"), ("fail a", "disputed")),
        ("win a", "paid"),
    ],
    "a decline before, a failed refund after": [
        *(("begin a t500", "pending"), ("decline a", "failed"), ("confirm a", "paid"), ("refund a", "refunded")),
        ("fail a", "paid"),
    ],
}


async def test_status_follows_what_happens_at_stripe_when_it_is_told(world: World) -> None:
    for name, life in LIVES.items():
        story = Story(world, await world.person(), await world.person(creator=True), InOrder())
        for step, status in life:
            assert (await story.play([step])).statuses == {"a": status}, (name, step)


async def test_status_stays_when_old_news_comes_after_everything(world: World) -> None:
    story = Story(world, await world.person(), await world.person(creator=True), InOrder())
    end = await story.play(["begin a t100", "decline a", "confirm a", "refund a"])
    assert end.statuses == {"a": "refunded"}
    purchase_id = await world.owner.fetchval("SELECT id FROM purchases WHERE user_id = $1", story.fan)
    for event in reversed(world.stripe.events):
        await world.receive({**event, "id": f"{event['id']}_again"})
        assert await world.status(str(purchase_id)) == "refunded"


@pytest.mark.parametrize(
    ("before", "held", "after", "status", "tokens"),
    [
        (["begin a t500"], "refunds", "decline a", "failed", 0),
        (["begin a t500"], "refunds", "confirm a", "paid", 500),
        (["buy a t500"], "disputes", "refund a", "refunded", 0),
        (["buy a t500"], "refunds", "dispute a", "disputed", 0),
        (["buy a t500", "dispute a"], "refunds", "win a", "paid", 500),
    ],
)
async def test_status_stays_when_who_had_looked_earlier_books_later(
    world: World, before: list[str], held: str, after: str, status: str, tokens: int
) -> None:
    """Two deliveries at once: the first sees less of the payment, and is the last to write."""
    faults, story = world.stripe.faults, Story(world, await world.person(), await world.person(), InOrder())
    await story.play(before)
    begun = world.stripe.events[0]
    assert begun["type"] == "payment_intent.created"
    faults.slow_seconds = 60
    await faults.set(Mode.SLOW, count=1, only=f"/v1/{held}")  # it has asked for all but these
    first = asyncio.create_task(world.receive({**begun, "id": "evt_early", "type": "payment_intent.processing"}))
    await faults.caught()
    assert (await story.play([after])).statuses == {"a": status}
    await faults.set(Mode.OK)
    await first
    assert (await story.play([])).statuses == {"a": status}
    assert await world.tokens(story.fan) == (tokens, 0)
