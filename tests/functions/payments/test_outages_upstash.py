"""Upstash out: no money is moved unlimited, and whoever only looks goes on; back, and nothing is stale."""

from __future__ import annotations

import httpx
import pytest

from functions.payments import charges
from functions.payments.schemas import ChargeIn
from shared.postgres import outbox
from shared.upstash import client
from tests.functions.payments.people import Buyer
from tools.local.demo import demo_id
from tools.local.rest.faults import Mode
from tools.local.rest.server import RestServer
from tools.local.stripe.server import FakeStripe

pytestmark = pytest.mark.slow  # waits for deadlines

OUT = [Mode.REFUSE, Mode.HANG, Mode.SLOW, Mode.ERROR_500, Mode.CUT, Mode.LOST]


@pytest.fixture(autouse=True)
def no_leftovers() -> None:
    outbox.undelivered.clear()


def _close_breaker() -> None:
    """As if its two seconds had passed."""
    upstash = client.upstash()
    assert upstash is not None
    upstash._breaker.succeeded()


def _assert_closed(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, "rate_limiter_unavailable")
    assert answer.headers["retry-after"] == "5"
    assert "x-ratelimit-mode" not in answer.headers
    assert 'queries;desc="0"' in answer.headers["server-timing"]


@pytest.mark.parametrize("mode", OUT)
async def test_money_stays_where_it_is_and_whoever_looks_goes_on(
    fan: Buyer, rest: RestServer, stripe: FakeStripe, mode: Mode
) -> None:
    made = await fan.begin()
    calls = stripe.requests
    await rest.faults.set(mode)
    for _ in range(3):  # before and after the breaker opens
        _assert_closed(await fan.charge("luna", 5, "key"))
        _assert_closed(await fan.purchase("t100", "key"))
        for path in ("balance", "history", f"purchases/{made['id']}", "packages"):
            answer = await fan.get(path)
            assert (answer.status_code, answer.headers["x-ratelimit-mode"]) == (200, "local"), path
    assert stripe.requests == calls
    assert await fan.tokens() == 10_000

    await rest.faults.set(Mode.OK)
    _close_breaker()
    for answer in (await fan.charge("luna", 5, "key"), await fan.purchase("t100", "key")):
        assert (answer.status_code, "idempotency-replayed" in answer.headers) == (201, False)


@pytest.mark.parametrize("mode", OUT)
async def test_event_is_booked_while_upstash_is_out_and_the_balance_heals(
    fan: Buyer, rest: RestServer, stripe: FakeStripe, mode: Mode
) -> None:
    made = await fan.begin("t500")
    assert await fan.tokens() == 10_000, "kept"
    await rest.faults.set(mode)
    stripe.confirm(made["payment_intent"])
    await stripe.delivered()
    assert await fan.tokens() == 10_500, "from Postgres"
    await rest.faults.set(Mode.OK)
    _close_breaker()
    answer = await fan.get("balance")
    assert (answer.json()["balance"]["tokens"], answer.headers["x-cache"]) == (10_500, "miss"), "the late drop first"
    assert not outbox.undelivered


@pytest.mark.parametrize("mode", OUT)
async def test_upstash_lost_after_admission_takes_nothing_back_and_the_balances_heal(
    fan: Buyer, luna: Buyer, rest: RestServer, mode: Mode
) -> None:
    earned = (await luna.balance())["earnings_tokens"]
    assert await fan.tokens() == 10_000
    await rest.faults.set(mode)
    wanted = ChargeIn(creator_id=demo_id("luna"), tokens=50, kind="tip")
    assert (await charges.charge(fan.user_id, wanted, "key")).status == 201
    await rest.faults.set(Mode.OK)
    _close_breaker()
    assert await fan.tokens() == 9_950
    assert (await luna.balance())["earnings_tokens"] == earned + 40
    again = await fan.charge("luna", 50, "key")
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")


async def test_without_any_upstash_money_is_refused_and_balances_are_shown(
    fan: Buyer, fresh_process: pytest.MonkeyPatch
) -> None:
    from tests.support import close_clients, forget_process_state  # noqa: PLC0415 -- a process of another kind

    await close_clients()
    fresh_process.delenv("UPSTASH_REDIS_REST_URL")
    forget_process_state()
    _assert_closed(await fan.charge("luna", 5))
    _assert_closed(await fan.purchase())
    answer = await fan.get("balance")
    assert (answer.json()["balance"]["tokens"], answer.headers["x-ratelimit-mode"]) == (10_000, "local")
