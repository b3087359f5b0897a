"""The edge: what is true of every answer, whoever made it. Pure ASGI, outside of the routes.

Request id, CORS, the limit's headers, the size of bodies, HEAD, the last resort for an error, the access line.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from secrets import token_hex
from typing import Any, Final

from starlette.exceptions import HTTPException

from shared import telemetry
from shared.http import cors
from shared.http.problems import MEDIA_TYPE, BodyTooLarge, Internal, Problem, document
from shared.settings import settings

MAX_BODY_BYTES: Final = 1024 * 1024
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class Edge:
    """ASGI middleware around one function's routes."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {bytes(name).lower(): bytes(value) for name, value in scope["headers"]}
        record = telemetry.RequestRecord(_request_id(headers), scope["method"], scope["path"])
        telemetry.begin(record)
        answer = _Answer(send, record, headers.get(b"origin"))
        try:
            await self._serve(scope, headers, receive, answer)
        except Exception as error:
            _log_crash(error)
            if answer.status is not None:
                raise  # half an answer is out: only a closed connection can say that it is not whole
            await answer.problem(Internal())
        finally:
            telemetry.log_access(record, answer.status or 500)

    async def _serve(
        self, scope: MutableMapping[str, Any], headers: dict[bytes, bytes], receive: Receive, answer: _Answer
    ) -> None:
        if cors.is_preflight(scope["method"], headers):
            await answer.empty(204, cors.preflight_headers(headers.get(b"origin")))
        elif _declared_length(headers) > MAX_BODY_BYTES:
            await answer.problem(BodyTooLarge())
        elif scope["method"] == "HEAD":
            await self._app({**scope, "method": "GET"}, _bounded(receive), answer.send_without_body)
        else:
            await self._app(scope, _bounded(receive), answer.send)


class _Answer:
    """The way out: adds what every answer carries, and remembers its status."""

    def __init__(self, send: Send, record: telemetry.RequestRecord, origin: bytes | None) -> None:
        self._send = send
        self._record = record
        self._origin = origin
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": self._with_ours(message.get("headers", []))}
        await self._send(message)

    async def send_without_body(self, message: Message) -> None:
        """For HEAD: the headers of the GET, its length included, and no body."""
        if message["type"] == "http.response.body":
            if message.get("more_body"):
                return
            message = {"type": "http.response.body", "body": b""}
        await self.send(message)

    async def problem(self, problem: Problem) -> None:
        body = document(problem, path=self._record.path, request_id=self._record.request_id)
        headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", b"%d" % len(body))]
        await self.send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": b"" if self._record.method == "HEAD" else body})

    async def empty(self, status: int, headers: cors.Headers) -> None:
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": b""})

    def _with_ours(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        record = self._record
        ours = [(b"vary", b"Origin"), (b"x-content-type-options", b"nosniff"), *cors.answer_headers(self._origin)]
        if not any(name.lower() == b"cache-control" for name, _ in headers):
            ours.append((b"cache-control", b"no-store"))
        if not record.anonymous:
            ours.append((b"x-request-id", record.request_id.encode("ascii")))
            ours.extend((name.lower().encode(), value.encode("latin-1")) for name, value in record.headers.items())
        if not settings().deployed:
            ours.append((b"server-timing", telemetry.server_timing(record).encode("ascii")))
        return [*headers, *ours]


def _request_id(headers: dict[bytes, bytes]) -> str:
    """The caller's own id when it is a safe one, so that a trace can be followed; otherwise a new one."""
    brought = headers.get(b"x-request-id", b"")
    return brought.decode("ascii") if _REQUEST_ID.fullmatch(brought) else token_hex(16)


def _declared_length(headers: dict[bytes, bytes]) -> int:
    length = headers.get(b"content-length", b"")
    return int(length) if length.isdigit() else 0


def _bounded(receive: Receive) -> Receive:
    """Stop reading a body that has no declared length once it is over the bound."""
    received = 0

    async def receive_within_bound() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY_BYTES:
            raise HTTPException(BodyTooLarge.status)  # FastAPI lets its own kind of error through
        return message

    return receive_within_bound


def _log_crash(error: Exception) -> None:
    """Where it happened and what kind it was. Not its message: that may quote what a user sent."""
    where = "".join(traceback.format_tb(error.__traceback__))
    telemetry.logger().error("unhandled %s\n%s", type(error).__name__, where)
