"""Locks in Redis: one of many at a time, as long as all goes well.

A lock saves work and keeps nothing safe: Redis may forget it, and its holder may be stopped for longer than it lives.
What must not happen twice is Postgres's to prevent. The key is gone after `ttl` seconds whatever became of the holder.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from shared import telemetry
from shared.postgres.transaction import Transaction
from shared.upstash import keys
from shared.upstash.client import Upstash, upstash
from shared.upstash.errors import UpstashError, UpstashUnavailable
from shared.upstash.scripts import Script

TTL_SECONDS: Final = keys.LOCK.ttl or 0

_LUA: Final = Path(__file__).parent / "lua"
_RELEASE: Final = Script.read(_LUA / "lock_release.lua")
_EXTEND: Final = Script.read(_LUA / "lock_extend.lua")


class LockBusy(Exception):
    """Somebody else has it."""


class LeaseLost(Exception):
    """It ran out, or Redis lost it: somebody else may have it by now."""


class Lease:
    """A lock that was ours when it was given. `held` is False where Redis could not be asked and nobody insisted."""

    def __init__(self, key: str, token: str, *, held: bool) -> None:
        self.held = held
        self._key = key
        self._token = token
        self._rides_with: Transaction | None = None

    async def extend(self, ttl: int = TTL_SECONDS) -> None:
        """Keep it for `ttl` seconds from now. Raise LeaseLost when it is not ours any more, or UpstashError."""
        client = upstash()
        if client is None or not self.held:
            raise LeaseLost
        if await _one(client, _EXTEND([self._key], self._token, ttl * 1000)) != 1:
            self.held = False
            raise LeaseLost

    def release_with(self, transaction: Transaction) -> None:
        """Let go when this transaction has committed, in the trip that it makes anyway."""
        if self.held:
            transaction.send_after(_RELEASE([self._key], self._token))
            self._rides_with = transaction

    async def release(self) -> None:
        """Let go, if it is still ours and not let go of yet. What fails runs out by itself."""
        client = upstash()
        is_sent = self._rides_with is not None and self._rides_with.drops_confirmed
        if client is None or not self.held or is_sent:
            return
        self.held = False
        try:
            await _one(client, _RELEASE([self._key], self._token))
        except UpstashError as error:
            telemetry.logger().warning("a lock runs out by itself: %s", type(error).__name__)


@asynccontextmanager
async def hold(*name: str, ttl: int = TTL_SECONDS, insist: bool = True) -> AsyncIterator[Lease]:
    """Hold the lock of this name during the block, `ttl` seconds at most: `async with locks.hold("payout", ...)`.

    Raise LockBusy when another has it. Where Redis cannot be asked, raise UpstashError; or, for whoever does not
    `insist`, go on without.
    """
    lease = await _acquire(keys.key(keys.LOCK, *name), ttl, insist=insist)
    try:
        yield lease
    finally:
        await lease.release()


async def _acquire(key: str, ttl: int, *, insist: bool) -> Lease:
    client, token = upstash(), token_hex(16)
    if client is None and insist:
        raise UpstashUnavailable("not configured", maybe_applied=False)
    if client is None:
        return Lease(key, token, held=False)
    try:
        answer = await _one(client, ["SET", key, token, "NX", "PX", ttl * 1000])
    except UpstashError:
        if insist:
            raise
        return Lease(key, token, held=False)
    if answer != "OK":
        raise LockBusy
    return Lease(key, token, held=True)


async def _one(client: Upstash, command: list[Any]) -> Any:
    (answer,) = await client.run(command)
    if isinstance(answer, UpstashError):
        raise answer
    return answer
