"""`digis session`: sign in as somebody of the local stack without their password."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from shared.settings import Settings, SettingsInvalid, settings
from tools.cli.screen import fail
from tools.local.env_file import DEFAULT_DATA, adopt_env, read_state


def session(
    username: Annotated[str, typer.Argument(help="Who: luna, fan, or anybody who has registered.")],
    data: Annotated[Path, typer.Option(help="Of the running digis dev.")] = DEFAULT_DATA,
) -> None:
    """Print a new session token of a user of the running `digis dev`."""
    if read_state(data) is None:
        fail(f"no digis dev runs with the data directory {data}")
    adopt_env(data)
    try:
        chosen: Settings = settings()
    except SettingsInvalid as error:
        fail(str(error))
    if chosen.deployed:
        fail("this is for a laptop alone")
    token = asyncio.run(_begin(username))
    if token is None:
        fail(f"there is no user {username}")
    typer.echo(token)


async def _begin(username: str) -> str | None:
    from shared import sessions  # noqa: PLC0415 -- `--help` does not wait for it
    from shared.postgres.pool import database  # noqa: PLC0415
    from shared.upstash.client import upstash  # noqa: PLC0415

    try:
        row = await database().fetchrow("SELECT id FROM users WHERE username = $1 AND status = 'active'", username)
        if row is None:
            return None
        async with database().transaction() as transaction:
            signed_in = await sessions.begin(transaction, str(row["id"]), ip="127.0.0.1", user_agent="digis session")
        return signed_in.token
    finally:
        await database().close()
        if client := upstash():
            await client.close()
