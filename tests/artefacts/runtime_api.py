"""Lambda's Runtime API on loopback: hands out events, takes answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
ARN = "arn:aws:lambda:eu-central-1:000000000000:function:digis"


class RuntimeApi:
    """`async with Listener(api) as listener`; then `await api.invoke(event)`. `init_error` is set when init failed.

    With SnapStart, `snapshot` is set when init is done; what is asked after `restore.set()` is asked of a copy.
    """

    def __init__(self) -> None:
        self._events: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self.init_error: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.snapshot, self.restore = asyncio.Event(), asyncio.Event()

    async def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        """The function's answer, or the error that the runtime reports of it."""
        request_id = f"request-{len(self._answers)}"
        self._answers[request_id] = asyncio.get_running_loop().create_future()
        await self._events.put((request_id, event))
        return await asyncio.wait_for(self._answers[request_id], 20)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        parts = scope["path"].strip("/").split("/")[2:]  # after /2018-06-01/runtime
        if parts == ["invocation", "next"]:
            request_id, event = await self._events.get()
            headers = {
                "lambda-runtime-aws-request-id": request_id,
                "lambda-runtime-deadline-ms": "9999999999999",
                "lambda-runtime-invoked-function-arn": ARN,
                "content-type": "application/json",
            }
            await _send(send, 200, json.dumps(event).encode(), headers)
            return
        if parts == ["restore", "next"]:
            self.snapshot.set()
            await self.restore.wait()
            await _send(send, 200, b"", {})
            return
        body = json.loads(await _read(receive) or b"{}")
        if parts in (["init", "error"], ["restore", "error"]):
            self.init_error.set_result(body)
        else:
            self._answers[parts[1]].set_result(body)
        await _send(send, 202, b'{"status":"OK"}', {})


async def _read(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


async def _send(send: Any, status: int, body: bytes, headers: dict[str, str]) -> None:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    pairs.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
