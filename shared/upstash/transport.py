"""Trips: a POST to Upstash with a hard deadline, over kept connections, behind a breaker."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic_core import from_json

from shared.upstash.breaker import Breaker
from shared.upstash.connection import Connection, Interrupted, Reply
from shared.upstash.errors import CircuitOpen, CommandFailed, UpstashRefused, UpstashUnavailable

CONNECT_SECONDS: Final = (
    0.3  # a handshake in the region takes a tenth of it; the rest of the deadline stays for the trip
)

READ_ONLY: Final = frozenset(
    "GET MGET EXISTS TTL PTTL TYPE STRLEN HGET HMGET HGETALL HLEN HEXISTS SMEMBERS SISMEMBER SCARD LRANGE LLEN "
    "ZRANGE ZCARD ZSCORE ZMSCORE ZCOUNT PING ECHO TIME EVAL_RO EVALSHA_RO".split()
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Commands for one trip: their names, and each as JSON."""

    names: list[str]
    encoded: list[bytes]

    @property
    def only_reads(self) -> bool:
        return all(name in READ_ONLY for name in self.names)


class Transport:
    """Sends batches of commands to one Upstash database. Belongs to the event loop that it was made in."""

    def __init__(self, url: str, token: str, breaker: Breaker) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._tls = parts.scheme == "https"
        self._port = parts.port or (443 if self._tls else 80)
        self._base_path = parts.path.rstrip("/")
        self._headers = [
            (b"Host", parts.netloc.encode("ascii")),
            (b"Authorization", b"Bearer " + token.encode("ascii")),
            (b"Content-Type", b"application/json"),
        ]
        self._sync_token = b""
        self._breaker = breaker
        self._idle: list[Connection] = []

    async def send(self, path: str, batch: Batch, *, deadline: float) -> list[Any | CommandFailed]:
        """POST a batch; return each command's result or its error, in order.

        `deadline` is on the loop's clock. A batch that only reads is sent a second time when its connection broke
        after it was written; any other is not: its writes may have been applied.

        Raise UpstashUnavailable, or UpstashRefused for a 401 or 403.
        """
        if not self._breaker.admit():
            raise CircuitOpen
        try:
            async with asyncio.timeout_at(deadline):
                reply = await self._exchange(f"{self._base_path}/{path}".encode("ascii"), batch)
            results = _results(batch, _parse(reply))
        except asyncio.CancelledError:
            self._breaker.abandoned()
            raise
        except UpstashRefused:
            self._breaker.succeeded()  # it answers: that it refuses us is not an outage
            raise
        except (UpstashUnavailable, TimeoutError, OSError, Interrupted) as error:
            self._breaker.failed()
            raise _unavailable(error) from error
        self._breaker.succeeded()
        if reply.sync_token:
            self._sync_token = reply.sync_token
        return results

    def abandon(self) -> None:
        """Let go of every connection, also when the loop they lived in is closed."""
        for connection in self._idle:
            with contextlib.suppress(RuntimeError):  # that loop is closed: the socket closes with its object
                connection.abort()
        self._idle.clear()

    async def _exchange(self, target: bytes, batch: Batch) -> Reply:
        body = b"[" + b",".join(batch.encoded) + b"]"
        headers = [*self._headers, (b"Content-Length", b"%d" % len(body))]
        if self._sync_token:
            headers.append((b"Upstash-Sync-Token", self._sync_token))
        connection = await self._connection()
        try:
            reply = await connection.post(target, headers, body)
        except Interrupted:
            if not batch.only_reads:
                raise
            connection = await self._connect()  # a new one: its neighbours in the pool may be as dead
            reply = await connection.post(target, headers, body)
        if connection.usable:
            self._idle.append(connection)
        return reply

    async def _connection(self) -> Connection:
        """A kept connection whose peer has not closed it, or a new one: no error reaches anyone for an idle close."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return await self._connect()

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await loop.create_connection(
                    Connection, self._host, self._port, ssl=_tls_context() if self._tls else None
                )
        except (OSError, TimeoutError) as error:  # certificates that are not right are OSErrors too
            raise UpstashUnavailable(f"no connection: {type(error).__name__}", maybe_applied=False) from error
        return connection


@lru_cache(maxsize=1)
def _tls_context() -> ssl.SSLContext:
    return ssl.create_default_context()


def _parse(reply: Reply) -> Any:
    if reply.status in {401, 403}:
        raise UpstashRefused(reply.status)
    if reply.status not in {200, 400}:
        raise UpstashUnavailable(f"HTTP {reply.status}")
    try:
        return from_json(reply.body)
    except ValueError:
        raise UpstashUnavailable(f"HTTP {reply.status} that is not Upstash's JSON") from None


def _results(batch: Batch, parsed: Any) -> list[Any | CommandFailed]:
    if isinstance(parsed, dict) and isinstance(parsed.get("error"), str):
        return [CommandFailed(name, parsed["error"]) for name in batch.names]
    if not isinstance(parsed, list) or len(parsed) != len(batch.names):
        raise UpstashUnavailable("a reply that does not match its commands")
    return [_result(name, item) for name, item in zip(batch.names, parsed, strict=True)]


def _result(name: str, item: Any) -> Any | CommandFailed:
    if isinstance(item, dict):
        if "result" in item:
            return item["result"]
        if isinstance(item.get("error"), str):
            return CommandFailed(name, item["error"])
    raise UpstashUnavailable("a reply that is neither a result nor an error")


def _unavailable(error: Exception) -> UpstashUnavailable:
    if isinstance(error, UpstashUnavailable):
        return error
    if isinstance(error, TimeoutError):
        return UpstashUnavailable("no answer within the deadline")
    return UpstashUnavailable(f"{type(error).__name__}: {error}")
