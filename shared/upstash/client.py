"""The client: upstash_redis's commands on our own transport.

Every documented command of `upstash_redis.asyncio.Redis` works, and so does `upstash_ratelimit` on top, but
whatever is awaited in the same turn of the event loop leaves as one HTTP request.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any, Self

from shared.settings import settings
from shared.upstash.batch import Batcher, Command
from shared.upstash.breaker import Breaker
from shared.upstash.errors import CommandFailed
from shared.upstash.scripts import Script, ScriptCall
from shared.upstash.sdk import (
    AsyncJsonCommands,
    AsyncPipeline,
    AsyncSearchCommands,
    PipelineJsonCommands,
    Redis,
    cast_response,
)
from shared.upstash.transport import Transport


class Upstash(Redis):
    """One Upstash database, for the life of the process.

    Safe when the event loop changes between calls (Mangum, tests, a SnapStart restore): what belonged to the old
    loop is let go. Commands raise UpstashUnavailable, UpstashRefused or CommandFailed, within the deadline.
    """

    def __init__(self, url: str, token: str, *, deadline_seconds: float = 0.8) -> None:
        # Not super().__init__(): it would build an httpx client. The attributes below are those that the
        # SDK's own methods, and upstash_ratelimit, read; tests hold this list against the pinned SDK.
        self._allow_telemetry = False
        self._headers: dict[str, str] = {}
        self._json = AsyncJsonCommands(self)
        self._search = AsyncSearchCommands(self)
        self._url = url
        self._token = token
        self._deadline_seconds = deadline_seconds
        self._breaker = Breaker()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._transport: Transport
        self._batcher: Batcher

    async def execute(self, command: list[Any]) -> Any:
        """Run one command, as all the SDK's command methods do."""
        encodable = [_argument(part) for part in command]
        return cast_response(command, await self._on_this_loop().submit(encodable), self)

    async def run(self, *commands: Command) -> list[Any]:
        """Run several commands in one trip; return each one's raw result, or its CommandFailed, in order.

        A script that the database does not know yet costs one more trip, once. Raise UpstashUnavailable or
        UpstashRefused when a trip failed as a whole.
        """
        results = await self._ride(commands)
        unknown = [
            place
            for place, (command, result) in enumerate(zip(commands, results, strict=True))
            if isinstance(command, ScriptCall) and isinstance(result, CommandFailed) and result.script_is_unknown
        ]
        if unknown:
            calls = {place: call for place in unknown if isinstance(call := commands[place], ScriptCall)}
            in_full = [call.in_full() for call in calls.values()]
            # Redis was emptied, or is new to us: the other scripts will be missing too, and ride along.
            others = Script.known.keys() - {call.script.sha for call in calls.values()}
            loads = [["SCRIPT", "LOAD", Script.known[sha].source] for sha in sorted(others)]
            again = await self._ride([*in_full, *loads])
            for place, result in zip(calls, again, strict=False):
                results[place] = result
        return results

    def pipeline(self) -> AsyncPipeline:
        """The SDK's pipeline. Its commands ride with whatever else leaves in this turn; the first error raises."""
        return _Pipeline(self, self.run)

    def multi(self) -> AsyncPipeline:
        """The SDK's transaction: one trip of its own to /multi-exec."""
        return _Pipeline(self, self._transact)

    async def close(self) -> None:
        """Let go of every connection. The client can be used again: it will connect anew."""
        self._forget_loop()

    async def __aenter__(self) -> Self:
        return self

    async def _ride(self, commands: Sequence[Command]) -> list[Any]:
        batcher = self._on_this_loop()
        futures = [batcher.submit(command) for command in commands]
        results = await asyncio.gather(*futures, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, CommandFailed):
                raise result
        return results

    async def _transact(self, *commands: Command) -> list[Any]:
        return await self._on_this_loop().run_alone("multi-exec", commands)

    def _on_this_loop(self) -> Batcher:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._forget_loop()
            self._loop = loop
            self._transport = Transport(self._url, self._token, self._breaker)
            self._batcher = Batcher(self._transport, self._deadline_seconds)
        return self._batcher

    def _forget_loop(self) -> None:
        if self._loop is not None:
            self._transport.abandon()
            self._loop = None


class _Pipeline(AsyncPipeline):
    """The SDK's pipeline with its `exec` on our trips."""

    def __init__(self, client: Upstash, run: Callable[..., Awaitable[list[Any]]]) -> None:
        # Not super().__init__(), for the same reason as above.
        self._json = PipelineJsonCommands(self)
        self._command_stack: list[list[Any]] = []
        self._original_client = client
        self._run = run

    async def exec(self) -> list[Any]:
        commands, self._command_stack = self._command_stack, []
        if not commands:
            return []
        results = await self._run(*([_argument(part) for part in command] for command in commands))
        for result in results:
            if isinstance(result, CommandFailed):
                raise result
        return [
            cast_response(command, result, self._original_client)
            for command, result in zip(commands, results, strict=True)
        ]


def _argument(part: Any) -> str | int | float:
    """What Redis takes as it is, or JSON of what it does not: as the SDK does."""
    return part if isinstance(part, str | int | float) else json.dumps(part)


@lru_cache(maxsize=1)
def upstash() -> Upstash | None:
    """The process's client, or None where no Upstash is configured."""
    chosen = settings()
    if chosen.upstash_url is None:
        return None
    return Upstash(chosen.upstash_url, chosen.upstash_token, deadline_seconds=chosen.upstash_deadline_ms / 1000)
