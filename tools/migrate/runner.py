"""Applies migrations: its own deploy step, safe to run twice and from two places at once. Functions never do.

One run at a time holds an advisory lock. Each file is applied in a transaction of its own together with the row
that remembers it, so a file is applied whole and once, or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import asyncpg

from tools.migrate.errors import MigrationChanged, MigrationFailed, MigrationsBusy, MigrationUnknown
from tools.migrate.files import MIGRATIONS, Migration, read_migrations

ADVISORY_LOCK: Final = 0x6469676973  # "digis"
BUSY_SECONDS: Final = 60  # another deploy's run; longer than that is a run that hangs
LOCK_TIMEOUT: Final = "5s"  # a table that stays locked makes the deploy fail, not its users wait
STATEMENT_TIMEOUT: Final = "10min"  # an index over a large table; a runaway is still ended
CONNECT_SECONDS: Final = 10

_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        number      integer     PRIMARY KEY,
        name        text        NOT NULL,
        checksum    text        NOT NULL,
        applied_at  timestamptz NOT NULL DEFAULT now(),
        duration_ms integer     NOT NULL
    )
"""

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@dataclass(frozen=True, slots=True)
class Applied:
    name: str
    milliseconds: int


async def migrate(
    url: str, directory: Path = MIGRATIONS, *, report: Callable[[str], None] = lambda _: None
) -> list[Applied]:
    """Apply what the database does not have yet, telling `report` of each file; return what was applied.

    Raise a MigrationError, or what asyncpg raises when the database cannot be reached.
    """
    migrations = read_migrations(directory)
    connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS, statement_cache_size=0)
    try:
        await _lock(connection)
        return [await _apply(connection, m, report) for m in await _pending(connection, migrations)]
    finally:
        await connection.close(timeout=CONNECT_SECONDS)  # and with it the lock


async def pending(url: str, directory: Path = MIGRATIONS) -> list[str]:
    """The names of what `migrate` would apply. Raise as it does; change nothing."""
    migrations = read_migrations(directory)
    connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS, statement_cache_size=0)
    try:
        if not await connection.fetchval("SELECT to_regclass('schema_migrations') IS NOT NULL"):
            return [migration.name for migration in migrations]
        return [migration.name for migration in _missing(migrations, await _applied(connection))]
    finally:
        await connection.close(timeout=CONNECT_SECONDS)


async def _lock(connection: Connection) -> None:
    try:
        await connection.execute(f"SET lock_timeout = '{BUSY_SECONDS}s'")
        await connection.execute(f"SELECT pg_advisory_lock({ADVISORY_LOCK})", timeout=BUSY_SECONDS + 5)
    except asyncpg.LockNotAvailableError:
        raise MigrationsBusy(f"another run has held the lock for over {BUSY_SECONDS} s") from None


async def _pending(connection: Connection, migrations: list[Migration]) -> list[Migration]:
    await connection.execute(_TABLE)
    return _missing(migrations, await _applied(connection))


async def _applied(connection: Connection) -> list[Any]:
    return await connection.fetch("SELECT number, name, checksum FROM schema_migrations ORDER BY number")


def _missing(migrations: list[Migration], applied: list[Any]) -> list[Migration]:
    known = {migration.number: migration for migration in migrations}
    for row in applied:
        migration = known.pop(row["number"], None)
        if migration is None:
            raise MigrationUnknown(row["number"], row["name"])
        if migration.checksum != row["checksum"]:
            raise MigrationChanged(migration.name)
    return list(known.values())


async def _apply(connection: Connection, migration: Migration, report: Callable[[str], None]) -> Applied:
    started = time.perf_counter()
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            await connection.execute(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'")
            await connection.execute(migration.sql)
            milliseconds = round((time.perf_counter() - started) * 1000)
            await connection.execute(
                "INSERT INTO schema_migrations (number, name, checksum, duration_ms) VALUES ($1, $2, $3, $4)",
                *(migration.number, migration.name, migration.checksum, milliseconds),
            )
    except asyncpg.PostgresError as error:
        raise MigrationFailed(migration.name, str(error)) from error
    report(f"applied {migration.name} ({milliseconds} ms)")
    return Applied(migration.name, milliseconds)
