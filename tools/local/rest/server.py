"""The Upstash REST server of a laptop and of the tests, in front of a real Redis."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from tools.local.rest.engine import Engine
from tools.local.rest.faults import Faults, Mode
from tools.local.rest.front import Front

_BACKLOG: Final = 1024


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
        self._host = host
        self._port = port
        self._ssl_context = ssl_context
        self._listener: asyncio.Server | None = None
        self._protocols = ServerState()
        self._config = Config(self._front, log_config=None, access_log=False, lifespan="off", ws="none")
        self.connections = 0

    @property
    def url(self) -> str:
        return f"{'https' if self._ssl_context else 'http'}://{self._host}:{self._port}"

    @property
    def requests(self) -> int:
        return self._front.requests

    async def executed(self) -> int:
        return await self._engine.executed()

    async def reset_counters(self) -> None:
        self._front.requests = 0
        self.connections = 0
        await self._engine.reset_executed()

    async def start(self) -> None:
        """Listen. Raise OSError when the port is taken, RedisGone when there is no Redis behind."""
        self._config.load()
        await self._engine.reset_executed()
        await self._listen()

    async def stop(self) -> None:
        """Close every connection and stop listening; nothing of it runs on."""
        await self.faults.set(Mode.OK)
        await self._set_listening(listening=False)
        if self._protocols.tasks:
            await asyncio.wait(self._protocols.tasks, timeout=5)
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
            await self._listen()
        elif self._listener is not None:
            self._listener.close()
            for connection in list(self._protocols.connections):
                connection.transport.abort()
            await self._listener.wait_closed()
            self._listener = None

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            self._accept,
            self._host,
            self._port,
            ssl=self._ssl_context,
            backlog=_BACKLOG,
            reuse_address=True,
        )
        bound: socket.socket = self._listener.sockets[0]
        self._port = bound.getsockname()[1]  # kept: a server that comes back comes back where it was

    def _accept(self) -> asyncio.Protocol:
        self.connections += 1
        state: dict[str, object] = {}
        protocol = HttpToolsProtocol(config=self._config, server_state=self._protocols, app_state=state)
        state["protocol"] = protocol  # so that a fault can cut the connection of its request
        return protocol
