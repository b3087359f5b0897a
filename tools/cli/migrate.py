"""`digis migrate`: bring a database up to this checkout. A deploy step of its own; functions never do it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import asyncpg
import typer

from tools.cli.screen import fail, out, step
from tools.local.env_file import DEFAULT_DATA, read_state
from tools.migrate import runner
from tools.migrate.errors import MigrationError


def migrate(
    database_url: Annotated[
        str | None,
        typer.Option(
            envvar=["MIGRATION_DATABASE_URL", "DATABASE_URL"],
            show_envvar=True,
            help="The database, as the login that may change its schema.",
        ),
    ] = None,
    data: Annotated[Path, typer.Option(help="Of the running digis dev to migrate, else.")] = DEFAULT_DATA,
    *,
    check: Annotated[bool, typer.Option("--check", help="Only list what would be applied; exit 1 if any.")] = False,
) -> None:
    """Apply the migrations that the database does not have yet. Safe to repeat, and to run from two places."""
    state = read_state(data)
    url = database_url or (state.owner_url if state else None)
    if not url:
        fail("which database? Set MIGRATION_DATABASE_URL or --database-url, or start digis dev", code=2)
    try:
        asyncio.run(_check(url) if check else _migrate(url))
    except MigrationError as error:
        fail(str(error))
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        fail(f"the database cannot be used: {str(error) or type(error).__name__}")


async def _migrate(url: str) -> None:
    applied = await runner.migrate(url, report=step)
    out.print(f"{len(applied)} applied" if applied else "up to date")


async def _check(url: str) -> None:
    names = await runner.pending(url)
    for name in names:
        out.print(f"pending: {name}")
    if names:
        raise typer.Exit(1)
    out.print("up to date")
