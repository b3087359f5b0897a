"""The functions behind a pooler in transaction mode, where every transaction has another server connection."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.conftest import Services
from tests.pgbouncer import ENV, PgBouncer, find_pgbouncer
from tools.functions import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_pgbouncer() is None, reason="Debian's pgbouncer is not installed"),
]

_SUITE = ("tests/functions/payments", "tests/functions/auth", "tests/functions/creators", "tests/shared/postgres")


def test_suite_passes_behind_pgbouncer_in_transaction_mode() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *_SUITE],
        cwd=ROOT,
        env=os.environ | {ENV: "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.fixture
async def pooler(services: Services) -> AsyncIterator[PgBouncer]:
    pooler = PgBouncer.launch(services.postgres)
    await pooler.ready()
    yield pooler
    pooler.stop()


async def test_pooler_of_these_tests_really_pools(pooler: PgBouncer, services: Services, database_name: str) -> None:
    url = services.postgres.url(database_name, tcp_port=pooler.port)
    clients = [await asyncpg.connect(url, statement_cache_size=0) for _ in range(5)]
    servers = {await client.fetchval("SELECT pg_backend_pid()") for client in clients}
    for client in clients:
        await client.close()
    assert len(servers) == 1, "five clients, one after another, on one server connection"
    assert pooler.log.count("login attempt") >= 5
