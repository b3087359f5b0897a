"""A peer that speaks HTTP as badly as a test wants: bytes for each request, written as they are."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from types import TracebackType
from typing import Self

CLOSE = b""  # in place of a reply: the connection is closed without one


def reply(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Peer:
    """`async with Peer([reply(...), ...]) as peer: ... peer.url`. Each entry is one reply, as parts written one by one.

    `requests` are those received, `connections` how many were accepted; `close_after` ends each after so many replies.
    """

    def __init__(self, replies: Sequence[bytes | Sequence[bytes]], *, close_after: int | None = None) -> None:
        self._replies = [[each] if isinstance(each, bytes) else list(each) for each in replies]
        self._close_after = close_after
        self.requests: list[bytes] = []
        self.connections = 0
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        served = 0
        try:
            while self._replies:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                self.requests.append(head + await reader.readexactly(int(length[1]) if length else 0))
                for part in self._replies.pop(0):
                    if part is CLOSE:
                        return
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0)
                served += 1
                if served == self._close_after:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
