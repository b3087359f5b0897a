"""The way to Postgres, broken in each way, seen from asyncpg."""

from __future__ import annotations

import asyncio
import time

import asyncpg
import pytest

from tests.conftest import Services
from tools.local.proxy import FaultProxy, Mode


async def _connect(services: Services, proxy: FaultProxy) -> asyncpg.Connection[asyncpg.Record]:
    return await asyncpg.connect(services.postgres.url(tcp_port=proxy.port), timeout=2)


async def test_passes_everything_on(services: Services, proxy: FaultProxy) -> None:
    connection = await _connect(services, proxy)
    text = "x" * 3_000_000
    assert await connection.fetchval("SELECT $1::text", text) == text
    await connection.close()
    assert proxy.connections == 1


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        (Mode.REFUSE, OSError),
        (Mode.HANG, TimeoutError),
        (Mode.ERROR_500, asyncpg.TooManyConnectionsError),
        (Mode.CUT, (OSError, asyncpg.PostgresConnectionError)),
    ],
)
async def test_new_connection_fails_and_works_again_when_mended(
    services: Services, proxy: FaultProxy, mode: Mode, error: type[Exception]
) -> None:
    await proxy.set(mode)
    with pytest.raises(error):
        await asyncpg.connect(services.postgres.url(tcp_port=proxy.port), timeout=0.3)
    await proxy.set(Mode.OK)
    connection = await _connect(services, proxy)
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


@pytest.mark.parametrize("mode", [Mode.REFUSE, Mode.ERROR_500, Mode.CUT])
async def test_open_connection_is_cut(services: Services, proxy: FaultProxy, mode: Mode) -> None:
    connection = await _connect(services, proxy)
    await proxy.set(mode)
    with pytest.raises((OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError)):
        await connection.fetchval("SELECT 1", timeout=2)
    connection.terminate()


async def test_hanging_connection_goes_on_where_it_was(services: Services, proxy: FaultProxy) -> None:
    connection = await _connect(services, proxy)
    await proxy.set(Mode.HANG)
    waiting = asyncio.create_task(connection.fetchval("SELECT 'late'"))
    done, _ = await asyncio.wait({waiting}, timeout=0.1)
    assert not done
    await proxy.set(Mode.OK)
    assert await waiting == "late"
    await connection.close()


async def test_slow_replies_take_their_time(services: Services, proxy: FaultProxy) -> None:
    connection = await _connect(services, proxy)
    proxy.slow_seconds = 0.1
    await proxy.set(Mode.SLOW)
    started = time.monotonic()
    await connection.fetchval("SELECT 1")
    assert time.monotonic() - started >= 0.1
    await connection.close()
