"""An open transaction, as repositories see it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from shared import telemetry

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy


class Transaction:
    """An open transaction. Its statements count as this request's queries."""

    def __init__(self, connection: PoolConnectionProxy[Any]) -> None:
        self._connection = connection
        self.dropped: list[str] = []
        self.sent_after: list[list[Any]] = []
        self.drops_confirmed = False
        self.drops_wait = False  # for the next trip that is made anyway, or for reconcile

    def drop_cached(self, key: str) -> None:
        """Have Redis forget this key when the transaction commits; then `drops_confirmed` tells whether it has."""
        self.dropped.append(key)

    def send_after(self, command: list[Any]) -> None:
        """Have Redis sent this when the transaction commits, in the trip of the drops. It may be lost."""
        self.sent_after.append(command)

    async def execute(self, sql: str, *arguments: Any) -> None:
        telemetry.count_query()
        await self._connection.execute(sql, *arguments)

    async def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        telemetry.count_query()
        return await self._connection.fetch(sql, *arguments)

    async def fetchrow(self, sql: str, *arguments: Any) -> asyncpg.Record | None:
        telemetry.count_query()
        return await self._connection.fetchrow(sql, *arguments)


Begin = Callable[[], AbstractAsyncContextManager[Transaction]]  # `database().transaction`
