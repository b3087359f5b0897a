"""Fifty ask for one creator's payout at once, and Redis forgets the lock in the middle: one is paid, once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from uuid import UUID

import httpx
import pytest

from functions.payments import payouts
from functions.payments.schemas import PayoutIn
from shared import snapshot
from shared.http.problems import PayoutInProgress, RequestInFlight
from shared.limits import gate
from shared.postgres import outbox, pool
from shared.postgres.idempotency import Answer
from tests.conftest import Services
from tests.functions.payments.conftest import NewBuyer
from tests.functions.payments.payees import Payees
from tests.functions.payments.people import code_of, new_key
from tests.functions.payments.reconciling import NOTHING, earner, make_due, run, sent_keys
from tests.functions.payments.world import World, without_hurry, world_of
from tools.local.rest.faults import Mode as RestMode
from tools.local.rest.server import RestServer
from tools.local.stripe.faults import Mode
from tools.local.stripe.server import FakeStripe

pytestmark = pytest.mark.slow

MANY = 50
WAVES = 5
CONNECTIONS = 20
GIVE_UP_SECONDS = 60  # for what never takes a tenth of it
TRANSFERS = "POST /v1/transfers"

Outcomes = list[Answer | BaseException]


@pytest.fixture
async def world(
    services: Services,
    digis: httpx.AsyncClient,
    database_name: str,
    owner_url: str,
    stripe: FakeStripe,
    fresh_process: pytest.MonkeyPatch,
) -> AsyncIterator[World]:
    """Straight to Postgres, with as many connections as if there were many processes."""
    fresh_process.setenv("DATABASE_URL", services.postgres.url(database_name))
    fresh_process.setenv("UPSTASH_DEADLINE_MS", "10000")
    fresh_process.setattr(pool, "CONNECTIONS", CONNECTIONS)
    without_hurry(fresh_process)
    snapshot.forget()
    async with world_of(owner_url, stripe) as world:
        yield world


@pytest.fixture
async def creator(payees: Payees) -> str:
    """May have as much paid out as all of them ask for, and more."""
    return await earner(payees, 60_000)


async def _ask(creator: str, keys: Iterable[str]) -> Outcomes:
    """All at once."""
    asked = (payouts.request(creator, PayoutIn(tokens=1000), key) for key in keys)
    return await asyncio.gather(*asked, return_exceptions=True)


def _keys(count: int = MANY) -> list[str]:
    return [new_key() for _ in range(count)]


async def _forget_everything(rest: RestServer) -> None:
    await rest.command("FLUSHALL")


async def _forget_locks(rest: RestServer) -> None:
    held = [found.decode() for found in await rest.command("KEYS", "lock:*")]
    await rest.command("DEL", *held)


async def _is_one(payees: Payees, creator: str, outcomes: Outcomes) -> None:
    """One was answered with a payout, the others with that it is in progress; and that one is paid."""
    refused = [one for one in outcomes if not isinstance(one, Answer)]
    assert {type(one) for one in refused} <= {PayoutInProgress}, refused
    assert [one.status for one in outcomes if isinstance(one, Answer)] == [201]
    assert len(refused) == len(outcomes) - 1
    await _is_paid_once(payees, creator)


async def _is_paid_once(payees: Payees, creator: str) -> None:
    stripe, owner = payees.world.stripe, payees.world.owner
    await make_due(payees.world)
    await run()
    rows = await owner.fetch("SELECT id::text, status FROM payouts WHERE creator_id = $1", UUID(creator))
    assert [row["status"] for row in rows] == ["paid"]
    assert [one["transfer_group"] for one in stripe.transfers.values()] == [rows[0]["id"]]
    assert set(sent_keys(stripe)) == {f"payout:{rows[0]['id']}"}
    assert await payees.earnings(creator) == 59_000
    assert await run() == NOTHING


# Each with a key of their own


@pytest.mark.parametrize("forget", [_forget_everything, _forget_locks])
async def test_fifty_at_once_are_one_payout_when_redis_forgets_the_lock_of_whoever_has_it(
    payees: Payees,
    creator: str,
    rest: RestServer,
    fresh_process: pytest.MonkeyPatch,
    forget: Callable[[RestServer], Awaitable[None]],
) -> None:
    """Five waves: the next comes when one of the last has got the lock and Redis has forgotten that. So five or
    more believe that they have it, and go on together."""
    reserve, keys, inside = payouts._reserve, _keys(), 0
    turn, all_in = [asyncio.Event() for _ in range(WAVES)], asyncio.Event()

    async def reserve_together(*arguments: object, is_sure: bool) -> object:
        nonlocal inside
        inside += 1
        place = inside
        await forget(rest)
        (turn[place] if place < WAVES else all_in).set()
        await all_in.wait()
        return await reserve(*arguments, is_sure=is_sure)  # type: ignore[arg-type]

    async def wave(number: int) -> Outcomes:
        await turn[number].wait()
        return await _ask(creator, keys[number::WAVES])

    fresh_process.setattr(payouts, "_reserve", reserve_together)
    turn[0].set()
    async with asyncio.timeout(GIVE_UP_SECONDS):
        waves = await asyncio.gather(*(wave(number) for number in range(WAVES)))
    assert inside >= WAVES
    await _is_one(payees, creator, [one for outcomes in waves for one in outcomes])


async def test_fifty_at_once_are_one_payout_when_redis_is_out(payees: Payees, creator: str, rest: RestServer) -> None:
    await rest.faults.set(RestMode.ERROR_500)
    outcomes = await _ask(creator, _keys())
    await rest.faults.set(RestMode.OK)
    await _is_one(payees, creator, outcomes)
    outbox.undelivered.clear()


@pytest.mark.parametrize("mode", [Mode.SLOW, Mode.HANG])
async def test_fifty_are_one_payout_when_redis_is_emptied_while_it_is_sent(
    payees: Payees, creator: str, rest: RestServer, mode: Mode
) -> None:
    """`hang`: the first never hears of it; reconcile sends it again, under the same key."""
    faults = payees.world.stripe.faults
    faults.slow_seconds = 60
    await faults.set(mode, only=TRANSFERS)
    first = asyncio.create_task(_ask(creator, _keys(1)))
    await faults.caught()
    outcomes: Outcomes = []
    for _ in range(7):
        await rest.command("FLUSHALL")
        outcomes += await _ask(creator, _keys(7))
    await faults.set(Mode.OK)
    await _is_one(payees, creator, [*await first, *outcomes])


async def test_fifty_over_http_are_one_payout(
    digis: httpx.AsyncClient, payees: Payees, new_buyer: NewBuyer, rest: RestServer
) -> None:
    """Ten at a time, which is what one may in a minute; Redis then forgets that as well, with the lock."""
    luna, stripe, owner = await new_buyer("luna"), payees.world.stripe, payees.world.owner
    assert (await luna.post("payout-account", {})).status_code == 201
    account_id = await owner.fetchval("SELECT account_id FROM payout_accounts WHERE user_id = $1", UUID(luna.user_id))
    stripe.onboard(account_id)
    await payees.fund()
    stripe.reset_counters()
    stripe.faults.slow_seconds = 60
    await stripe.faults.set(Mode.SLOW, only=TRANSFERS)
    first = asyncio.create_task(luna.post("payouts", {"tokens": 1000}))
    await stripe.faults.caught()
    answers = []
    for count in (9, 10, 10, 10, 10):
        answers += await asyncio.gather(*(luna.post("payouts", {"tokens": 1000}) for _ in range(count)))
        await rest.command("FLUSHALL")
        gate.blocked.clear()
    await stripe.faults.set(Mode.OK)
    assert Counter(map(code_of, answers)) == {(409, "payout_in_progress"): MANY - 1}
    assert all(int(one.headers["retry-after"]) > 0 for one in answers)
    shown = (await first).json()["payout"]
    assert ((await first).status_code, shown["status"], shown["tokens"]) == (201, "submitted", 1000)
    assert sent_keys(stripe) == [f"payout:{shown['id']}"]
    assert len(stripe.transfers) == 1
    assert await run() == (0, 1, 0, 0)


# Under one key


@pytest.mark.parametrize("is_emptied", [False, True])
async def test_fifty_at_once_under_one_key_are_one_payout(
    payees: Payees, creator: str, rest: RestServer, *, is_emptied: bool
) -> None:
    faults, outcomes = payees.world.stripe.faults, await _ask(creator, ["key"] * 25)
    if is_emptied:
        await rest.command("FLUSHALL")
    outcomes += await _ask(creator, ["key"] * 25)
    assert faults.mode is Mode.OK
    answers = {one for one in outcomes if isinstance(one, Answer)}
    refused = {type(one) for one in outcomes if not isinstance(one, Answer)}
    assert refused <= {PayoutInProgress, RequestInFlight}
    (answer,) = answers
    assert answer.status == 201
    assert await _ask(creator, ["key"]) == [answer]
    await _is_paid_once(payees, creator)
    assert await _ask(creator, ["key"]) == [answer], "and ever after"


async def test_fifty_at_once_under_one_key_are_one_payout_without_a_lock(
    payees: Payees, creator: str, rest: RestServer
) -> None:
    await rest.faults.set(RestMode.ERROR_500)
    outcomes = await _ask(creator, ["key"] * MANY)
    await rest.faults.set(RestMode.OK)
    assert {type(one) for one in outcomes} <= {Answer, RequestInFlight}, "nobody else's payout is in progress"
    assert len({one for one in outcomes if isinstance(one, Answer)}) == 1
    await _is_paid_once(payees, creator)
    outbox.undelivered.clear()
