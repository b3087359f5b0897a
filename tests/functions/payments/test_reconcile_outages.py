"""Reconcile while something is out or slow: it answers in time, does what can be done, and the next run the rest."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from functions.payments import figures, reconcile
from shared.http.problems import PaymentProviderUnavailable, UpstreamUnavailable
from shared.postgres import outbox, pool
from shared.settings import settings
from tests.functions.payments.payees import Payees
from tests.functions.payments.reconciling import (
    NOTHING,
    Log,
    ask,
    ask_and_die,
    earner,
    make_due,
    run,
    sent_keys,
)
from tests.functions.payments.world import Bought
from tools.local.proxy import FaultProxy
from tools.local.proxy import Mode as ProxyMode
from tools.local.rest.faults import Mode as RestMode
from tools.local.rest.server import RestServer
from tools.local.stripe.faults import Mode

pytestmark = pytest.mark.slow

SECRET = "cron-of-this-test"
OLD_ADDRESSES = "SELECT count(*) FROM sessions WHERE ip <> '' AND ended_at < now() - interval '30 days'"


@pytest.fixture
async def unsent(payees: Payees, fresh_process: pytest.MonkeyPatch) -> str:
    """A payout that is reserved; and beside it a payment to be found, a drop to be sent, an address to be forgotten."""
    payout_id = await ask_and_die(await earner(payees), fresh_process)
    owner = payees.world.owner
    await owner.execute("INSERT INTO cache_outbox (keys) VALUES (ARRAY['balance:nobody'])")
    sql = "INSERT INTO sessions (user_id, token_hash, ip, created_at, ended_at)"
    ended = "SELECT id, sha256('x'), '::1', now() - interval '50 days', now() - interval '40 days' FROM users LIMIT 1"
    await owner.execute(f"{sql} {ended}")
    return payout_id


@pytest.fixture
async def bought(payees: Payees, unsent: str) -> Bought:
    bought = await payees.world.begin(await payees.world.person(), "t100")
    payees.world.stripe.confirm(bought.intent)
    return bought


def _hurry(patch: pytest.MonkeyPatch, *, stripe_ms: int) -> None:
    patch.setenv("STRIPE_DEADLINE_MS", str(stripe_ms))
    settings.cache_clear()


async def _has_nothing_of_stripes(payees: Payees, payout_id: str, bought: Bought) -> None:
    """And what does not need Stripe is done."""
    owner = payees.world.owner
    assert payees.world.stripe.transfers == {}
    assert (await payees.status(payout_id), await payees.world.status(bought.id)) == ("reserved", "pending")
    assert await owner.fetchval("SELECT count(*) FROM cache_outbox") == 0
    assert await owner.fetchval(OLD_ADDRESSES) == 0


async def _heals(payees: Payees, payout_id: str, bought: Bought, *, drained: int = 0) -> None:
    await make_due(payees.world)
    assert await run() == (1, 2, 0, drained)
    assert (await payees.status(payout_id), await payees.world.status(bought.id)) == ("paid", "paid")
    assert sent_keys(payees.world.stripe) == [f"payout:{payout_id}"]
    assert await run() == NOTHING


@pytest.mark.parametrize(
    "mode",
    [
        *(Mode.REFUSE, Mode.HANG, Mode.ERROR_500),
        *(pytest.param(mode, marks=pytest.mark.slow) for mode in (Mode.SLOW, Mode.DOWN, Mode.CUT)),
    ],
)
async def test_stripe_is_out(
    payees: Payees, unsent: str, bought: Bought, fresh_process: pytest.MonkeyPatch, mode: Mode
) -> None:
    stripe = payees.world.stripe
    stripe.faults.slow_seconds = 60
    _hurry(fresh_process, stripe_ms=150)
    await stripe.faults.set(mode)
    with pytest.raises(PaymentProviderUnavailable) as raised:
        await run()
    assert int(raised.value.headers["Retry-After"]) > 0
    assert stripe.faults.mode is mode
    await stripe.faults.set(Mode.OK)
    await _has_nothing_of_stripes(payees, unsent, bought)
    _hurry(fresh_process, stripe_ms=12_000)
    await _heals(payees, unsent, bought)


@pytest.mark.parametrize("path", ["GET /v1/transfers", "GET /v1/balance_transactions", "GET /v1/balance"])
async def test_one_part_of_stripe_is_out(payees: Payees, unsent: str, bought: Bought, path: str) -> None:
    """The steps that do not need it are done."""
    await payees.world.stripe.faults.set(Mode.DOWN, only=path)
    with pytest.raises(PaymentProviderUnavailable):
        await run()
    await payees.world.stripe.faults.set(Mode.OK)
    assert await payees.world.owner.fetchval(OLD_ADDRESSES) == 0
    found = (await payees.status(unsent), await payees.world.status(bought.id))
    assert found == (("reserved", "paid") if path == "GET /v1/transfers" else ("paid", "pending"))
    await make_due(payees.world)
    await run()
    assert (await payees.status(unsent), await payees.world.status(bought.id)) == ("paid", "paid")
    assert sent_keys(payees.world.stripe) == [f"payout:{unsent}"]


async def test_run_is_cut_off_when_stripe_hangs_for_longer_than_there_is_time(
    payees: Payees, unsent: str, bought: Bought, log: Log, fresh_process: pytest.MonkeyPatch
) -> None:
    stripe = payees.world.stripe
    with fresh_process.context() as patch:
        patch.setattr(reconcile, "CUT_SECONDS", 1.0)
        await stripe.faults.set(Mode.HANG)
        began = time.monotonic()
        async with asyncio.timeout(10):  # Stripe's own deadline is 12 s
            with pytest.raises(UpstreamUnavailable):
                await reconcile.run()
        assert time.monotonic() - began < 5
    assert "reconcile was cut off: the next run goes on" in log.lines
    await stripe.faults.set(Mode.OK)
    await _heals(payees, unsent, bought)


async def test_nothing_more_is_begun_when_the_time_is_up(
    payees: Payees, unsent: str, bought: Bought, fresh_process: pytest.MonkeyPatch
) -> None:
    with fresh_process.context() as patch:
        patch.setattr(figures, "RUN_SECONDS", 0.0)
        assert await run() == NOTHING
    assert payees.world.stripe.transfers == {}
    await _heals(payees, unsent, bought, drained=1)


async def test_each_step_has_its_part_of_the_time(
    payees: Payees, unsent: str, bought: Bought, fresh_process: pytest.MonkeyPatch
) -> None:
    """One that is never done with its work leaves time to the others."""
    patch_drain = outbox.drain

    async def never_done(begin: object) -> int:
        await patch_drain(pool.database().transaction)
        return 1

    with fresh_process.context() as patch:
        patch.setattr(figures, "RUN_SECONDS", 3.0)
        patch.setattr(outbox, "drain", never_done)
        resumed, settled, _, drained = await run()
        assert (resumed, settled, drained > 1) == (1, 2, True)


@pytest.mark.parametrize(
    "mode",
    [
        *(ProxyMode.REFUSE, ProxyMode.ERROR_500, ProxyMode.CUT),
        pytest.param(ProxyMode.HANG, marks=pytest.mark.slow),
    ],
)
async def test_postgres_is_out(
    payees: Payees,
    unsent: str,
    bought: Bought,
    proxy: FaultProxy,
    fresh_process: pytest.MonkeyPatch,
    mode: ProxyMode,
) -> None:
    with fresh_process.context() as patch:
        for name, seconds in (("TRANSACTION_SECONDS", 1.0), ("BEGIN_SECONDS", 0.5), ("CONNECT_SECONDS", 0.5)):
            patch.setattr(pool, name, seconds)
        await proxy.set(mode)
        with pytest.raises(UpstreamUnavailable):
            await run()
        await proxy.set(ProxyMode.OK)
    assert payees.world.stripe.transfers == {}
    await _heals(payees, unsent, bought, drained=1)


@pytest.mark.parametrize(
    "mode",
    [RestMode.ERROR_500, *(pytest.param(mode, marks=pytest.mark.slow) for mode in (RestMode.REFUSE, RestMode.LOST))],
)
async def test_upstash_is_out(payees: Payees, unsent: str, bought: Bought, rest: RestServer, mode: RestMode) -> None:
    """What is to be dropped stays to be dropped; the rest does not need it."""
    await rest.faults.set(mode)
    with pytest.raises(UpstreamUnavailable):
        await run()
    assert (await payees.status(unsent), await payees.world.status(bought.id)) == ("paid", "paid")
    assert await payees.world.owner.fetchval(OLD_ADDRESSES) == 0
    left = await payees.world.owner.fetchval("SELECT count(*) FROM cache_outbox")
    assert left >= 1
    await rest.faults.set(RestMode.OK)
    assert await run() == (0, 0, 0, left)
    outbox.undelivered.clear()
    assert await run() == NOTHING


async def test_scheduler_is_answered_with_what_failed(
    digis: httpx.AsyncClient, payees: Payees, fresh_process: pytest.MonkeyPatch, rest: RestServer, proxy: FaultProxy
) -> None:
    fresh_process.setenv("CRON_SECRET", SECRET)
    _hurry(fresh_process, stripe_ms=150)
    await ask(await earner(payees))
    await make_due(payees.world)
    await payees.world.owner.execute("INSERT INTO cache_outbox (keys) VALUES (ARRAY['balance:nobody'])")

    async def answer() -> tuple[int, str | None]:
        reply = await digis.post("/payments/reconcile", headers={"Authorization": f"Bearer {SECRET}"})
        assert reply.status_code == 200 or int(reply.headers["retry-after"]) > 0
        return reply.status_code, reply.json().get("code")

    await payees.world.stripe.faults.set(Mode.HANG)
    assert await answer() == (503, "payment_provider_unavailable")
    await payees.world.stripe.faults.set(Mode.OK)
    await payees.world.owner.execute("INSERT INTO cache_outbox (keys) VALUES (ARRAY['balance:nobody'])")
    await rest.faults.set(RestMode.ERROR_500)
    assert await answer() == (503, "upstream_unavailable")
    await rest.faults.set(RestMode.OK)
    await proxy.set(ProxyMode.ERROR_500)
    assert await answer() == (503, "upstream_unavailable")
    await proxy.set(ProxyMode.OK)
    _hurry(fresh_process, stripe_ms=12_000)
    await make_due(payees.world)
    assert await answer() == (200, None)
