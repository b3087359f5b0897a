"""What is at Stripe and none of ours, or not as we asked for it; and a payout that makes our own code fail."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import httpx
import pytest

from functions.payments import intents, transfers
from functions.payments.movements import Payment, Transfer
from tests.functions.payments.payees import Payees
from tests.functions.payments.reconciling import (
    NOTHING,
    Log,
    ask,
    ask_and_die,
    due_in,
    earner,
    make_due,
    post_to_stripe,
    run,
    sent_keys,
)
from tests.functions.payments.world import Json
from tools.local.stripe.server import FakeStripe

pytestmark = pytest.mark.slow

LATE = 700  # seconds: more than what was not booked yet is put down to


async def _transfer(payees: Payees, payout_id: str, changed: dict[str, str], *, ago: float = 0) -> Json:
    """Somebody sends money as if it was this payout's, but not quite."""
    stripe = payees.world.stripe
    account_id = await payees.world.owner.fetchval("SELECT account_id FROM payouts WHERE id = $1", UUID(payout_id))
    form = {
        "amount": "5000",
        "currency": "usd",
        "destination": account_id,
        "transfer_group": payout_id,
        "metadata[payout_id]": payout_id,
        "metadata[stage]": "local",
    }
    stripe.advance(-ago)
    made = await post_to_stripe(stripe, "transfers", form | changed)
    stripe.advance(ago)
    stripe.reset_counters()
    return made


@pytest.mark.plants_a_fault
@pytest.mark.parametrize("what", ["amount", "account", "currency"])
async def test_transfer_that_is_not_what_was_asked_for_is_parked(
    payees: Payees, log: Log, fresh_process: pytest.MonkeyPatch, what: str
) -> None:
    creator, other = await earner(payees), await earner(payees)
    bad, good = await ask_and_die(creator, fresh_process), await ask_and_die(other, fresh_process)
    if what == "currency":
        payees.world.stripe.top_up(5000, "eur")
    theirs = await payees.world.owner.fetchval("SELECT account_id FROM payouts WHERE id = $1", UUID(good))
    changed = {"amount": {"amount": "4999"}, "account": {"destination": theirs}, "currency": {"currency": "eur"}}
    await _transfer(payees, bad, changed[what], ago=LATE)
    assert await run() == (1, 1, 0, 0), "the other is sent, and paid"
    assert (await payees.status(bad), await payees.status(good)) == ("reserved", "paid")
    assert sent_keys(payees.world.stripe) == [f"payout:{good}"]
    assert 3590 < await due_in(payees.world, bad) <= 3600
    assert f"payout {bad} is parked: another {what}" in log.errors
    drift = {"amount": -4999, "account": -5000, "currency": 0}[what]  # what is not in dollars we keep no books of
    assert log.drift == drift
    await make_due(payees.world)
    log.clear()
    assert await run() == NOTHING
    assert (log.drift, await payees.status(bad), await payees.available(creator)) == (drift, "reserved", 0)
    assert f"payout {bad} is parked: another {what}" in log.errors


_NOT_OURS = [{"metadata[stage]": "another"}, {"metadata[payout_id]": "another"}]


@pytest.mark.parametrize("changed", _NOT_OURS)
async def test_transfer_of_another_stage_beside_ours_is_the_houses(
    payees: Payees, log: Log, changed: dict[str, str]
) -> None:
    """Or of nobody's, in the same group: of the payout ours alone is booked."""
    payout_id = await ask(await earner(payees))
    assert await run() == (0, 1, 0, 0)
    made = await _transfer(payees, payout_id, changed)
    assert await run() == (0, 1, 0, 0)
    payees.world.stripe.reverse(made["id"], 1)
    assert await run() == (0, 1, 0, 0)
    assert log.errors == []
    row = await payees.world.owner.fetchrow("SELECT status, net_cents FROM payouts WHERE id = $1", UUID(payout_id))
    assert row is not None
    assert tuple(row) == ("paid", 5000)


@pytest.mark.parametrize("changed", _NOT_OURS)
async def test_transfer_of_another_stage_does_not_keep_ours_from_being_sent(
    payees: Payees, fresh_process: pytest.MonkeyPatch, changed: dict[str, str]
) -> None:
    payout_id = await ask_and_die(await earner(payees), fresh_process)
    await _transfer(payees, payout_id, changed)
    assert (await run())[0] == 1
    assert sent_keys(payees.world.stripe) == [f"payout:{payout_id}"]
    assert await payees.status(payout_id) == "paid"
    assert await run() == NOTHING


@pytest.mark.parametrize("group", ["nobody's", ""])
async def test_transfer_of_something_else_is_the_houses(payees: Payees, log: Log, group: str) -> None:
    payout_id = await ask(await earner(payees))
    await run()
    more = {"transfer_group": group, "metadata[payout_id]": "", "metadata[stage]": ""}
    made = await _transfer(payees, payout_id, more)
    assert await run() == (0, 1, 0, 0)
    payees.world.stripe.reverse(made["id"], 1)
    log.clear()
    assert await run() == (0, 1, 0, 0)
    assert (log.drift, log.errors) == (0, [])
    assert await run() == NOTHING


# Payments


async def _payment(stripe: FakeStripe, **metadata: str) -> str:
    form = {"amount": "4200", "currency": "usd", **{f"metadata[{name}]": value for name, value in metadata.items()}}
    intent = await post_to_stripe(stripe, "payment_intents", form)
    stripe.advance(-LATE)
    stripe.confirm(intent["id"])
    stripe.advance(LATE)
    return str(intent["id"])


@pytest.mark.parametrize(
    "metadata",
    [{}, {"order": "7"}, {"purchase_id": "7", "stage": "local"}, {"purchase_id": str(uuid4()), "stage": "another"}],
)
async def test_payment_of_another_product_is_the_houses_with_its_refund(
    payees: Payees, log: Log, metadata: dict[str, str]
) -> None:
    before = await payees.world.house()
    intent = await _payment(payees.world.stripe, **metadata)
    assert await run() == (0, 1, 0, 0)
    payees.world.stripe.refund(intent, 200)
    payees.world.stripe.dispute(intent)
    log.clear()
    assert await run() == (0, 2, 0, 0)
    assert (log.drift, log.errors) == (0, [])
    after = await payees.world.house()
    fees = after["stripe_fees"] - before["stripe_fees"]
    assert fees > 0
    assert (after["stripe"] - before["stripe"], after["revenue"] - before["revenue"]) == (-fees, 0)
    assert after["token_liability"] == before["token_liability"]
    assert await run() == NOTHING


@pytest.mark.plants_a_fault
async def test_payment_of_a_purchase_that_we_do_not_know_is_drift(payees: Payees, log: Log) -> None:
    """It says that it is ours: a row was lost, and somebody has to look."""
    intent = await _payment(payees.world.stripe, purchase_id=str(uuid4()), stage="local")
    bought = await payees.world.begin(await payees.world.person(), "t100")
    payees.world.stripe.confirm(bought.intent)
    charge = payees.world.stripe.charges[payees.world.stripe.payment_intents[intent]["latest_charge"]]
    lines = []
    for figures in ((0, 1, 0, 0), NOTHING):
        log.clear()
        assert await run() == figures, "others are found"
        assert log.drift == 4200 - (4200 * 29 + 500) // 1000 - 30
        lines += log.errors
    entry = charge["balance_transaction"]
    assert f"entry {entry} is of something that we do not know" in lines
    assert await payees.world.status(bought.id) == "paid"


# Our own mistakes


async def test_payout_that_makes_a_run_fail_stops_no_others(
    digis: httpx.AsyncClient, payees: Payees, fresh_process: pytest.MonkeyPatch
) -> None:
    fresh_process.setenv("CRON_SECRET", "cron-of-this-test")
    find, creators = transfers.find_transfers, [await earner(payees) for _ in range(7)]
    poison, *others = await asyncio.gather(*(ask(creator) for creator in creators))
    await payees.world.owner.execute("UPDATE payouts SET due_at = now() - interval '1 day' WHERE id = $1", UUID(poison))
    bought = await payees.world.begin(await payees.world.person(), "t100")
    payees.world.stripe.confirm(bought.intent)

    async def find_or_fail(payout_id: str) -> list[Transfer]:
        if payout_id == poison:
            raise RuntimeError("of this test")
        return await find(payout_id)

    async def answer() -> tuple[int, str]:
        reply = await digis.get("/payments/reconcile", headers={"Authorization": "Bearer cron-of-this-test"})
        return reply.status_code, reply.json().get("code", "")

    with fresh_process.context() as patch:
        patch.setattr(transfers, "find_transfers", find_or_fail)
        for _ in range(2):
            assert await answer() == (500, "internal")
            assert {await payees.status(one) for one in others} == {"paid"}
            assert (await payees.status(poison), await payees.world.status(bought.id)) == ("submitted", "paid")
            await payees.world.owner.execute("UPDATE payouts SET due_at = now()")
    assert await answer() == (200, "")
    assert await payees.status(poison) == "paid"
    assert len(payees.world.stripe.transfers) == len(creators)


async def test_entry_that_makes_a_run_fail_stops_no_others(
    payees: Payees, log: Log, fresh_process: pytest.MonkeyPatch
) -> None:
    """Whichever is looked at first. And what the ledger is away by is told of all the same."""
    world, find = payees.world, intents.find_payment
    bought = [await world.begin(await world.person(), "t100") for _ in range(3)]
    for ago, one in zip((20, 10, 0), bought, strict=True):
        world.stripe.advance(-ago)
        world.stripe.confirm(one.intent)
        world.stripe.advance(ago)

    async def find_or_fail(intent_id: str) -> Payment | None:
        if intent_id == bought[1].intent:
            raise RuntimeError("of this test")
        return await find(intent_id)

    with fresh_process.context() as patch:
        patch.setattr(intents, "find_payment", find_or_fail)
        with pytest.raises(RuntimeError):
            await run()
        assert [await world.status(one.id) for one in bought] == ["paid", "pending", "paid"]
        assert log.metrics("LedgerDriftCents") != []
    assert await run() == (0, 1, 0, 0)
