"""Purchases as their buyer sees them: begun, paid, declined, looked at."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest

from shared.settings import settings
from tests.functions.payments.conftest import NewBuyer
from tests.functions.payments.people import Buyer, code_of
from tools.local.stripe.errors import StripeRefused
from tools.local.stripe.server import FakeStripe

PURCHASE = {"id", "status", "package_id", "tokens", "price_cents", "currency", "client_secret", "created_at"}
PACKAGES = [("t100", 100, 999), ("t500", 500, 4499), ("t1000", 1000, 7999), ("t5000", 5000, 34999)]


@pytest.mark.parametrize(("package", "tokens", "cents"), PACKAGES)
async def test_purchase_is_pending_with_what_the_client_confirms(
    fan: Buyer, stripe: FakeStripe, package: str, tokens: int, cents: int
) -> None:
    answer = await fan.purchase(package)
    assert answer.status_code == 201
    assert set(answer.json()) == {"success", "purchase"}
    assert answer.json()["success"] is True
    made = answer.json()["purchase"]
    assert set(made) == PURCHASE
    assert (made["status"], made["package_id"], made["currency"]) == ("pending", package, "usd")
    assert (made["tokens"], made["price_cents"]) == (tokens, cents)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", made["created_at"])

    (intent,) = stripe.payment_intents.values()
    assert made["client_secret"] == intent["client_secret"]
    assert (intent["amount"], intent["currency"]) == (cents, "usd")
    assert intent["metadata"] == {"purchase_id": made["id"], "stage": "local"}
    assert (intent["capture_method"], intent["automatic_payment_methods"]["enabled"]) == ("automatic", True)
    assert [one.idempotency_key for one in stripe.seen if one.method == "POST"] == [f"purchase:{made['id']}"]

    shown = await fan.get(f"purchases/{made['id']}")
    assert (shown.status_code, shown.json()) == (200, answer.json())
    assert await fan.tokens() == 10_000, "not paid yet"


async def test_paid_purchase_is_in_the_balance_and_the_history(fan: Buyer) -> None:
    assert await fan.tokens() == 10_000
    made = await fan.buy("t500")
    assert await fan.purchase_status(made["id"]) == "paid"
    assert await fan.tokens() == 10_500, "what was kept is dropped"
    newest = (await fan.get("history", limit=1)).json()["entries"][0]
    assert (newest["kind"], newest["tokens"], newest["counterparty"]) == ("purchase", 500, None)
    shown = (await fan.get(f"purchases/{made['id']}")).json()["purchase"]
    assert shown == {name: made[name] for name in PURCHASE} | {"status": "paid"}


async def test_declined_purchase_is_failed_and_can_still_be_paid(fan: Buyer, stripe: FakeStripe) -> None:
    made = await fan.begin()
    with pytest.raises(StripeRefused):
        stripe.confirm(made["payment_intent"], "pm_card_chargeDeclined")
    await stripe.delivered()
    assert await fan.purchase_status(made["id"]) == "failed"
    assert await fan.tokens() == 10_000
    stripe.confirm(made["payment_intent"])
    await stripe.delivered()
    assert await fan.purchase_status(made["id"]) == "paid"
    assert await fan.tokens() == 10_100


async def test_status_follows_what_becomes_of_the_money(fan: Buyer, stripe: FakeStripe) -> None:
    canceled, refunded, disputed = await fan.begin(), await fan.buy(), await fan.buy()
    stripe.cancel(canceled["payment_intent"])
    stripe.refund(refunded["payment_intent"], 500)
    dispute = stripe.dispute(disputed["payment_intent"])
    await stripe.delivered()
    assert await fan.purchase_status(canceled["id"]) == "failed"
    assert await fan.purchase_status(refunded["id"]) == "paid", "in part"
    assert await fan.purchase_status(disputed["id"]) == "disputed"
    stripe.refund(refunded["payment_intent"])
    stripe.close_dispute(dispute["id"], won=True)
    await stripe.delivered()
    assert await fan.purchase_status(refunded["id"]) == "refunded"
    assert await fan.purchase_status(disputed["id"]) == "paid"
    assert await fan.tokens() == 10_100


async def test_purchase_of_somebody_else_is_404_as_one_that_is_not(fan: Buyer, new_buyer: NewBuyer) -> None:
    made = await fan.begin()
    other = await new_buyer("fan2")
    theirs = await other.get(f"purchases/{made['id']}")
    unknown = await other.get(f"purchases/{uuid4()}")
    assert code_of(theirs) == code_of(unknown) == (404, "not_found")
    same = ("instance", "request_id")
    shown = [{name: value for name, value in one.json().items() if name not in same} for one in (theirs, unknown)]
    assert shown[0] == shown[1]
    assert (await fan.get(f"purchases/{made['id'].upper()}")).status_code == 200


async def test_purchase_id_that_is_no_uuid_is_422(fan: Buyer) -> None:
    for purchase_id in ("5", "luna", "t100", "0" * 33, "%00", f"{uuid4()}x", "%F0%9F%8E%89"):
        answer = await fan.get(f"purchases/{purchase_id}")
        assert code_of(answer) == (422, "validation_failed")
        assert [error["field"] for error in answer.json()["errors"]] == ["path.purchase_id"]


async def test_package_that_there_is_not_is_422(fan: Buyer, stripe: FakeStripe) -> None:
    packages: list[Any] = ["t7", "T100", " t100", "t100\x00", "", None, 100, 1.0, True, ["t100"], {}]
    bodies: list[Any] = [*({"package_id": package} for package in packages), {}, {"package": "t100"}]
    for body in bodies:
        answer = await fan.post("tokens/purchase", body)
        assert code_of(answer) == (422, "validation_failed"), body
        assert [error["field"] for error in answer.json()["errors"]] == ["body.package_id"]
    for body in ([], "t100", 5):
        assert code_of(await fan.post("tokens/purchase", body)) == (422, "validation_failed")
    assert stripe.requests == 0


async def test_unknown_fields_are_ignored_and_change_no_price(fan: Buyer, stripe: FakeStripe) -> None:
    body = {"package_id": "t100", "tokens": 9999, "price_cents": 1, "currency": "jpy", "status": "paid"}
    made = (await fan.post("tokens/purchase", body)).json()["purchase"]
    assert (made["tokens"], made["price_cents"], made["currency"], made["status"]) == (100, 999, "usd", "pending")
    (intent,) = stripe.payment_intents.values()
    assert (intent["amount"], intent["currency"]) == (999, "usd")


# Stripe's events, as a route: what they make of the books is tested elsewhere


async def test_event_that_stripe_signed_is_received_and_so_is_its_repeat(
    fan: Buyer, stripe: FakeStripe, fresh_process: pytest.MonkeyPatch
) -> None:
    made = await fan.begin()
    stripe.confirm(made["payment_intent"])
    await stripe.delivered()
    body = f'{{"id": "{stripe.events[-1]["id"]}", "type": "charge.updated", "data": {{"object": {{}}}}}}'.encode()
    for _ in range(2):
        answer = await fan.http.post(
            "/payments/webhooks/stripe", content=body, headers={"Stripe-Signature": stripe.sign(body)}
        )
        assert (answer.status_code, answer.json()) == (200, {"success": True, "received": True})
        assert answer.headers["cache-control"] == "no-store"
        assert not {"ratelimit", "ratelimit-policy", "x-ratelimit-limit"} & set(answer.headers)


async def test_what_stripe_did_not_sign_just_now_is_400(fan: Buyer, stripe: FakeStripe) -> None:
    body = b'{"id": "evt_1", "type": "charge.updated", "data": {"object": {}}}'
    good = stripe.sign(body)
    now = int(re.findall(r"\d+", good)[0])
    wrong = [
        *(b"", b"nonsense", b"t=1,v1=", b"v1=abc", b"t=,v1=", f"t={now}".encode(), good.encode() + b"0", b"t=9" * 500),
        *(stripe.sign(body, secret="whsec_another").encode(), stripe.sign(body, timestamp=now - 301).encode()),
        *(
            stripe.sign(body + b" ").encode(),
            good.replace("v1", "v0").encode(),
            f"t={now},v1=caf\xe9".encode("latin-1"),
        ),
        *(b"\xff\xfe", f"t={now},v1,v1=x".encode(), b"t=" + b"9" * 5000 + b",v1=x"),
    ]
    for signature in wrong:
        answer = await fan.http.post(
            "/payments/webhooks/stripe", content=body, headers=[(b"Stripe-Signature", signature)]
        )
        assert code_of(answer) == (400, "invalid_signature"), signature
    assert code_of(await fan.http.post("/payments/webhooks/stripe", content=body)) == (400, "invalid_signature")
    for garbled in (b"\xff\xfe", b""):
        headers = {"Stripe-Signature": good}
        answer = await fan.http.post("/payments/webhooks/stripe", content=garbled, headers=headers)
        assert code_of(answer) == (400, "invalid_signature")
    assert stripe.requests == 0


async def test_signed_body_that_is_no_event_is_malformed(fan: Buyer, stripe: FakeStripe) -> None:
    for body in (b"", b"{", b"[]", b"{}", b'{"id": "", "type": "x", "data": {"object": {}}}', b'{"id": "evt_1"}'):
        headers = {"Stripe-Signature": stripe.sign(body)}
        answer = await fan.http.post("/payments/webhooks/stripe", content=body, headers=headers)
        assert code_of(answer) == (400, "malformed_json"), body


async def test_two_secrets_are_accepted_while_one_replaces_the_other(
    fan: Buyer, stripe: FakeStripe, fresh_process: pytest.MonkeyPatch
) -> None:
    fresh_process.setenv("STRIPE_WEBHOOK_SECRET", "whsec_new,whsec_local")
    settings.cache_clear()
    body = b'{"id": "evt_1", "type": "charge.updated", "data": {"object": {}}}'
    for secret, status in (("whsec_local", 200), ("whsec_new", 200), ("whsec_third", 400)):
        headers = {"Stripe-Signature": stripe.sign(body, secret=secret)}
        answer = await fan.http.post("/payments/webhooks/stripe", content=body, headers=headers)
        assert answer.status_code == status, secret
