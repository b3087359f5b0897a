"""The connection to Redis: commands in, replies as they are, errors as values."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hiredis

Reply = Any  # bytes, int, None, a list of replies, or a CommandError


class CommandError(Exception):
    """Redis's own error line, prefix and all. redis-py would strip it, which is why it is not used here."""


class RedisGone(Exception):
    """The Redis behind this server has ended or cannot be reached."""


class RedisLink(asyncio.Protocol):
    """One connection for everybody: what one call writes is contiguous, so its replies are too."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader(replyError=CommandError)
        self._transport: asyncio.Transport
        self._waiting: deque[tuple[int, list[Reply], asyncio.Future[list[Reply]]]] = deque()

    @classmethod
    async def connect(cls, socket: Path) -> RedisLink:
        """Raise RedisGone."""
        try:
            _, link = await asyncio.get_running_loop().create_unix_connection(cls, str(socket))
        except OSError as error:
            raise RedisGone(str(error)) from error
        return link

    @property
    def is_closed(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._transport.abort()

    async def run(self, commands: Sequence[Sequence[bytes]]) -> list[Reply]:
        """Send the commands in one write and return a reply each, in order. Raise RedisGone."""
        if self.is_closed:
            raise RedisGone("the connection is closed")
        if not commands:
            return []
        future: asyncio.Future[list[Reply]] = asyncio.get_running_loop().create_future()
        self._waiting.append((len(commands), [], future))
        packed = (hiredis.pack_command(tuple(command)) for command in commands)  # type: ignore[arg-type]  # its stub is narrow
        self._transport.write(b"".join(packed))
        return await future

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream connection's always is

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            expected, replies, future = self._waiting[0]
            replies.append(reply)
            if len(replies) == expected:
                self._waiting.popleft()
                if not future.done():
                    future.set_result(replies)

    def connection_lost(self, exc: Exception | None) -> None:
        for _, _, future in self._waiting:
            if not future.done():
                future.set_exception(RedisGone(str(exc or "closed")))
        self._waiting.clear()
