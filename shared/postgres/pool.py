"""Postgres: one small pool per process, right behind a transaction-mode pooler.

Every statement runs inside a transaction, which pins the server connection under a pooler, and whose limits are
set in the same packet that begins it. asyncpg is imported and connected at the first query.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from shared import telemetry
from shared.http.problems import UpstreamUnavailable
from shared.postgres import outbox
from shared.postgres.transaction import Transaction
from shared.settings import settings

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

CONNECTIONS: Final = 4  # a process serves few requests at once; thousands of processes share the pooler
CONNECT_SECONDS: Final = 1.5  # under the 2 s budget of a readiness check
STATEMENT_MS: Final = 2000  # the server gives up; no query of ours takes a tenth of it
BEGIN_SECONDS: Final = 1.0  # a round trip, or a connection that died without a word while the process was frozen
TRANSACTION_SECONDS: Final = 3.0  # the client gives up: a connection, every statement and the commit together
IDLE_SECONDS: Final = 60.0  # then it is closed: the pooler's places are for those who use them
RETRY_SECONDS: Final = 2


class DatabaseUnavailable(UpstreamUnavailable):
    """Postgres is out of reach, or too slow. Nothing was committed, unless the commit itself was interrupted."""

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": str(RETRY_SECONDS)})


class Database:
    """A database by its URL, for the life of the process; safe when the event loop changes between uses."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: asyncpg.Pool[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def transaction(self, *, read_only: bool = False) -> AsyncIterator[Transaction]:
        """Commit at the end of the block, roll back when it raises. Cached values to drop are dropped after that.

        Raise DatabaseUnavailable when Postgres cannot be reached, answers too slowly or goes away.
        """
        try:
            async with asyncio.timeout(TRANSACTION_SECONDS):
                connection = await self._begin(read_only=read_only)
                try:
                    transaction = Transaction(connection)
                    yield transaction
                    row_id = await outbox.record(transaction, transaction.dropped) if transaction.dropped else None
                    await connection.execute("COMMIT")
                except BaseException as error:
                    await self._give_up(connection, error)
                    raise
                await self._pool_on_this_loop().release(connection)
        except Exception as error:
            if not _is_outage(error):
                raise
            telemetry.logger().warning("postgres is unavailable: %s", type(error).__name__)
            raise DatabaseUnavailable from error
        if row_id is not None or transaction.sent_after:
            await outbox.send(self.transaction, row_id, transaction)

    async def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """Read some rows, in a transaction of their own."""
        async with self.transaction(read_only=True) as transaction:
            return await transaction.fetch(sql, *arguments)

    async def fetchrow(self, sql: str, *arguments: Any) -> asyncpg.Record | None:
        """Read one row or none, in a transaction of its own."""
        async with self.transaction(read_only=True) as transaction:
            return await transaction.fetchrow(sql, *arguments)

    async def fetchrow_writing(self, sql: str, *arguments: Any) -> asyncpg.Record | None:
        """One row or none, from a statement that also writes, in a transaction of its own."""
        async with self.transaction() as transaction:
            return await transaction.fetchrow(sql, *arguments)

    async def fetch_writing(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """Some rows, from a statement that also writes, in a transaction of its own."""
        async with self.transaction() as transaction:
            return await transaction.fetch(sql, *arguments)

    async def close(self) -> None:
        """Drop every connection. The database can be used again: it will connect anew."""
        pool, loop, self._pool, self._loop = self._pool, self._loop, None, None
        if pool is not None and loop is asyncio.get_running_loop():  # another loop's sockets end with their objects
            pool.terminate()

    async def _begin(self, *, read_only: bool) -> PoolConnectionProxy[Any]:
        """A connection inside a transaction. A kept one that turns out dead is replaced once: nothing was done yet."""
        mode = "READ ONLY" if read_only else "READ WRITE"
        begin = f"BEGIN {mode}; SET LOCAL statement_timeout = {STATEMENT_MS}"
        pool = await self._ready_pool()
        for is_last_try in (False, True):
            connection = await pool.acquire()
            try:
                await connection.execute(begin, timeout=BEGIN_SECONDS)
            except BaseException as error:
                await self._drop(connection)
                if is_last_try or not _is_outage(error):
                    raise
            else:
                return connection
        raise AssertionError("the last try returns or raises")

    async def _give_up(self, connection: PoolConnectionProxy[Any], error: BaseException) -> None:
        """Roll back where that can still be said; otherwise end the connection, which the server takes for the same."""
        if isinstance(error, asyncio.CancelledError) or _is_outage(error) or connection.is_closed():
            await self._drop(connection)
            return
        try:
            await connection.execute("ROLLBACK", timeout=BEGIN_SECONDS)
        except BaseException:
            await self._drop(connection)
            raise
        await self._pool_on_this_loop().release(connection)

    async def _drop(self, connection: PoolConnectionProxy[Any]) -> None:
        import asyncpg  # noqa: PLC0415

        with contextlib.suppress(asyncpg.InterfaceError):  # its place in the pool is free already: the server closed it
            connection.terminate()  # at once: a hung server must not be asked to cancel first
        await self._pool_on_this_loop().release(connection)

    async def _ready_pool(self) -> asyncpg.Pool[Any]:
        pool = self._pool_on_this_loop()
        await pool  # opens nothing: connections are made when they are needed
        return pool

    def _pool_on_this_loop(self) -> asyncpg.Pool[Any]:
        import asyncpg  # noqa: PLC0415 -- a cached request does not pay for it

        loop = asyncio.get_running_loop()
        if self._pool is None or loop is not self._loop:
            self._loop = loop
            self._pool = asyncpg.create_pool(
                self._url,
                min_size=0,
                max_size=CONNECTIONS,
                max_inactive_connection_lifetime=IDLE_SECONDS,
                timeout=CONNECT_SECONDS,
                statement_cache_size=0,  # a pooler gives each transaction another server connection
                reset=_nothing_to_reset,
            )
        return self._pool


async def _nothing_to_reset(_: object) -> None:
    """Every setting of ours was LOCAL to its transaction: asyncpg's own reset would cost a round trip."""


def _is_outage(error: BaseException) -> bool:
    """Whether Postgres is at fault rather than the statement: out of reach, out of room, stopping, or too slow."""
    import asyncpg  # noqa: PLC0415

    return isinstance(
        error,
        OSError
        | TimeoutError
        | asyncpg.PostgresConnectionError
        | asyncpg.ConnectionDoesNotExistError
        | asyncpg.OperatorInterventionError  # shutting down, starting up, statement_timeout
        | asyncpg.InsufficientResourcesError  # too many connections
        | asyncpg.InvalidAuthorizationSpecificationError  # our own URL is wrong: an outage until it is mended
        | asyncpg.ClientConfigurationError  # likewise
        | asyncpg.InternalClientError,  # the server's farewell came in the middle of what was being said
    ) or (type(error) is asyncpg.InterfaceError and "closed" in str(error))


@lru_cache(maxsize=1)
def database() -> Database:
    """The process's database. Raise DatabaseUnavailable where DATABASE_URL is not set."""
    url = settings().database_url
    if url is None:
        telemetry.logger().error("DATABASE_URL is not set")
        raise DatabaseUnavailable
    return Database(url)
