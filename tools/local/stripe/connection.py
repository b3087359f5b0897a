"""A request's body in, a reply out, or the connection cut."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final

MAX_REQUEST_BYTES: Final = 1024 * 1024

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def in_json(status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> Reply:
    """Indented, as Stripe's is."""
    return Reply(status, json.dumps(body, indent=2).encode(), {"content-type": "application/json", **headers})


async def read(receive: Receive) -> str:
    """The whole body; of one that is too long or cut off, what there was."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body") or len(body) > MAX_REQUEST_BYTES:
            return body.decode("utf-8", "replace")


async def send_reply(send: Send, reply: Reply, *, sent: bytes | None = None) -> None:
    """Send it; or, of its body, only what is `sent`, and the end remains to be cut."""
    headers = {**reply.headers, "content-length": str(len(reply.body))}
    encoded = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": encoded})
    body = reply.body if sent is None else sent
    await send({"type": "http.response.body", "body": body, "more_body": len(body) < len(reply.body)})


async def cut(scope: Scope, receive: Receive) -> None:
    """Close the connection where it stands, after what was written; the listener hands us its protocol for that."""
    scope["state"]["protocol"].transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass
