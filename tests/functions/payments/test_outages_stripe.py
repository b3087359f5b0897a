"""What buying makes of Stripe being out, in every way there is: a 503 in time, and the same purchase afterwards."""

from __future__ import annotations

import time
from typing import Any

import asyncpg
import httpx
import pytest

from shared.settings import settings
from tests.functions.auth.people import forget_limits
from tests.functions.payments.people import Buyer
from tools.local.rest.server import RestServer
from tools.local.stripe.faults import Mode
from tools.local.stripe.server import FakeStripe
from tools.local.stripe.webhooks import Delivery

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("short_deadline")]  # waits for deadlines

OUT = [Mode.REFUSE, Mode.HANG, Mode.ERROR_500, Mode.DOWN, Mode.CUT, Mode.LOST, Mode.SLOW]
CARRIED_OUT = {Mode.CUT, Mode.LOST, Mode.SLOW}


def _assert_out(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, "payment_provider_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert "idempotency-replayed" not in answer.headers


@pytest.fixture
def short_deadline(digis: httpx.AsyncClient, fresh_process: pytest.MonkeyPatch) -> None:
    fresh_process.setenv("STRIPE_DEADLINE_MS", "300")
    settings.cache_clear()


async def _mended(fan: Buyer, rest: RestServer, key: str) -> httpx.Response:
    """The answer once what was under way at Stripe has come to its end there."""
    for _ in range(100):
        await forget_limits(rest)
        answer = await fan.purchase("t500", key)
        if answer.status_code != 503:
            break
    return answer


@pytest.mark.parametrize("mode", OUT)
async def test_stripe_out_is_503_in_time_and_the_repeat_resumes_the_same_purchase(
    fan: Buyer, stripe: FakeStripe, rest: RestServer, owner: asyncpg.Connection[Any], mode: Mode
) -> None:
    stripe.faults.slow_seconds = 60
    await stripe.faults.set(mode)
    for _ in range(3):
        started = time.monotonic()
        _assert_out(await fan.purchase("t500", "key"))
        assert time.monotonic() - started < 5
    (row,) = await owner.fetch("SELECT * FROM purchases")
    assert (row["status"], row["payment_intent_id"]) == ("pending", None)
    assert await fan.purchase_status(str(row["id"])) == "pending"

    await stripe.faults.set(Mode.OK)
    answer = await _mended(fan, rest, "key")
    assert (answer.status_code, "idempotency-replayed" in answer.headers) == (201, False)
    made = answer.json()["purchase"]
    assert made["id"] == str(row["id"])
    again = await fan.purchase("t500", "key")
    assert (again.content, again.headers["idempotency-replayed"]) == (answer.content, "true")

    (intent,) = stripe.payment_intents.values()
    assert made["client_secret"] == intent["client_secret"]
    stripe.confirm(intent["id"])
    await stripe.delivered()
    assert await fan.purchase_status(made["id"]) == "paid"
    assert await fan.tokens() == 10_500
    assert await owner.fetchval("SELECT count(*) FROM purchases") == 1
    attempts = {one.idempotency_key for one in stripe.seen if one.method == "POST"} - {None}
    if mode in CARRIED_OUT | {Mode.HANG}:  # it may exist: under no other key
        assert attempts == {f"purchase:{made['id']}"}
    if mode is Mode.ERROR_500:  # which Stripe repeats for a day under the same key
        assert attempts == {f"purchase:{made['id']}", *(f"purchase:{made['id']}:{number}" for number in (2, 3, 4))}


async def test_outage_that_changes_its_kind_makes_one_payment(
    fan: Buyer, stripe: FakeStripe, rest: RestServer, owner: asyncpg.Connection[Any]
) -> None:
    for mode in (Mode.HANG, Mode.ERROR_500, Mode.REFUSE, Mode.LOST, Mode.DOWN, Mode.CUT):
        await stripe.faults.set(mode)
        _assert_out(await fan.purchase("t500", "key"))
    await stripe.faults.set(Mode.OK)
    answer = await _mended(fan, rest, "key")
    assert answer.status_code == 201
    intent_id = answer.json()["purchase"]["client_secret"].partition("_secret_")[0]
    assert await owner.fetchval("SELECT count(*) FROM purchases") == 1
    # A proxy's 503 was taken for Stripe's own: another attempt. The payment it left behind is nobody's to confirm.
    assert intent_id in stripe.payment_intents
    stripe.confirm(intent_id)
    await stripe.delivered()
    assert await fan.tokens() == 10_500


async def test_one_hiccup_costs_one_repeat(fan: Buyer, stripe: FakeStripe) -> None:
    for number, mode in enumerate([Mode.HANG, Mode.ERROR_500, Mode.DOWN, Mode.CUT, Mode.LOST]):
        await stripe.faults.set(mode, count=1)
        _assert_out(await fan.purchase("t100", f"key-{number}"))
        assert (await fan.purchase("t100", f"key-{number}")).status_code == 201, mode


async def test_payment_that_a_webhook_told_of_first_is_found_and_not_made_again(
    fan: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]
) -> None:
    """The answer of Stripe was lost, the customer paid all the same, and the buyer's page repeats."""
    await stripe.faults.set(Mode.LOST, count=1, only="POST")
    _assert_out(await fan.purchase("t100", "key"))
    (intent_id,) = stripe.payment_intents
    stripe.confirm(intent_id)
    await stripe.delivered()
    assert await owner.fetchval("SELECT status FROM purchases") == "paid"
    for mode in (Mode.HANG, Mode.ERROR_500, Mode.REFUSE):
        await stripe.faults.set(mode)
        _assert_out(await fan.purchase("t100", "key"))
    await stripe.faults.set(Mode.OK)
    made = (await fan.purchase("t100", "key")).json()["purchase"]
    assert (made["status"], made["client_secret"]) == ("paid", stripe.payment_intents[intent_id]["client_secret"])
    assert len(stripe.payment_intents) == 1
    assert await fan.tokens() == 10_100


@pytest.mark.parametrize("mode", [Mode.REFUSE, Mode.HANG, Mode.ERROR_500, Mode.DOWN, Mode.CUT, Mode.LOST])
async def test_event_that_stripe_cannot_be_asked_about_is_503_and_booked_when_it_comes_again(
    fan: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any], mode: Mode
) -> None:
    made = await fan.begin("t500")
    stripe.webhooks.set(Delivery.HELD)
    stripe.confirm(made["payment_intent"])
    await stripe.delivered()
    await stripe.faults.set(mode)
    event = next(one for one in stripe.events if one["type"] == "payment_intent.succeeded")
    for _ in range(2):
        assert await stripe.deliver(event) == 503
    assert await fan.tokens() == 10_000
    assert await owner.fetchval("SELECT count(*) FROM stripe_events WHERE id = $1", event["id"]) == 0
    await stripe.faults.set(Mode.OK)
    assert [await stripe.deliver(event) for _ in range(2)] == [200, 200]
    assert await fan.tokens() == 10_500
    stripe.webhooks.set(Delivery.NORMAL)
    await stripe.delivered()
    assert await fan.tokens() == 10_500


@pytest.mark.parametrize("mode", OUT)
async def test_what_needs_no_stripe_goes_on(fan: Buyer, stripe: FakeStripe, mode: Mode) -> None:
    made = await fan.begin()
    await stripe.faults.set(mode)
    assert (await fan.charge("luna", 5)).status_code == 201
    assert await fan.purchase_status(made["id"]) == "pending"
    assert (await fan.get("history")).status_code == 200
    assert await fan.tokens() == 9_995
