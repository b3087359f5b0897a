"""Runs commands in Redis as Upstash would: its refusals, its Lua flag, its transactions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools.local.rest.link import CommandError, RedisLink, Reply
from tools.local.rest.lua import Command, Scripts
from tools.local.rest.refusals import Refusals

# What this server asks of Redis for itself; callers may not run them, so none of theirs is hidden.
_OWN: Final = frozenset({"command", "config|resetstat"})


class Engine:
    """The commands' way to Redis and back, over one connection that is made again when it was lost."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._scripts = Scripts()
        self._link: RedisLink | None = None
        self._refusals: Refusals | None = None

    async def run(self, commands: Sequence[Command], *, read_only: bool = False) -> list[Reply]:
        """A reply or a CommandError for each command, in order. Raise RedisGone."""
        link, refusals = await self._ready()
        refused = [refusals.of(command, read_only=read_only) for command in commands]
        admitted = [self._scripts.translate(c) for c, no in zip(commands, refused, strict=True) if no is None]
        replies = iter(await link.run(admitted))
        return [
            self._scripts.translate_reply(command, next(replies)) if no is None else no
            for command, no in zip(commands, refused, strict=True)
        ]

    async def run_transaction(self, commands: Sequence[Command], *, read_only: bool = False) -> list[Reply]:
        """The same, but all of it at once or none of it. Raise CommandError when it was discarded, or RedisGone."""
        link, refusals = await self._ready()
        for command in commands:
            refusal = refusals.of(command, read_only=read_only)
            if refusal is not None:
                raise refusal
        translated = [self._scripts.translate(command) for command in commands]
        *_, outcome = await link.run([[b"MULTI"], *translated, [b"EXEC"]])
        if isinstance(outcome, CommandError):
            raise outcome
        return [self._scripts.translate_reply(c, reply) for c, reply in zip(commands, outcome, strict=True)]

    async def run_uncounted(self, command: Command) -> Reply:
        """One command as it is: nothing is refused, and errors raise."""
        link, _ = await self._ready()
        (reply,) = await link.run([command])
        if isinstance(reply, CommandError):
            raise reply
        return reply

    async def executed(self) -> int:
        """Commands executed in Redis since `reset_executed`, those inside scripts included, ours not."""
        link, _ = await self._ready()
        (report,) = await link.run([[b"INFO", b"commandstats"]])
        total = 0
        for line in report.decode().splitlines():
            name, found, counters = line.removeprefix("cmdstat_").partition(":calls=")
            if found and name not in _OWN and name != "info":
                total += int(counters.partition(",")[0])
        return total

    async def reset_executed(self) -> None:
        link, _ = await self._ready()
        await link.run([[b"CONFIG", b"RESETSTAT"]])

    def close(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    async def _ready(self) -> tuple[RedisLink, Refusals]:
        if self._link is None or self._link.is_closed:
            self._link = await RedisLink.connect(self._socket)
        if self._refusals is None:
            self._refusals = await Refusals.ask(self._link)
        return self._link, self._refusals
