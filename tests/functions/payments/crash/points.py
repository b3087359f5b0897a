"""Crash points: every await of this process that touches Postgres, Upstash or Stripe goes by here, and may be the last.

What is hooked is the way out, not its callers: whatever code awaits such a thing is found without being told of.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import re
import signal
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, Final, cast

import asyncpg
import stripe
from asyncpg import connection as asyncpg_connection

from shared.upstash.errors import UpstashUnavailable
from shared.upstash.transport import Batch, Transport

Tell = Callable[[str, str], None]

ALIVE: Final = 7  # an advisory lock that each connection holds, for whoever waits until Postgres noticed a death
_WORDS: Final = 4  # of a statement: enough to know it by
_ID: Final = re.compile(r"/[a-z]+_\w{20,}")


class Way(StrEnum):
    """How it goes wrong at a point."""

    BEFORE = "before"  # killed, and nothing was sent
    SENT = "sent"  # killed when the bytes were out: it is Postgres's choice whether there was an effect
    LOST = "lost"  # there was an effect, and the connection broke before the reply; the process lives on
    AFTER = "after"  # killed when the reply was read
    STOPPED = "stopped"  # no death: it stands still, before anything is sent, until somebody lets it go on


DEATHS: Final = (Way.BEFORE, Way.SENT, Way.LOST, Way.AFTER)


class Points:
    """Counts the points of one request, tells of each, and makes one of them go wrong."""

    def __init__(self, tell: Tell, target: int | None, way: Way | None) -> None:
        self._tell = tell
        self._target = target
        self._way = way
        self._count = 0

    async def reach(
        self, label: str, act: Callable[[], Awaitable[Any]], lose: Callable[[], Awaitable[Exception]]
    ) -> Any:
        """Do it; or, at the target, not to its end. `lose` breaks the connection and says what its user would see."""
        index, self._count = self._count, self._count + 1
        self._tell("point", label)
        if index != self._target:
            return await act()
        if self._way is Way.BEFORE:
            _die()
        if self._way is Way.STOPPED:
            os.kill(os.getpid(), signal.SIGSTOP)
            return await act()
        if self._way is Way.SENT:
            sending = asyncio.ensure_future(act())
            await asyncio.sleep(0)  # its first step, which writes
            assert not sending.done()
            _die()
        await act()
        if self._way is Way.AFTER:
            _die()
        raise await lose()


def install(points: Points, run: int) -> None:
    """Hook this process's ways out; its connections to Postgres are marked as those of this run."""
    _hook_postgres(points, run)
    _hook_upstash(points)
    _hook_stripe(points)


def _die() -> None:
    """No cleaning up, no goodbye: as the platform does it."""
    os.kill(os.getpid(), signal.SIGKILL)


def _hook_postgres(points: Points, run: int) -> None:
    connect, execute = asyncpg_connection.connect, asyncpg.Connection.execute

    async def connect_marked(*arguments: Any, **named: Any) -> asyncpg.Connection[Any]:
        connection: asyncpg.Connection[Any] = await connect(*arguments, **named)
        await execute(connection, f"SELECT pg_advisory_lock_shared({ALIVE}, {run})")
        return connection

    async def hooked_connect(*arguments: Any, **named: Any) -> Any:
        made: list[asyncpg.Connection[Any]] = []

        async def act() -> asyncpg.Connection[Any]:
            made.append(await connect_marked(*arguments, **named))
            return made[0]

        return await points.reach("sql connect", act, lambda: _cut(made[0]))

    for name, method in inspect.getmembers(asyncpg.Connection, inspect.iscoroutinefunction):
        if not name.startswith("_"):
            setattr(asyncpg.Connection, name, _hooked_statement(points, name, method))
    asyncpg_connection.connect = hooked_connect  # what a pool connects with


def _hooked_statement(points: Points, name: str, method: Callable[..., Awaitable[Any]]) -> Any:
    async def hooked(connection: asyncpg.Connection[Any], *arguments: Any, **named: Any) -> Any:
        label = sql_label(arguments[0]) if arguments and isinstance(arguments[0], str) else f"sql {name}()"
        return await points.reach(label, lambda: method(connection, *arguments, **named), lambda: _cut(connection))

    return hooked


async def _cut(connection: asyncpg.Connection[Any]) -> Exception:
    """As when the network goes."""
    connection._transport.abort()  # type: ignore[attr-defined]
    await asyncio.sleep(0)  # in this turn the protocol is told
    assert connection.is_closed()
    return asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")


def _hook_upstash(points: Points) -> None:
    send = Transport.send

    async def hooked(transport: Transport, path: str, batch: Batch, *, deadline: float) -> Any:
        async def lose() -> Exception:
            transport.abandon()
            transport._breaker.failed()
            return UpstashUnavailable("Interrupted: closed by the peer")

        label = f"upstash {' '.join(batch.names)}"
        return await points.reach(label, lambda: send(transport, path, batch, deadline=deadline), lose)

    setattr(Transport, "send", hooked)  # noqa: B010 -- mypy is right that nobody should


def _hook_stripe(points: Points) -> None:
    request = stripe.HTTPXClient.request_async

    async def hooked(client: stripe.HTTPXClient, method: str, url: str, *arguments: Any, **named: Any) -> Any:
        async def lose() -> Exception:
            with contextlib.suppress(RuntimeError):  # another call is under way on it
                await client._client_async._transport.aclose()  # its connections: it can make new ones
            lost: Any = stripe.APIConnectionError
            return cast("Exception", lost("Unexpected error communicating with Stripe.", should_retry=True))

        path = _ID.sub("/:id", "/" + url.split("://", 1)[1].split("/", 1)[1].partition("?")[0])
        act: Callable[[], Awaitable[Any]] = lambda: request(client, method, url, *arguments, **named)  # noqa: E731
        return await points.reach(f"stripe {method.upper()} {path}", act, lose)

    setattr(stripe.HTTPXClient, "request_async", hooked)  # noqa: B010


def sql_label(sql: str) -> str:
    """The first words of the first statement."""
    return "sql " + " ".join(re.findall(r"[\w.]+", sql.partition(";")[0])[:_WORDS])
