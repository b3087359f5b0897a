"""A TCP proxy that can break what is behind it: Postgres, the mail server."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import Final

Refusal = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_CHUNK: Final = 64 * 1024


class Mode(StrEnum):
    OK = "ok"
    REFUSE = "refuse"  # nothing listens, and open connections are cut
    HANG = "hang"  # nothing gets through, in open connections too; it goes on with `ok`
    SLOW = "slow"  # each piece of a reply takes its time
    ERROR_500 = "500"  # the service's own words for "not now", to new connections; open ones are cut
    CUT = "cut"  # the connection is closed in the middle of a reply


class FaultProxy:
    """Listens on loopback and passes bytes on, both ways and in order, unless told otherwise.

    The target is a Unix socket, or a port on loopback.
    """

    def __init__(
        self, target: Path | int, *, host: str = "127.0.0.1", port: int = 0, refuse: Refusal | None = None
    ) -> None:
        self._target = target
        self._refuse = refuse or refuse_as_postgres
        self._host = host
        self.port = port
        self.connections = 0
        self.slow_seconds = 0.2
        self._mode = Mode.OK
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._listener: asyncio.Server | None = None
        self._served: set[asyncio.Task[None]] = set()

    @property
    def mode(self) -> Mode:
        return self._mode

    async def start(self) -> None:
        """Listen on `port`; on a free one, which is then in `port`, when that is 0."""
        self._listener = await asyncio.start_server(self._serve, self._host, self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        await self._cut_all()

    async def set(self, mode: Mode) -> None:
        """Break in this way from now on; `ok` mends."""
        was, self._mode = self._mode, mode
        if mode is Mode.HANG:
            self._flowing.clear()
        else:
            self._flowing.set()
        if mode is Mode.REFUSE:
            await self.stop()
        elif was is Mode.REFUSE:
            await self.start()
        elif mode is Mode.ERROR_500:
            await self._cut_all()

    async def _cut_all(self) -> None:
        served = list(self._served)
        for task in served:
            task.cancel()
        await asyncio.gather(*served, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._served.add(task)
        self.connections += 1
        try:
            if self._mode is Mode.ERROR_500:
                await self._refuse(reader, writer)
                writer.close()
                await writer.wait_closed()
            else:
                await self._join(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # either side went away, or it was cut on purpose; asyncio would log a cancelled handler
        finally:
            self._served.discard(task)
            writer.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, Path):
            return await asyncio.open_unix_connection(str(self._target))
        return await asyncio.open_connection(self._host, self._target)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flowing.wait()
        their_reader, their_writer = await self._connect()
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(reader, their_writer, is_reply=False))
                both.create_task(self._pass_on(their_reader, writer, is_reply=True))
        except* OSError:
            pass
        finally:
            their_writer.transport.abort()

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_reply: bool) -> None:
        while data := await source.read(_CHUNK):
            await self._flowing.wait()
            if is_reply and self._mode is Mode.SLOW:
                await asyncio.sleep(self.slow_seconds)
            if is_reply and self._mode is Mode.CUT:
                sink.write(data[: len(data) // 2])
                await sink.drain()
                raise ConnectionAbortedError
            sink.write(data)
            await sink.drain()
        with contextlib.suppress(OSError):
            sink.write_eof()


async def refuse_as_postgres(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a startup with a FATAL error (protocol 3.0, message 'E')."""
    length = struct.unpack("!I", await reader.readexactly(4))[0]
    await reader.readexactly(length - 4)
    fields = b"SFATAL\0VFATAL\0C53300\0Msorry, too many clients already\0\0"
    writer.write(b"E" + struct.pack("!I", len(fields) + 4) + fields)
    await writer.drain()


async def refuse_as_smtp(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Greet with "not now" (RFC 5321 3.1)."""
    writer.write(b"421 mailbox.digis.test is closed just now\r\n")
    await writer.drain()
