"""The Upstash REST server of a laptop and of the tests, in front of a real Redis."""

from __future__ import annotations

import ssl
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tools.local.listener import Listener
from tools.local.rest.engine import Engine
from tools.local.rest.faults import Faults, Mode
from tools.local.rest.front import Front


class RestServer:
    """`async with RestServer(redis.socket) as server: ... server.url`

    `requests` and `connections` count what came in since the last `reset_counters`; `executed()` what Redis did.
    """

    def __init__(
        self,
        redis_socket: Path,
        *,
        token: str = "local",  # noqa: S107 -- of a server on loopback
        read_only_token: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._engine = Engine(redis_socket)
        self.faults = Faults(self._set_listening)
        self._front = Front(self._engine, self.faults, token, read_only_token)
        self._listener = Listener(self._front, host=host, port=port, ssl_context=ssl_context)

    @property
    def url(self) -> str:
        return self._listener.url

    @property
    def requests(self) -> int:
        return self._front.requests

    @property
    def connections(self) -> int:
        return self._listener.connections

    async def executed(self) -> int:
        return await self._engine.executed()

    async def reset_counters(self) -> None:
        self._front.requests = 0
        self._listener.connections = 0
        await self._engine.reset_executed()

    async def command(self, *parts: str) -> Any:
        """Run one command in Redis past the HTTP side and its counters: for tests that look behind it."""
        return await self._engine.run_uncounted([part.encode() for part in parts])

    async def start(self) -> None:
        """Listen. Raise OSError when the port is taken, RedisGone when there is no Redis behind."""
        await self._engine.reset_executed()
        await self._listener.start()

    async def stop(self) -> None:
        """Close every connection and stop listening; nothing of it runs on."""
        await self.faults.set(Mode.OK)
        await self._listener.stop()
        self._engine.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _set_listening(self, *, listening: bool) -> None:
        if listening:
            await self._listener.start()
        else:
            await self._listener.stop(grace_seconds=0)
