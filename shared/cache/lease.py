"""The lease: of all who miss a value at once, one in the fleet computes it.

It is part of the cached value (lua/lookup.lua), so that whoever reads the value knows of it, and dropping the value
ends it: what was computed from before the drop can no longer be stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex
from typing import Final

from shared.cache.entry import Entry, Fetched, State
from shared.cache.spaces import LEASE_MS
from shared.upstash.client import upstash
from shared.upstash.errors import UpstashError
from shared.upstash.scripts import CLOCK, Script, ScriptCall

LUA: Final = Path(__file__).parent / "lua"
LOOKUP: Final = LUA / "lookup.lua"
_LEASE: Final = Script.read(CLOCK, LOOKUP, LUA / "lease.lua")
_FILL: Final = Script.read(CLOCK, LUA / "fill.lua")
_PUT: Final = Script.read(CLOCK, LUA / "put.lua")

WAIT_SECONDS: Final = 1.0  # then whoever waits computes: the holder was killed, or is slower than anyone should wait
_FIRST_LOOK_SECONDS: Final = 0.02  # about one query: REST has nothing to wait on, so those who wait look again
_LAST_LOOK_SECONDS: Final = 0.2


def token() -> str:
    """Whom a lease is given to: 64 random bits."""
    return token_hex(8)


async def ask(key: str) -> Fetched:
    """Read a value; where it is missing or stale, lease it to this caller unless somebody has it."""
    client = upstash()
    if client is None:
        return Fetched(key)
    ours = token()
    try:
        (answer,) = await client.run(_LEASE([key], ours, LEASE_MS))
    except UpstashError:
        return Fetched(key)  # a cache error is a miss
    state, raw = answer if isinstance(answer, list) and len(answer) == 2 else (None, None)  # noqa: PLR2004
    return Fetched.of(key, ours, state, raw)


async def fill(key: str, token: str, entry: Entry, *, fresh_ms: int, kept_ms: int) -> bool:
    """Store what was computed under the lease; return False when that was refused, or nobody answered."""
    return await _settle(key, token, entry.kind, str(fresh_ms), str(kept_ms), entry.etag, entry.body or "")


def put(key: str, entry: Entry, *, fresh_ms: int, kept_ms: int) -> ScriptCall:
    """The command that stores what is new in the world, without a lease."""
    return _PUT([key], str(fresh_ms), str(kept_ms), entry.etag, entry.body or "")


async def give_back(key: str, token: str) -> None:
    """Let others try to compute what is not there. A stale value keeps its lease: it is served meanwhile."""
    await _settle(key, token, "", "0", "0", "", "")


async def wait(found: Fetched, computation: Callable[[str], asyncio.Future[Entry] | None]) -> Entry | Fetched:
    """Wait for what the holder of the lease computes, in this process (where its token finds it) or another, a
    second at most.

    Return its entry; or, where there is none by then, what the last look fetched: perhaps the lease.
    Raise what the holder raised, when it is in this process.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + WAIT_SECONDS
    pause = _FIRST_LOOK_SECONDS
    while (left := deadline - loop.time()) > 0:
        if holder := computation(found.holder):
            done, _ = await asyncio.wait({holder}, timeout=left)
            if done and not holder.cancelled():
                return holder.result()
        await asyncio.sleep(min(pause, left))
        pause = min(2 * pause, _LAST_LOOK_SECONDS)
        found = await ask(found.key or "")
        entry = Entry.decode(found.raw)
        if entry and found.state is State.FRESH:
            return entry
        if found.state is not State.LEASED_TO_ANOTHER:
            break
    return found


async def _settle(key: str, *arguments: str) -> bool:
    client = upstash()
    if client is None:
        return False
    try:
        (done,) = await client.run(_FILL([key], *arguments))
    except UpstashError:
        return False  # the value was served all the same; the next caller will load it again
    return bool(done == 1)
