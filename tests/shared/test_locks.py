"""Locks: one at a time while all goes well, nobody else's let go of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from shared import locks
from shared.locks import Lease, LeaseLost, LockBusy
from shared.upstash.errors import UpstashUnavailable
from tests.support import close_clients
from tools.local.rest.faults import Mode
from tools.local.rest.server import RestServer

NAME = ("payout", "creator", "luna")
KEY = "lock:payout:creator:luna"

pytestmark = pytest.mark.usefixtures("redis")


@pytest.fixture
async def redis(rest: RestServer, fresh_process: pytest.MonkeyPatch) -> AsyncIterator[None]:
    fresh_process.setenv("UPSTASH_REDIS_REST_URL", rest.url)
    fresh_process.setenv("UPSTASH_REDIS_REST_TOKEN", "local")
    yield
    await close_clients()


async def _holder(rest: RestServer) -> bytes | None:
    found: bytes | None = await rest.command("GET", KEY)
    return found


async def _enter(ttl: int = 60, *, insist: bool = True) -> Lease:
    async with locks.hold(*NAME, ttl=ttl, insist=insist) as lease:
        return lease


async def _know_the_scripts(rest: RestServer) -> None:
    """They cost one more trip, once."""
    await _enter()
    await rest.reset_counters()


# Held, busy, let go


async def test_lock_is_held_in_the_block_and_gone_after_it(rest: RestServer) -> None:
    await _know_the_scripts(rest)
    async with locks.hold(*NAME) as lease:
        assert lease.held
        assert len(await _holder(rest) or b"") == 32
        assert rest.requests == 1
    assert (await _holder(rest), rest.requests) == (None, 2)


async def test_each_holder_has_a_token_of_its_own(rest: RestServer) -> None:
    seen = set()
    for _ in range(3):
        async with locks.hold(*NAME):
            seen.add(await _holder(rest))
    assert len(seen) == 3


async def test_another_is_told_that_it_is_busy_and_harms_nothing(rest: RestServer) -> None:
    async with locks.hold(*NAME):
        holder, left = await _holder(rest), int(await rest.command("PTTL", KEY))
        for insist in (True, False):
            with pytest.raises(LockBusy):
                await _enter(1, insist=insist)
        assert await _holder(rest) == holder
        assert int(await rest.command("PTTL", KEY)) > left - 5_000, "neither shortened"
        async with locks.hold("payout", "creator", "mika") as other:
            assert other.held, "another name is another lock"
    assert (await _enter()).held is False, "let go of again when the block was over"


async def test_it_lives_as_many_seconds_as_it_is_given_and_60_where_none_are(rest: RestServer) -> None:
    async with locks.hold(*NAME):
        assert 55_000 < int(await rest.command("PTTL", KEY)) <= 60_000
    async with locks.hold(*NAME, ttl=7):
        assert 2_000 < int(await rest.command("PTTL", KEY)) <= 7_000


async def test_exception_in_the_block_lets_go_and_goes_on(rest: RestServer) -> None:
    async def fail() -> None:
        async with locks.hold(*NAME):
            raise KeyError("ours")

    with pytest.raises(KeyError, match="ours"):
        await fail()
    assert await _holder(rest) is None


async def test_task_that_is_cancelled_lets_go(rest: RestServer) -> None:
    inside = asyncio.Event()

    async def wait() -> None:
        async with locks.hold(*NAME):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await _holder(rest) is None


async def test_what_was_taken_over_after_it_ran_out_is_not_let_go_of(rest: RestServer) -> None:
    async with AsyncExitStack() as theirs:
        async with locks.hold(*NAME):
            await rest.command("DEL", KEY)  # it ran out
            await theirs.enter_async_context(locks.hold(*NAME))
            holder = await _holder(rest)
        assert await _holder(rest) == holder is not None
    assert await _holder(rest) is None


async def test_slow_holder_leaves_the_lock_of_whoever_came_after(rest: RestServer) -> None:
    async with locks.hold(*NAME):
        await rest.command("SET", KEY, "somebody else's")
    assert await _holder(rest) == b"somebody else's"


async def test_it_runs_out_by_itself_and_another_may_have_it(rest: RestServer) -> None:
    async with locks.hold(*NAME):
        await rest.command("PEXPIREAT", KEY, "1")
        async with locks.hold(*NAME) as second:
            assert second.held


async def test_of_50_at_once_one_is_inside_at_any_time(rest: RestServer) -> None:
    inside, most, done = 0, 0, 0

    async def work() -> None:
        nonlocal inside, most, done
        while True:
            try:
                async with locks.hold(*NAME):
                    inside += 1
                    most = max(most, inside)
                    await rest.command("PING")  # the others have their turns
                    inside -= 1
                    done += 1
                    return
            except LockBusy:
                await asyncio.sleep(0.001)

    await asyncio.gather(*(work() for _ in range(50)))
    assert (most, done) == (1, 50)
    assert await _holder(rest) is None


# Kept for longer


async def test_extended_it_lives_so_long_from_now(rest: RestServer) -> None:
    async with locks.hold(*NAME, ttl=5) as lease:
        holder = await _holder(rest)
        await lease.extend(300)
        assert 295_000 < int(await rest.command("PTTL", KEY)) <= 300_000
        await lease.extend()
        assert 55_000 < int(await rest.command("PTTL", KEY)) <= 60_000
        assert (await _holder(rest), lease.held) == (holder, True)


@pytest.mark.parametrize("theirs", [None, "somebody else's"])
async def test_what_was_lost_is_not_extended_nor_let_go_of(rest: RestServer, theirs: str | None) -> None:
    async with locks.hold(*NAME) as lease:
        await (rest.command("DEL", KEY) if theirs is None else rest.command("SET", KEY, theirs, "PX", "9000"))
        for _ in range(2):
            with pytest.raises(LeaseLost):
                await lease.extend(600)
            assert not lease.held
        await rest.reset_counters()
    assert rest.requests == 0, "there is nothing to let go of"
    assert await _holder(rest) == (None if theirs is None else theirs.encode())
    if theirs is not None:
        assert int(await rest.command("PTTL", KEY)) <= 9_000


async def test_extension_that_cannot_be_told_is_an_error_and_loses_nothing(rest: RestServer) -> None:
    async with locks.hold(*NAME) as lease:
        await rest.faults.set(Mode.ERROR_500, count=1)
        with pytest.raises(UpstashUnavailable):
            await lease.extend()
        assert lease.held
        await lease.extend()
    assert await _holder(rest) is None


@pytest.mark.parametrize("part", ["", "a:b", "a b", "é", "x" * 201])
async def test_name_that_could_be_another_lock_is_refused(rest: RestServer, part: str) -> None:
    with pytest.raises(ValueError, match="not a key part"):
        async with locks.hold("payout", part):
            pass
    assert rest.requests == 0
