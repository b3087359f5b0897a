"""The services of a laptop: Postgres, Redis and the Upstash REST server, started side by side, stopped in order.

What the environment already names (`UPSTASH_REDIS_REST_URL`, `DATABASE_URL`) is used instead of a part of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from tools.local.gateway import UnknownFault
from tools.local.postgres import LocalPostgres
from tools.local.proxy import FaultProxy
from tools.local.proxy import Mode as ProxyMode
from tools.local.redis import LocalRedis
from tools.local.rest.faults import Mode as RestMode
from tools.local.rest.server import RestServer

UPSTASH_PORT: Final = 8079
UPSTASH_TOKEN: Final = "local"  # noqa: S105 -- of a server on loopback with nothing in it

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Part:
    """A row of the table that `digis dev` prints."""

    name: str
    where: str
    note: str


@dataclass(slots=True)
class Stack:
    """What runs, and the settings that the functions need to use it."""

    data: Path
    report: Report
    env: dict[str, str] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    owner_url: str | None = None
    _postgres: LocalPostgres | None = None
    _redis: LocalRedis | None = None
    _proxy: FaultProxy | None = None
    _rest: RestServer | None = None

    @classmethod
    async def start(cls, data: Path, given: Mapping[str, str], report: Report, *, demo: bool) -> Self:
        """Start what is not `given`, migrate, load demo data, write `env`. On failure, stop what had started."""
        stack = cls(data, report)
        try:
            await stack._start(given, demo=demo)
        except BaseException:
            await stack.stop()
            raise
        return stack

    async def stop(self) -> None:
        """Stop every part of ours, whatever became of the others."""
        for part in (self._rest, self._proxy):
            if part is not None:
                await part.stop()
        for service in (self._redis, self._postgres):
            if service is not None:
                service.stop()

    async def set_fault(self, part: str, mode: str) -> None:
        """Break a running part on purpose, or mend it with `ok`. Raise UnknownFault."""
        faults = {"upstash": (self._rest and self._rest.faults, RestMode), "postgres": (self._proxy, ProxyMode)}
        if part not in faults:
            raise UnknownFault(f"no part is called {part}: there are {', '.join(faults)}")
        target, modes = faults[part]
        if target is None:
            raise UnknownFault(f"{part} is yours, not ours to break")
        if mode not in set(modes):
            raise UnknownFault(f"{part} knows {', '.join(modes)}")
        await target.set(modes(mode))  # type: ignore[arg-type]  # each target with its own modes
