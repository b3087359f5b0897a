"""What becomes of an event: booked, ignored or parked, and remembered; a known one costs nothing."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Callable

import httpx
import pytest

from tests.functions.payments.people import Buyer
from tests.functions.payments.world import Json, World, difference
from tools.local.stripe.server import FakeStripe


def _of_type(stripe: FakeStripe, name: str) -> Json:
    return next(event for event in reversed(stripe.events) if event["type"] == name)


def _renamed(event: Json, number: int = 1) -> Json:
    """The same news under another id."""
    return {**copy.deepcopy(event), "id": f"evt_other_{number}"}


async def test_event_has_one_effect_when_50_deliveries_come_at_once(
    world: World, fan: Buyer, stripe: FakeStripe
) -> None:
    stripe.confirm((await fan.begin("t500"))["payment_intent"])
    before, event = await world.ledger(), stripe.events[-1]
    statuses = await asyncio.gather(*(stripe.deliver(event) for _ in range(50)))
    assert set(statuses) == {200}
    change = difference(before, await world.ledger())
    assert change == {"issued": -500, "purchases": 1, "stripe": 4339, "stripe_fees": 160, "token_liability": -4499}
    assert await fan.tokens() == 10_500
    assert await world.owner.fetchval("SELECT count(*) FROM stripe_events WHERE id = $1", event["id"]) == 1


async def test_news_has_one_effect_when_different_events_of_it_come_at_once(
    world: World, fan: Buyer, stripe: FakeStripe
) -> None:
    bought = await fan.begin("t500")
    stripe.confirm(bought["payment_intent"])
    for cents in (1000, 2000):
        stripe.refund(bought["payment_intent"], cents)
    events = [event for event in stripe.events if event["type"] != "payment_intent.created"]
    statuses = await asyncio.gather(*(stripe.deliver(event) for event in [*events, *events, *events]))
    assert set(statuses) == {200}
    assert await fan.tokens() == 10_000 + 500 - 333
    assert [await world.outcome(event) for event in events] == ["ignored", *["booked"] * 5]


async def test_news_of_two_purchases_of_one_fan_is_booked_when_it_comes_at_once(
    world: World, stripe: FakeStripe
) -> None:
    """300 of 1600 tokens are left: 300 are taken back from the wallet, and 1300 are owed."""
    fan, creator = await world.person(), await world.person(creator=True)
    bought = [await world.begin(fan, package) for package in ("t100", "t500", "t1000")]
    for one in bought:
        stripe.confirm(one.intent)
    told = [event for event in stripe.events if event["type"] == "payment_intent.succeeded"]
    assert set(await asyncio.gather(*(stripe.deliver(event) for event in told))) == {200}
    assert (await world.charge(fan, creator, 1300)).status == 201
    for one in bought:
        stripe.refund(one.intent)
    told = [event for event in stripe.events if event["type"] == "charge.refunded"]
    assert set(await asyncio.gather(*(stripe.deliver(event) for event in told))) == {200}
    assert await world.tokens(fan) == (0, 1300)


async def test_event_makes_no_call_to_stripe_when_it_is_known(world: World, fan: Buyer, stripe: FakeStripe) -> None:
    stripe.confirm((await fan.begin())["payment_intent"])
    stripe.reset_counters()
    for event in stripe.events:
        assert await stripe.deliver(event) == 200
    assert stripe.requests == 3  # the payment, its refunds, its disputes: once, for the one event that tells of it
    house, tokens = await world.ledger(), await fan.tokens()
    stripe.reset_counters()
    for event in reversed(stripe.events):
        assert await stripe.deliver(event) == 200
    assert stripe.requests == 0
    assert (await world.ledger(), await fan.tokens()) == (house, tokens)


async def test_event_is_ignored_when_its_type_moves_no_purchase(world: World, fan: Buyer, stripe: FakeStripe) -> None:
    stripe.confirm((await fan.begin())["payment_intent"])
    paid = stripe.events[-1]
    house = await world.ledger()
    stripe.reset_counters()
    for number, name in enumerate(
        (
            *("transfer.created", "transfer.reversed", "account.updated", "payout.paid", "charge.succeeded"),
            *("charge.refund.updated", "balance.available", "customer.created", "nobody.knows_this"),
        )
    ):
        event = _renamed(paid, number) | {"type": name}
        assert await stripe.deliver(event) == 200
        assert await world.outcome(event) == "ignored", name
    assert (stripe.requests, await world.ledger()) == (0, house)
    assert await stripe.deliver(paid) == 200


async def test_event_is_ignored_when_its_payment_is_unknown_or_not_a_purchase_of_ours(
    world: World, fan: Buyer, stripe: FakeStripe
) -> None:
    bought = await fan.begin()
    stripe.confirm(bought["payment_intent"])
    paid, metadata = stripe.events[-1], stripe.payment_intents[bought["payment_intent"]]["metadata"]
    house, good = await world.ledger(), dict(metadata)
    unknown = _renamed(paid)
    unknown["data"]["object"]["id"] = "pi_unknown"
    assert await stripe.deliver(unknown) == 200
    others: list[Json] = [
        *({}, {"stage": "local"}, {"purchase_id": good["purchase_id"]}, {**good, "stage": "production"}),
        *({**good, "purchase_id": "x"}, {**good, "purchase_id": good["purchase_id"].upper()}),
    ]
    for number, other in enumerate(others, 2):
        metadata.clear()
        metadata.update(other)
        assert await stripe.deliver(_renamed(paid, number)) == 200, other
    outcomes = await world.owner.fetch("SELECT outcome, reason FROM stripe_events WHERE id LIKE 'evt_other_%'")
    assert [tuple(row) for row in outcomes] == [("ignored", None)] * 7
    assert (await world.ledger(), await world.status(bought["id"])) == (house, "pending")
    metadata.update(good)
    assert await stripe.deliver(paid) == 200
    assert await fan.tokens() == 10_100


def _amount(_: FakeStripe, intent: Json) -> None:
    intent["amount"] = 100


def _collected(stripe: FakeStripe, intent: Json) -> None:
    stripe.balance_transactions[stripe.charges[intent["latest_charge"]]["balance_transaction"]]["amount"] = 998


def _currency(_: FakeStripe, intent: Json) -> None:
    intent["currency"] = "eur"


def _mode(_: FakeStripe, intent: Json) -> None:
    intent["livemode"] = True


@pytest.mark.plants_a_fault
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        *((_amount, "another amount"), (_collected, "another amount")),
        *((_currency, "another currency"), (_mode, "another mode")),
    ],
)
async def test_event_is_parked_when_the_payment_is_not_what_was_asked_for(
    world: World,
    fan: Buyer,
    stripe: FakeStripe,
    spoil: Callable[[FakeStripe, Json], None],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bought = await fan.begin()
    stripe.confirm(bought["payment_intent"])
    spoil(stripe, stripe.payment_intents[bought["payment_intent"]])
    await _is_parked(world, stripe, stripe.events[-1], reason, caplog)
    assert await world.status(bought["id"]) == "pending"


@pytest.mark.plants_a_fault
@pytest.mark.parametrize("is_known", [True, False])
async def test_event_is_parked_when_it_is_another_payment_of_the_same_purchase(
    world: World, fan: Buyer, stripe: FakeStripe, caplog: pytest.LogCaptureFixture, *, is_known: bool
) -> None:
    bought = await fan.begin()
    first = stripe.payment_intents[bought["payment_intent"]]
    stripe.confirm(first["id"])
    if is_known:
        assert await stripe.deliver(stripe.events[-1]) == 200
    form = {f"metadata[{name}]": value for name, value in first["metadata"].items()}
    async with httpx.AsyncClient(headers={"Authorization": "Bearer sk_test_local"}) as somebody_with_our_key:
        made = await somebody_with_our_key.post(
            f"{stripe.url}/v1/payment_intents", data={"amount": "999", "currency": "usd", **form}
        )
    stripe.confirm(made.json()["id"])
    await _is_parked(world, stripe, stripe.events[-1], "another payment of the same purchase", caplog)
    row = await world.owner.fetchrow("SELECT status, payment_intent_id FROM purchases WHERE id = $1", bought["id"])
    assert row is not None
    assert tuple(row) == ("paid" if is_known else "pending", first["id"])


async def _is_parked(
    world: World, stripe: FakeStripe, event: Json, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Once and for good, with one line for us to find it by, and nothing in that of whom it is about."""
    logger = logging.getLogger("digis")
    house = await world.ledger()
    logger.addHandler(caplog.handler)
    try:
        assert [await stripe.deliver(event) for _ in range(2)] == [200, 200]
    finally:
        logger.removeHandler(caplog.handler)
    row = await world.owner.fetchrow("SELECT outcome, reason FROM stripe_events WHERE id = $1", event["id"])
    assert row is not None
    assert (tuple(row), await world.ledger()) == (("parked", reason), house)
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert errors == [f"payment {event['data']['object']['id']} is parked: {reason}"]
