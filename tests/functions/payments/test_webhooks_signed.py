"""What Stripe has not signed with one of our secrets, just now, is refused; so is what it could not have meant."""

from __future__ import annotations

import json
import time

import httpx
import pytest

from shared.settings import settings
from tests.functions.payments.people import Buyer
from tests.functions.payments.world import Json
from tools.local.stripe.server import FakeStripe
from tools.local.stripe.webhooks import Delivery

PATH = "/payments/webhooks/stripe"


@pytest.fixture
async def event(fan: Buyer, stripe: FakeStripe) -> Json:
    """That somebody paid, of which we have not been told."""
    stripe.webhooks.set(Delivery.HELD)
    stripe.confirm((await fan.begin())["payment_intent"])
    return stripe.events[-1]


async def _is_refused(answer: httpx.Response, code: str, stripe: FakeStripe) -> None:
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert stripe.requests == 0


async def test_event_is_refused_when_its_signature_is_none_wrong_or_old(
    digis: httpx.AsyncClient, stripe: FakeStripe, event: Json, fan: Buyer
) -> None:
    body, now = json.dumps(event).encode(), int(time.time())
    good = stripe.sign(body)
    stripe.reset_counters()
    for signature in (
        *(None, "", "garbage", "t=,v1=", f"t={now}", "t=now,v1=00", good.replace("v1=", "v0="), good.swapcase()),
        *(stripe.sign(body, secret="whsec_other"), stripe.sign(body + b" "), stripe.sign(body, timestamp=now - 301)),
        *(f"t={now - 1},{good.partition(',')[2]}", "v1=" + good, good[:-1]),
    ):
        headers = {} if signature is None else {"Stripe-Signature": signature}
        await _is_refused(await digis.post(PATH, content=body, headers=headers), "invalid_signature", stripe)
    assert (await fan.balance())["tokens"] == 10_000
    assert await stripe.deliver(event, timestamp=now - 290) == 200
    assert (await fan.balance())["tokens"] == 10_100


async def test_event_is_taken_under_each_secret_while_they_are_being_changed(
    fan: Buyer, stripe: FakeStripe, event: Json, fresh_process: pytest.MonkeyPatch
) -> None:
    fresh_process.setenv("STRIPE_WEBHOOK_SECRET", "whsec_new,whsec_local")
    settings.cache_clear()
    assert await stripe.deliver(event, secret="whsec_new,whsec_local") == 400
    assert await stripe.deliver(event) == 200
    assert await stripe.deliver(event, secret="whsec_new") == 200
    assert await fan.tokens() == 10_100
    fresh_process.setenv("STRIPE_WEBHOOK_SECRET", "whsec_new")
    settings.cache_clear()
    assert await stripe.deliver(event) == 400


NO_EVENTS = (
    *(b"", b"{", b"null", b"[]", b'"evt_1"', b"7", b"{}", b"\x00"),
    b'{"id": "evt_1", "type": "refund.created"}',
    b'{"id": "evt_1", "type": "refund.created", "data": {"object": []}}',
    b'{"id": "", "type": "refund.created", "data": {"object": {}}}',
    b'{"id": 1, "type": "refund.created", "data": {"object": {}}}',
    b'{"id": "evt_1", "type": null, "data": {"object": {}}}',
    b'{"id": "\\ud800", "type": "refund.created", "data": {"object": {}}}',
    b'{"id": "%b", "type": "refund.created", "data": {"object": {}}}' % (b"e" * 256),
)


async def test_body_is_refused_when_it_is_no_event_though_signed(digis: httpx.AsyncClient, stripe: FakeStripe) -> None:
    for body in NO_EVENTS:
        answer = await digis.post(PATH, content=body, headers={"Stripe-Signature": stripe.sign(body)})
        await _is_refused(answer, "malformed_json", stripe)


OF_OTHER_SHAPES = (
    b'{"id": "evt_1", "type": "invoice.upcoming", "data": {"object": {"id": null}}}',
    b'{"id": "evt_2", "type": "refund.created", "data": {"object": {"payment_intent": {"id": "pi_1"}}}}',
    b'{"id": "evt_3", "type": "payment_intent.succeeded", "data": {"object": {"id": 7}}}',
    b'{"id": "evt_4", "type": "payment_intent.succeeded", "data": {"object": {"id": "pi_../../v1/balance"}}}',
)


async def test_event_is_taken_when_it_is_about_something_of_another_shape(
    digis: httpx.AsyncClient, stripe: FakeStripe
) -> None:
    for body in OF_OTHER_SHAPES:
        answer = await digis.post(PATH, content=body, headers={"Stripe-Signature": stripe.sign(body)})
        assert (answer.status_code, answer.json()) == (200, {"success": True, "received": True})
    assert stripe.requests == 0


async def test_body_is_refused_when_it_is_not_utf_8_though_signed(digis: httpx.AsyncClient, stripe: FakeStripe) -> None:
    body = b'{"id": "\xff"}'
    answer = await digis.post(PATH, content=body, headers={"Stripe-Signature": stripe.sign(body)})
    await _is_refused(answer, "invalid_signature", stripe)
