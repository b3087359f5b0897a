"""The HTTP face of the server, as a raw ASGI application."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, MutableMapping
from hmac import compare_digest
from typing import Any, Final

from tools.local.rest import encoding
from tools.local.rest.commands import (
    BadRequest,
    Command,
    command_of_body,
    command_of_path,
    commands_of_body,
    token_of_query,
)
from tools.local.rest.engine import Engine
from tools.local.rest.faults import Faults, Mode
from tools.local.rest.link import CommandError, RedisGone

MAX_REQUEST_BYTES: Final = 10 * 1024 * 1024
_METHODS: Final = {"GET", "HEAD", "POST", "PUT"}
_SLOW_STEPS: Final = 10

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Front:
    """Checks the token, reads the commands, has them run, and encodes what came back."""

    def __init__(self, engine: Engine, faults: Faults, token: str, read_only_token: str | None) -> None:
        self._engine = engine
        self._faults = faults
        self._token = token.encode()
        self._read_only_token = (read_only_token or "").encode()
        self._sync_tokens = itertools.count(1)
        self.requests = 0

    @staticmethod
    def not_http() -> tuple[dict[str, str], bytes]:
        return {"content-type": "application/json"}, b'{"error":"ERR this is not an HTTP request"}'

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.requests += 1
        mode = self._faults.next()
        if mode is Mode.HANG:
            await self._faults.hang()
            await _cut(scope, receive)
            return
        if mode is Mode.ERROR_500:
            await _send(send, 500, b"<html><body>Internal Server Error</body></html>", b"text/html")
            return
        request_body = await _read(receive)
        status, body, content_type = await self._answer(scope, request_body)
        if self._faults.latency:
            await asyncio.sleep(self._faults.latency)  # the round trip to a region, not a wait for anything
        if mode is Mode.LOST:
            await _cut(scope, receive)
            return
        head = None if scope["method"] == "HEAD" else body
        sync_token = b"local-%d" % next(self._sync_tokens)
        if mode is Mode.CUT:
            await _send(send, status, body, content_type, sync_token, sent=body[: len(body) // 2])
            await _cut(scope, receive)
            return
        pause = self._faults.slow_seconds / _SLOW_STEPS if mode is Mode.SLOW else 0.0
        await _send(send, status, body, content_type, sync_token, sent=head or b"", pause=pause)

    async def _answer(self, scope: Scope, body: bytes | None) -> tuple[int, bytes, bytes]:
        headers = dict(scope["headers"])
        access = self._access(headers, scope["query_string"])
        if access is None:
            return 401, encoding.encode_error("Unauthorized"), encoding.JSON
        if scope["method"] not in _METHODS:
            return 405, encoding.encode_error("ERR method not allowed"), encoding.JSON
        if body is None:
            return 413, encoding.encode_error("ERR max request size exceeded"), encoding.JSON
        try:
            return await self._run(scope, headers, body, read_only=access == "read")
        except BadRequest as error:
            return 400, encoding.encode_error(str(error)), encoding.JSON
        except RedisGone as error:
            return 502, encoding.encode_error(f"ERR the Redis behind this server is gone: {error}"), encoding.JSON

    async def _run(
        self, scope: Scope, headers: dict[bytes, bytes], body: bytes, *, read_only: bool
    ) -> tuple[int, bytes, bytes]:
        path = scope["path"]
        in_base64 = headers.get(b"upstash-encoding", b"").lower() == b"base64"
        if path in {"/pipeline", "/multi-exec"} and scope["method"] in {"POST", "PUT"}:
            commands = commands_of_body(body)
            run = self._engine.run if path == "/pipeline" else self._engine.run_transaction
            try:
                replies = await run(commands, read_only=read_only)
            except CommandError as error:  # of the transaction as a whole
                return 400, encoding.encode_error(str(error)), encoding.JSON
            return 200, encoding.encode_all(replies, in_base64=in_base64), encoding.JSON
        (reply,) = await self._engine.run([_single(scope, body)], read_only=read_only)
        status = 400 if isinstance(reply, CommandError) else 200
        if headers.get(b"upstash-response-format", b"").lower() == b"resp2":
            return status, encoding.encode_resp2(reply), encoding.RESP2
        return status, encoding.encode_one(reply, in_base64=in_base64), encoding.JSON

    def _access(self, headers: dict[bytes, bytes], query: bytes) -> str | None:
        kind, _, presented = headers.get(b"authorization", b"").partition(b" ")
        if kind.lower() != b"bearer" or not presented:
            presented = token_of_query(query) or b""
        if compare_digest(presented, self._token):
            return "write"
        if self._read_only_token and compare_digest(presented, self._read_only_token):
            return "read"
        return None


def _single(scope: Scope, body: bytes) -> Command:
    path = scope.get("raw_path") or scope["path"].encode()
    if path.strip(b"/"):
        return command_of_path(path, scope["query_string"], body if scope["method"] in {"POST", "PUT"} else b"")
    return command_of_body(body)


async def _cut(scope: Scope, receive: Receive) -> None:
    """Close the connection where it stands, after what was written; the server hands us its protocol for that."""
    scope["state"]["protocol"].transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _read(receive: Receive) -> bytes | None:
    """The whole body, or None for one over Upstash's limit (which is read to its end, so that it can be answered)."""
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""  # nobody is left to answer
        size += len(message.get("body", b""))
        if size <= MAX_REQUEST_BYTES:
            chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks) if size <= MAX_REQUEST_BYTES else None


async def _send(
    send: Send,
    status: int,
    body: bytes,
    content_type: bytes,
    sync_token: bytes = b"",
    *,
    sent: bytes | None = None,
    pause: float = 0.0,
) -> None:
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
    if sync_token:
        headers.append((b"upstash-sync-token", sync_token))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    shown = body if sent is None else sent
    if pause:
        step = max(1, len(shown) // _SLOW_STEPS)
        for start in range(0, len(shown), step):
            await send({"type": "http.response.body", "body": shown[start : start + step], "more_body": True})
            await asyncio.sleep(pause)
        shown = b""
    await send({"type": "http.response.body", "body": shown, "more_body": len(shown) < len(body) and not pause})
