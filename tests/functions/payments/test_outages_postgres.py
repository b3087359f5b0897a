"""What money makes of Postgres being out, before a statement or in the middle of a commit: moved once, or not."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest

from functions.payments import intents, ledger_repository, repository
from shared.cache.entry import Entry
from shared.postgres import idempotency, pool
from tests.functions.auth.people import forget_limits
from tests.functions.payments.people import Buyer
from tools.local.proxy import FaultProxy, Mode
from tools.local.rest.server import RestServer
from tools.local.stripe.server import FakeStripe
from tools.local.stripe.webhooks import Delivery

pytestmark = pytest.mark.slow  # waits for deadlines

OUT = [Mode.REFUSE, Mode.HANG, Mode.ERROR_500, Mode.CUT]


def _assert_out(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, "upstream_unavailable"), answer.text
    assert int(answer.headers["retry-after"]) >= 1
    assert "idempotency-replayed" not in answer.headers


@pytest.fixture(autouse=True)
def short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "TRANSACTION_SECONDS", 1.0)


def _break_at(
    monkeypatch: pytest.MonkeyPatch, where: tuple[Any, str], proxy: FaultProxy, mode: Mode, *, after: bool
) -> None:
    """Break Postgres once, just before or just after that function."""
    module, name = where
    act: Callable[..., Awaitable[Any]] = getattr(module, name)

    async def breaking(*arguments: Any, **named: Any) -> Any:
        monkeypatch.setattr(module, name, act)
        if not after:
            await proxy.set(mode)
        done = await act(*arguments, **named)
        if after:
            await proxy.set(mode)
        return done

    monkeypatch.setattr(module, name, breaking)


@pytest.mark.parametrize("mode", OUT)
async def test_postgres_out_is_503_and_nothing_has_moved(
    fan: Buyer, proxy: FaultProxy, stripe: FakeStripe, owner: asyncpg.Connection[Any], mode: Mode
) -> None:
    assert (await fan.get("purchases/00000000-0000-0000-0000-000000000000")).status_code == 404
    await proxy.set(mode)
    for answer in (
        await fan.charge("luna", 5, "key"),
        await fan.purchase("t100", "key"),
        await fan.get("balance"),
        await fan.get("history"),
        await fan.get("purchases/00000000-0000-0000-0000-000000000000"),
    ):
        _assert_out(answer)
    assert (await fan.get("packages")).status_code == 200
    assert stripe.requests == 0
    assert await owner.fetchval("SELECT count(*) FROM idempotency_keys") == 0
    await proxy.set(Mode.OK)
    assert (await fan.charge("luna", 5, "key")).status_code == 201
    assert (await fan.purchase("t100", "key")).status_code == 201
    assert await fan.tokens() == 9_995


# Where a charge's transaction is broken.
MOMENTS = [
    *((idempotency, "claim"), (repository, "lock_people"), (ledger_repository, "post")),
    *((repository, "insert_charge"), (idempotency, "record")),
]


@pytest.mark.parametrize("mode", OUT)
@pytest.mark.parametrize("where", MOMENTS, ids=[name for _, name in MOMENTS])
async def test_charge_that_is_broken_in_the_middle_is_done_once_by_its_repeat(
    fan: Buyer,
    proxy: FaultProxy,
    rest: RestServer,
    monkeypatch: pytest.MonkeyPatch,
    where: tuple[Any, str],
    mode: Mode,
) -> None:
    assert await fan.tokens() == 10_000
    _break_at(monkeypatch, where, proxy, mode, after=False)
    _assert_out(await fan.charge("luna", 5, "key"))
    await proxy.set(Mode.OK)
    answer = await _repeated(fan, rest)
    assert answer.status_code == 201
    assert await fan.tokens() == 9_995
    again = await fan.charge("luna", 5, "key")
    assert (again.content, again.headers["idempotency-replayed"]) == (answer.content, "true")


@pytest.mark.parametrize("mode", OUT)
async def test_charge_whose_commit_was_not_answered_is_done_once(
    fan: Buyer, proxy: FaultProxy, rest: RestServer, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    """With half of a reply (`cut`) it was committed, and the repeat has its answer. Refused, it was not. What hung is
    committed if it gets through before the server hears that its client is gone."""
    assert await fan.tokens() == 10_000
    _break_at(monkeypatch, (idempotency, "record"), proxy, mode, after=True)
    with monkeypatch.context() as patched:
        patched.setattr("shared.postgres.outbox.record", _no_outbox)  # so that the commit is the next that is said
        _assert_out(await fan.charge("luna", 5, "key"))
    await proxy.set(Mode.OK)
    answer = await _repeated(fan, rest)
    assert answer.status_code == 201
    if mode is not Mode.HANG:
        assert ("idempotency-replayed" in answer.headers) is (mode is Mode.CUT)
    assert (await fan.charge("luna", 5, "key")).content == answer.content
    entries = (await fan.get("history", limit=2)).json()["entries"]
    assert [entry["tokens"] == -5 for entry in entries].count(True) == 1


async def _no_outbox(*_: Any) -> None:
    return None


async def _repeated(fan: Buyer, rest: RestServer) -> httpx.Response:
    """What a repeat is answered once the server has noticed that whoever began it is gone."""
    for _ in range(200):
        await forget_limits(rest)
        answer = await fan.charge("luna", 5, "key")
        if answer.status_code != 409:
            break
    return answer


@pytest.mark.parametrize("mode", OUT)
async def test_purchase_whose_payment_could_not_be_written_down_is_resumed(
    fan: Buyer,
    proxy: FaultProxy,
    stripe: FakeStripe,
    monkeypatch: pytest.MonkeyPatch,
    owner: asyncpg.Connection[Any],
    mode: Mode,
) -> None:
    _break_at(monkeypatch, (intents, "create_intent"), proxy, mode, after=True)
    _assert_out(await fan.purchase("t100", "key"))
    assert len(stripe.payment_intents) == 1
    await proxy.set(Mode.OK)
    answer = await fan.purchase("t100", "key")
    assert (answer.status_code, answer.json()["code"]) == (409, "request_in_flight"), "the claim runs out by itself"
    assert 1 <= int(answer.headers["retry-after"]) <= 20
    await owner.execute("UPDATE idempotency_keys SET claimed_until = clock_timestamp() - interval '1 ms'")
    answer = await fan.purchase("t100", "key")
    assert answer.status_code == 201
    assert await owner.fetchval("SELECT count(*) FROM purchases") == 1
    (intent,) = stripe.payment_intents.values()
    assert answer.json()["purchase"]["client_secret"] == intent["client_secret"]


@pytest.mark.parametrize("mode", OUT)
async def test_event_that_cannot_be_booked_is_503_and_booked_once_when_it_comes_again(
    fan: Buyer, proxy: FaultProxy, stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    made = await fan.begin("t500")
    stripe.webhooks.set(Delivery.HELD)
    stripe.confirm(made["payment_intent"])
    await stripe.delivered()
    event = next(one for one in stripe.events if one["type"] == "payment_intent.succeeded")
    await proxy.set(mode)
    assert await stripe.deliver(event) == 503
    await proxy.set(Mode.OK)
    _break_at(monkeypatch, (ledger_repository, "post"), proxy, mode, after=True)
    assert await stripe.deliver(event) == 503
    await proxy.set(Mode.OK)
    assert [await stripe.deliver(event) for _ in range(2)] == [200, 200]
    assert await fan.tokens() == 10_500


async def test_balance_is_served_stale_while_postgres_is_out_and_never_otherwise(
    fan: Buyer, proxy: FaultProxy, rest: RestServer
) -> None:
    await fan.tokens()
    (key,) = [found.decode() for found in await rest.command("KEYS", "token:balance:*")]
    copy = (await rest.command("GET", key)).decode()
    entry = Entry.decode(copy)
    assert entry is not None
    assert entry.fresh_until_ms - time.time() * 1000 <= 40_000
    aged = copy.replace(str(entry.fresh_until_ms), str(int(time.time() * 1000) - 1))
    await rest.command("SET", key, aged)
    await proxy.set(Mode.REFUSE)
    answer = await fan.get("balance")
    assert (answer.status_code, answer.headers["x-cache"]) == (200, "stale")
    assert answer.json()["balance"]["tokens"] == 10_000
    await proxy.set(Mode.OK)
    await rest.command("SET", key, aged)
    await forget_limits(rest)
    assert (await fan.get("balance")).headers["x-cache"] == "miss"
