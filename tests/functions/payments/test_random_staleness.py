"""How old a balance may be: not at all after a commit that was told of, 30 seconds where the telling was lost."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from functions.payments import balances
from functions.payments.schemas import BalanceOut
from shared.cache.entry import Entry
from shared.postgres import outbox
from shared.postgres.pool import database
from tests.functions.auth.people import forget_limits
from tests.functions.payments.people import Buyer
from tests.functions.payments.world import World, world_of
from tools.local.rest.faults import Mode
from tools.local.rest.server import RestServer
from tools.local.stripe.server import FakeStripe

MOST_MS = 30_000
FRESH_UNTIL = re.compile(rb"(?<=^1v)\d+")

Lose = Callable[[Callable[[], Awaitable[object]]], Awaitable[None]]


async def _spend(fan: Buyer, owner_url: str, tokens: int) -> None:
    """Below the gate, which is closed while Upstash is out."""
    async with world_of(owner_url, fan.stripe) as world:
        creator = await world.person(creator=True)
        assert (await world.charge(fan.user_id, creator, tokens)).status == 201


async def _cached(rest: RestServer, user_id: str) -> bytes | None:
    found: bytes | None = await rest.command("GET", balances.space.key(user_id))
    return found


async def _is_stale_for_a_while(fan: Buyer, rest: RestServer) -> None:
    """What another process serves now, and for 30 seconds at most by the clock of Redis."""
    outbox.undelivered.clear()  # another process knows of nothing
    assert await fan.tokens() == 10_000
    raw = await _cached(rest, fan.user_id)
    assert raw is not None
    entry = Entry.decode(raw.decode())
    assert entry is not None
    seconds, microseconds = await rest.command("TIME")
    now_ms = int(seconds) * 1000 + int(microseconds) // 1000
    assert 0 < entry.fresh_until_ms - now_ms <= MOST_MS


async def _let_it_expire(rest: RestServer, user_id: str) -> None:
    raw = await _cached(rest, user_id)
    assert raw is not None
    expired = FRESH_UNTIL.sub(str(int(time.time() * 1000) - 1).encode(), raw)
    await rest.command("SET", balances.space.key(user_id), expired.decode(), "KEEPTTL")


@pytest.fixture(params=[Mode.REFUSE, Mode.ERROR_500, "died"])
async def lose(request: pytest.FixtureRequest, rest: RestServer, fresh_process: pytest.MonkeyPatch) -> Lose:
    """Do something that commits, whose drop is lost: Upstash is out, or the process ends right after the commit."""

    async def without_upstash(act: Callable[[], Awaitable[object]]) -> None:
        await rest.faults.set(request.param)
        await act()
        await rest.faults.set(Mode.OK)

    async def never(*_: object) -> None:
        """The process is no more."""

    async def and_die(act: Callable[[], Awaitable[object]]) -> None:
        with fresh_process.context() as dying:
            dying.setattr(outbox, "send", never)
            await act()

    return and_die if request.param == "died" else without_upstash


@pytest.fixture
async def world(digis: httpx.AsyncClient, owner_url: str, stripe: FakeStripe) -> AsyncIterator[World]:
    async with world_of(owner_url, stripe) as world:
        yield world


async def test_balance_is_right_at_once_when_commits_follow_each_other(
    digis: httpx.AsyncClient, fan: Buyer, luna: Buyer, rest: RestServer
) -> None:
    """Over HTTP: the payer's and the payee's, and what was asked for in between is not kept in the way."""
    chance, tokens, earned = random.Random(5), 10_000, (await luna.balance())["earnings_tokens"]
    for _ in range(15):
        await forget_limits(rest)
        spent = chance.randint(1, 300)
        answer = await fan.charge("luna", spent)
        tokens, earned = tokens - spent, earned + spent - spent // 5
        assert answer.json()["balance"]["tokens"] == tokens
        for _ in range(chance.randint(1, 2)):
            assert await fan.tokens() == tokens
        assert (await luna.balance())["earnings_tokens"] == earned
    await fan.buy()
    assert await fan.tokens() == tokens + 100


async def test_balance_is_at_most_30_seconds_old_when_the_drop_was_lost_and_right_when_that_is_over(
    fan: Buyer, rest: RestServer, owner_url: str, lose: Lose
) -> None:
    assert await fan.tokens() == 10_000
    await lose(lambda: _spend(fan, owner_url, 700))
    await _is_stale_for_a_while(fan, rest)
    await _let_it_expire(rest, fan.user_id)
    crowd = await asyncio.gather(*(fan.tokens() for _ in range(10)))  # nobody gets the old one while one refreshes it
    assert set(crowd) == {9300}


async def test_balance_is_right_when_the_outbox_was_drained(
    fan: Buyer, rest: RestServer, owner_url: str, lose: Lose
) -> None:
    assert await fan.tokens() == 10_000
    await lose(lambda: _spend(fan, owner_url, 700))
    await _is_stale_for_a_while(fan, rest)
    assert await outbox.drain(database().transaction) == 1
    assert await fan.tokens() == 9300
    assert await outbox.drain(database().transaction) == 0


async def test_balance_is_right_at_the_next_read_of_the_process_that_could_not_drop_it(
    fan: Buyer, rest: RestServer, owner_url: str
) -> None:
    assert await fan.tokens() == 10_000
    await rest.faults.set(Mode.REFUSE)
    await _spend(fan, owner_url, 700)
    assert await fan.tokens() == 9300  # from Postgres: nobody can say what is cached
    await rest.faults.set(Mode.OK)
    assert await fan.tokens() == 9300


async def test_balance_is_kept_for_nobody_when_it_was_read_before_a_commit_and_stored_after_it(
    world: World, rest: RestServer
) -> None:
    """A slow reader, whose answer was true when it asked: what it stores is refused."""
    fan, creator = await world.person(tokens=100), await world.person(creator=True)

    async def load_slowly() -> BalanceOut:
        answer = await balances.load_answer(fan)
        assert (await world.charge(fan, creator, 60)).status == 201
        return answer

    found = await balances.space.get_or_load(fan, load=load_slowly)
    assert found is not None
    assert found.balance.tokens == 100
    found = await balances.space.get_or_load(fan, load=lambda: balances.load_answer(fan))
    assert found is not None
    assert found.balance.tokens == 40
