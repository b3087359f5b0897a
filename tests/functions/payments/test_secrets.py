"""What is personal or opens something, searched for in everything that is logged or cached while money moves."""

from __future__ import annotations

import logging

import pytest

from shared.postgres import pool
from shared.settings import settings
from tests.functions.auth.people import forget_limits
from tests.functions.auth.test_secrets import _dump_of_redis
from tests.functions.payments.people import Buyer
from tools.local.proxy import FaultProxy
from tools.local.proxy import Mode as ProxyMode
from tools.local.rest.server import RestServer
from tools.local.stripe.faults import Mode
from tools.local.stripe.server import FakeStripe

NOTE = "a note that is nobody else's business"
KEY = "an-idempotency-key-of-mine"


async def test_nothing_that_is_secret_or_personal_is_logged_or_cached(
    fan: Buyer,
    stripe: FakeStripe,
    rest: RestServer,
    proxy: FaultProxy,
    fresh_process: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    bought = await fan.purchase("t100", KEY)
    fresh_process.setattr(logging.getLogger("digis"), "propagate", True)  # the logger has been made by now
    fresh_process.setenv("STRIPE_DEADLINE_MS", "200")
    fresh_process.setattr(pool, "TRANSACTION_SECONDS", 0.5)
    settings.cache_clear()
    made = bought.json()["purchase"]
    intent_id = made["client_secret"].partition("_secret_")[0]
    stripe.confirm(intent_id)
    await stripe.delivered()
    event = next(one for one in stripe.events if one["type"] == "payment_intent.succeeded")
    assert (await fan.charge("luna", 5, KEY, note=NOTE)).status_code == 201
    for answer in (
        await fan.charge("luna", 5, KEY, note=NOTE),
        await fan.charge("luna", 5, KEY, note=f"{NOTE}!"),
        await fan.charge("luna", 0, f"{KEY}-2", note=NOTE),
        await fan.charge("luna", 50_000, f"{KEY}-3", note=NOTE),
        await fan.get("history", cursor=KEY),
        await fan.get(f"purchases/{made['id']}"),
        await fan.get("balance"),
    ):
        assert answer.status_code < 500
    body = f'{{"id": "evt_{KEY}", "note": "{NOTE}"}}'.encode()
    for signature in (stripe.sign(body), stripe.sign(body, secret="whsec_another"), NOTE):
        sent = {"Stripe-Signature": signature}
        assert (await fan.http.post("/payments/webhooks/stripe", content=body, headers=sent)).status_code == 400

    for mode in (Mode.ERROR_500, Mode.DOWN, Mode.HANG, Mode.CUT, Mode.LOST, Mode.REFUSE):
        await stripe.faults.set(mode)
        assert (await fan.purchase("t100", f"{KEY}-4")).status_code == 503
        assert await stripe.deliver(event | {"id": f"evt_{mode}"}) == 503
    await stripe.faults.set(Mode.OK)
    fresh_process.setenv("STRIPE_SECRET_KEY", "sk_test_that_was_revoked")
    settings.cache_clear()
    assert (await fan.purchase("t100", f"{KEY}-5")).status_code == 503
    await forget_limits(rest)
    await proxy.set(ProxyMode.REFUSE)
    assert (await fan.charge("luna", 5, f"{KEY}-6", note=NOTE)).status_code == 503
    await proxy.set(ProxyMode.OK)
    fresh_process.setattr("functions.payments.charges.packages.fee_of", _broken)
    assert (await fan.charge("luna", 5, f"{KEY}-7", note=NOTE)).status_code == 500

    # Ours, and of others what is shown by default: nothing sets their loggers to more than warnings.
    records = [one for one in caplog.records if one.name == "digis" or one.levelno >= logging.WARNING]
    out, err = capfd.readouterr()
    logs = "\n".join([*(f"{one.getMessage()} {one.__dict__}" for one in records), out, err])
    assert "POST /payments/charge 201" in logs
    assert "unhandled RuntimeError" in logs
    assert "stripe: APIConnectionError" in logs
    redis = await _dump_of_redis(rest)
    assert "rate:payment:user:" in redis
    secrets = {
        *(fan.token, fan.token.rpartition(".")[2], "fan@digis.test", NOTE, KEY, made["client_secret"], "sk_test_"),
        *("whsec_", stripe.sign(body).rpartition("=")[2], intent_id, "_secret_", "that_was_revoked"),
    }
    for secret in secrets:
        assert secret not in logs, secret[:12]
        assert secret not in redis, secret[:12]


def _broken(_: int) -> int:
    raise RuntimeError(NOTE)
