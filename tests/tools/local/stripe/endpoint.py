"""A webhook endpoint that keeps what it gets, and answers as a test wants."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Any

import stripe

from tools.local.listener import Listener
from tools.local.stripe.connection import Receive, Reply, Scope, Send, cut, read, send_reply

NO_ANSWER = 0
HANG = -1
TWO_AT_ONCE = -2  # answered when a second one came, with 200


class Endpoint:
    """`answers` are for the next requests, 200 for all after them."""

    def __init__(self) -> None:
        self.answers: deque[int] = deque()
        self.payloads: list[str] = []
        self.signatures: list[str] = []
        self._arrived = asyncio.Condition()
        self._listener = Listener(self)

    @property
    def url(self) -> str:
        return f"{self._listener.url}/webhooks"

    @property
    def types(self) -> list[str]:
        return [json.loads(payload)["type"] for payload in self.payloads]

    def verified(self, *, secret: str) -> list[stripe.Event]:
        """All that came, with its signature verified by the SDK."""
        pairs = zip(self.payloads, self.signatures, strict=True)
        return [stripe.Webhook.construct_event(payload, signature, secret) for payload, signature in pairs]

    async def arrived(self, count: int) -> None:
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.payloads) >= count)

    async def start(self) -> None:
        await self._listener.start()

    async def stop(self) -> None:
        await self._listener.stop(grace_seconds=0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        payload = await read(receive)
        answer = self.answers.popleft() if self.answers else 200
        async with self._arrived:
            self.payloads.append(payload)
            self.signatures.append(headers[b"stripe-signature"].decode())
            self._arrived.notify_all()
        message: dict[str, Any] = {}
        while answer == HANG and message.get("type") != "http.disconnect":
            message = dict(await receive())
        if answer == NO_ANSWER:
            await cut(scope, receive)
        elif answer == TWO_AT_ONCE:
            await self.arrived(2)
            await send_reply(send, Reply(200, b""))
        elif answer != HANG:
            await send_reply(send, Reply(answer, b""))
