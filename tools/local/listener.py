"""An ASGI application on a TCP port, inside this event loop: uvicorn's protocol without uvicorn's process.

It can stop listening and come back on the same port, which a fault is made of, and stops as soon as it is told.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from types import TracebackType
from typing import Any, Final, Self

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

GRACE_SECONDS: Final = 3.0  # for requests under way when it is told to stop: a function's longest deadline
KEEP_ALIVE_SECONDS: Final = 75  # longer than clients keep theirs: httpx's 5 s, met from both ends, breaks a request
_BACKLOG: Final = 1024


class Protocol(HttpToolsProtocol):
    """uvicorn's own, but what it cannot parse is answered in the application's own words (its `not_http`)."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 -- the name is uvicorn's
        headers, body = self.config.app.not_http() if hasattr(self.config.app, "not_http") else ({}, b"")
        lines = [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"content-length: {len(body)}", "connection: close", "", ""]
        self.transport.write("\r\n".join(["HTTP/1.1 400 Bad Request", *lines]).encode("ascii") + body)
        self.transport.close()


class Listener:
    """`async with Listener(app) as listener: ... listener.url`"""

    def __init__(
        self, app: Any, *, host: str = "127.0.0.1", port: int = 0, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self._config = Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            date_header=False,
            proxy_headers=False,  # the client's address is the socket's
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self._host = host
        self._ssl_context = ssl_context
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self.port = port
        self.connections = 0  # accepted so far

    @property
    def url(self) -> str:
        return f"{'https' if self._ssl_context else 'http'}://{self._host}:{self.port}"

    async def start(self) -> None:
        """Listen; on a free port, which is then in `port`, when that is 0. Raise OSError when it is taken."""
        if not self._config.loaded:
            self._config.load()
        self._server = await asyncio.get_running_loop().create_server(
            self._accept, self._host, self.port, ssl=self._ssl_context, backlog=_BACKLOG, reuse_address=True
        )
        bound: socket.socket = self._server.sockets[0]
        self.port = bound.getsockname()[1]  # kept: a server that comes back comes back where it was

    async def stop(self, *, grace_seconds: float = GRACE_SECONDS) -> None:
        """Stop listening, let requests under way end within the grace, and close every connection."""
        if self._server is None:
            return
        self._server.close()
        if self._state.tasks and grace_seconds:
            await asyncio.wait(self._state.tasks, timeout=grace_seconds)
        for connection in list(self._state.connections):
            connection.transport.abort()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=GRACE_SECONDS)
        await self._server.wait_closed()
        self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _accept(self) -> asyncio.Protocol:
        self.connections += 1
        state: dict[str, Any] = {}
        protocol = Protocol(config=self._config, server_state=self._state, app_state=state)
        state["protocol"] = protocol  # so that a fault can cut the connection of its request
        return protocol
