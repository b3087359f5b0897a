"""Locks while Redis is out: whoever insists is told, the others go on without, and nothing is done twice."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from shared import locks
from shared.locks import Lease, LeaseLost, LockBusy
from shared.upstash.client import upstash
from shared.upstash.errors import CommandFailed, UpstashError, UpstashUnavailable
from tests.support import close_clients, forget_process_state
from tools.local.rest.faults import Mode
from tools.local.rest.server import RestServer

NAME = ("payout", "creator", "luna")
KEY = "lock:payout:creator:luna"
OUT = [Mode.REFUSE, Mode.HANG, Mode.SLOW, Mode.ERROR_500, Mode.CUT, Mode.LOST]

pytestmark = pytest.mark.usefixtures("redis")


@pytest.fixture
async def redis(rest: RestServer, fresh_process: pytest.MonkeyPatch) -> AsyncIterator[None]:
    fresh_process.setenv("UPSTASH_REDIS_REST_URL", rest.url)
    fresh_process.setenv("UPSTASH_REDIS_REST_TOKEN", "local")
    fresh_process.setenv("UPSTASH_DEADLINE_MS", "400")
    rest.faults.slow_seconds = 0.6
    yield
    await close_clients()


async def _holder(rest: RestServer) -> bytes | None:
    found: bytes | None = await rest.command("GET", KEY)
    return found


async def _enter(ttl: int = 60, *, insist: bool = True) -> Lease:
    async with locks.hold(*NAME, ttl=ttl, insist=insist) as lease:
        return lease


@pytest.mark.parametrize("mode", OUT)
async def test_out_whoever_insists_is_told_and_the_others_go_on_without(rest: RestServer, mode: Mode) -> None:
    await rest.faults.set(mode)
    with pytest.raises(UpstashError):
        await _enter()
    async with locks.hold(*NAME, insist=False) as lease:
        assert not lease.held
        with pytest.raises(LeaseLost):
            await lease.extend()
        asked = rest.requests
    assert rest.requests == asked, "and ask no more"


async def test_command_that_fails_is_no_lock(rest: RestServer) -> None:
    with pytest.raises(CommandFailed):
        await _enter(0)  # Redis: invalid expire time
    await rest.reset_counters()
    async with locks.hold(*NAME, ttl=0, insist=False) as lease:
        assert not lease.held
    assert (rest.requests, await _holder(rest)) == (1, None)


async def test_key_of_another_type_is_busy_and_stays(rest: RestServer) -> None:
    await rest.command("RPUSH", KEY, "no lock")
    with pytest.raises(LockBusy):
        await _enter(insist=False)
    assert await rest.command("TYPE", KEY) == b"list"


async def test_without_any_upstash_nobody_has_a_lock(rest: RestServer, fresh_process: pytest.MonkeyPatch) -> None:
    await close_clients()
    fresh_process.delenv("UPSTASH_REDIS_REST_URL")
    forget_process_state()
    assert upstash() is None
    with pytest.raises(UpstashUnavailable):
        await _enter()
    async with locks.hold(*NAME, insist=False) as lease:
        assert not lease.held
    assert rest.requests == 0


@pytest.mark.parametrize("mode", [Mode.LOST, Mode.CUT])
async def test_lock_whose_reply_was_lost_is_nobodys_and_runs_out(rest: RestServer, mode: Mode) -> None:
    """Redis has set it; we do not know, and do not set it twice."""
    await rest.faults.set(mode, count=1)
    await rest.reset_counters()
    with pytest.raises(UpstashUnavailable) as raised:
        await _enter()
    assert raised.value.maybe_applied
    assert rest.requests == 1
    assert 0 < int(await rest.command("PTTL", KEY)) <= 60_000
    with pytest.raises(LockBusy):
        await _enter()


@pytest.mark.parametrize("mode", OUT)
async def test_release_that_fails_is_no_error(rest: RestServer, mode: Mode) -> None:
    async with locks.hold(*NAME, ttl=9) as lease:
        await rest.faults.set(mode)
    assert not lease.held
    await rest.faults.set(Mode.OK)
    if mode in {Mode.REFUSE, Mode.HANG, Mode.ERROR_500}:
        assert 0 < int(await rest.command("PTTL", KEY)) <= 9_000, "it runs out by itself"
