"""What tests share: a process that has forgotten everything, and functions behind a real port."""

from __future__ import annotations

import importlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from functions.payments import provider
from functions.ready import checks
from shared import sessions, snapshot
from shared.cache import space
from shared.limits import gate
from shared.postgres import pool
from shared.upstash import client
from tools.functions import function_names
from tools.local.gateway import Gateway
from tools.local.listener import Listener


def forget_process_state() -> None:
    """As if the process had just started: settings unread, nothing connected, nobody blocked."""
    snapshot.forget()
    ours = logging.getLogger("digis")
    for handler in [one for one in ours.handlers if type(one) is logging.StreamHandler]:
        ours.removeHandler(handler)  # it writes to the standard error of the test before
    gate.blocked.clear()
    gate.stand_in.clear()
    gate.usage.forget()
    checks.watch.forget()
    space.recent.clear()


async def close_clients() -> None:
    """Close what the functions opened on this loop."""
    if client.upstash.cache_info().currsize and (upstash := client.upstash()):
        await upstash.close()
    if pool.database.cache_info().currsize:
        await pool.database().close()
    await provider.close()


@asynccontextmanager
async def serve_functions() -> AsyncIterator[httpx.AsyncClient]:
    """Every function behind one real port, and an HTTP client for it."""

    async def no_faults(part: str, mode: str) -> None:
        raise AssertionError(f"no faults here: {part} {mode}")

    apps = {name: importlib.import_module(f"functions.{name}.app").app for name in function_names()}
    async with serve(Gateway(apps, no_faults)) as http:
        yield http


@asynccontextmanager
async def serve(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """An ASGI application behind a real port, and an HTTP client for it."""
    async with Listener(app) as listener, httpx.AsyncClient(base_url=listener.url, timeout=10) as http:
        yield http


async def new_token(username: str) -> str:
    """A session token of a user, with the settings of this process."""
    row = await pool.database().fetchrow("SELECT id FROM users WHERE username = $1", username)
    assert row is not None
    async with pool.database().transaction() as transaction:
        signed_in = await sessions.begin(transaction, str(row["id"]), ip="127.0.0.1", user_agent="")
    return signed_in.token
