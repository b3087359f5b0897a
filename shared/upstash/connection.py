"""One HTTP/1.1 connection to Upstash: h11 on an asyncio protocol, one exchange at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import h11

MAX_REPLY_BYTES: Final = 16 * 1024 * 1024  # over Upstash's own 10 MB: what is longer is not Upstash talking

Headers = Sequence[tuple[bytes, bytes]]


class Interrupted(Exception):
    """The connection ended before its reply did. The request may have been carried out."""


@dataclass(slots=True)
class Reply:
    """A whole HTTP response."""

    status: int
    sync_token: bytes | None
    body: bytes


class Connection(asyncio.Protocol):
    """A kept connection. `usable` turns false once the peer has closed, or a reply was not whole."""

    def __init__(self) -> None:
        self._h11 = h11.Connection(h11.CLIENT)
        self._transport: asyncio.Transport
        self._waiter: asyncio.Future[Reply] | None = None
        self._response: h11.Response | None = None
        self._chunks: list[bytes] = []
        self._size = 0
        self.usable = False

    async def post(self, target: bytes, headers: Headers, body: bytes) -> Reply:
        """Send one POST and return its reply. Raise Interrupted; a cancelled exchange ends the connection."""
        self._waiter = asyncio.get_running_loop().create_future()
        request = h11.Request(method=b"POST", target=target, headers=list(headers))
        self._transport.write(
            (self._h11.send(request) or b"")
            + (self._h11.send(h11.Data(data=body)) or b"")
            + (self._h11.send(h11.EndOfMessage()) or b"")
        )
        try:
            return await self._waiter
        finally:
            self._waiter = None
            if self._h11.our_state is not h11.IDLE:  # not one whole exchange: nothing more can be said on it
                self.abort()

    def abort(self) -> None:
        """Close at once, without waiting for what was not sent."""
        self.usable = False
        self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.usable = True

    def data_received(self, data: bytes) -> None:
        self._read(data)

    def eof_received(self) -> None:
        self.usable = False
        self._read(b"")  # a reply without a length ends here

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        self._fail(Interrupted(type(exc).__name__ if exc else "closed by the peer"))

    def _read(self, data: bytes) -> None:
        if self._waiter is None:  # words nobody asked for: a 408 before the close, or a confused peer
            self.abort()
            return
        try:
            self._h11.receive_data(data)
            self._consume_events()
        except h11.RemoteProtocolError:
            self._fail(Interrupted("not HTTP, or half of it"))
            self.abort()

    def _consume_events(self) -> None:
        while True:
            event = self._h11.next_event()
            if isinstance(event, h11.Response):
                self._response = event
            elif isinstance(event, h11.Data):
                self._size += len(event.data)
                if self._size > MAX_REPLY_BYTES:
                    raise h11.RemoteProtocolError("reply too long")
                self._chunks.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                self._finish()
                return
            elif event is h11.NEED_DATA or event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                return

    def _finish(self) -> None:
        response, body = self._response, b"".join(self._chunks)
        self._response, self._chunks, self._size = None, [], 0
        unasked, _ = self._h11.trailing_data  # would be taken for the answer to the next request
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE and not unasked:
            self._h11.start_next_cycle()
        else:
            self.usable = False  # `Connection: close`, or a confused peer
        if response is not None and self._waiter is not None and not self._waiter.done():
            token = next((value for name, value in response.headers if name == b"upstash-sync-token"), None)
            self._waiter.set_result(Reply(response.status_code, token, body))

    def _fail(self, error: Interrupted) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
