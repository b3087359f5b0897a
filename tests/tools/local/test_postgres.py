"""The embedded Postgres, wherever it has to live and however it was ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import psutil
import pytest

from tests.tools.local.places import ours
from tools.local.postgres import LocalPostgres
from tools.local.postgres_binaries import find_binaries
from tools.local.redis import LocalRedis

pytestmark = pytest.mark.slow  # a cluster of its own for each

PARENT = """
import asyncio, sys, time
from pathlib import Path
from tools.local.postgres import LocalPostgres
from tools.local.redis import LocalRedis
async def main():
    postgres = LocalPostgres.launch(Path(sys.argv[1]), temporary=sys.argv[2] == "temporary")
    redis = LocalRedis.launch(Path(sys.argv[1]))
    await postgres.ready()
    await redis.ready()
    print(postgres.pid, redis.pid, flush=True)
    time.sleep(60)
asyncio.run(main())
"""


async def _remember(postgres: LocalPostgres, word: str) -> None:
    connection = await asyncpg.connect(postgres.url(role="owner"))
    await connection.execute(f"CREATE TABLE IF NOT EXISTS word AS SELECT '{word}' AS word")
    await connection.close()


async def _recall(postgres: LocalPostgres) -> object:
    connection = await asyncpg.connect(postgres.url(role="owner"))
    try:
        return await connection.fetchval("SELECT word FROM word")
    finally:
        await connection.close()


async def test_data_is_there_at_the_next_start_and_nothing_else_is_left(private: Path) -> None:
    before = ours()
    postgres = LocalPostgres.launch(private)
    await postgres.ready()
    await _remember(postgres, "kept")
    url = postgres.url()
    postgres.stop()
    assert ours() == before

    again = LocalPostgres.launch(private)
    await again.ready()
    try:
        assert await _recall(again) == "kept"
        assert again.url().split("@")[0] == url.split("@")[0], "the passwords stay the same"
    finally:
        again.stop()
    assert ours() == before


async def test_temporary_cluster_is_gone_when_it_stops(private: Path) -> None:
    before = ours()
    postgres = LocalPostgres.launch(private, temporary=True)
    await postgres.ready()
    await _remember(postgres, "not kept")
    postgres.stop()

    assert not (private / "postgres").exists()
    assert ours() == before


@pytest.mark.parametrize("kind", ["temporary", "kept"])
async def test_killed_parent_leaves_no_process_and_its_data_is_found_again(private: Path, kind: str) -> None:
    first = LocalPostgres.launch(private)
    await first.ready()
    await _remember(first, "kept")
    first.stop()
    parent = subprocess.Popen([sys.executable, "-c", PARENT, private, kind], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    family = [process for pid in pids for process in (psutil.Process(pid), *psutil.Process(pid).children())]

    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []

    again = LocalPostgres.launch(private)
    await again.ready()
    try:
        assert await _recall(again) == "kept"
    finally:
        again.stop()


async def test_directories_of_killed_parents_are_swept(private: Path) -> None:
    before = ours()
    parent = subprocess.Popen([sys.executable, "-c", PARENT, private, "temporary"], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    parent.stdout.readline()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert ours() > before

    redis = LocalRedis.launch(private)
    await redis.ready()
    redis.stop()
    assert ours() == before


async def test_deleted_data_directory_begins_anew(private: Path) -> None:
    first = LocalPostgres.launch(private)
    await first.ready()
    await _remember(first, "old")
    os.kill(first.pid, signal.SIGKILL)  # its cluster stays where it ran
    first._child.stop()
    subprocess.run(["rm", "-rf", private], check=True)

    again = LocalPostgres.launch(private)
    await again.ready()
    try:
        with pytest.raises(asyncpg.UndefinedTableError):
            await _recall(again)
    finally:
        again.stop()
        first._run.remove()


async def test_app_role_cannot_change_the_schema(private: Path) -> None:
    postgres = LocalPostgres.launch(private, temporary=True)
    await postgres.ready()
    try:
        connection = await asyncpg.connect(postgres.url())
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("CREATE TABLE mine (id int)")
        await connection.close()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(postgres.url().replace("digis_app:", "digis_app:wrong"))
    finally:
        postgres.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user")
async def test_root_runs_it_as_somebody_else(private: Path) -> None:
    postgres = LocalPostgres.launch(private, temporary=True)
    await postgres.ready()
    try:
        assert psutil.Process(postgres.pid).uids().real != 0
    finally:
        postgres.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can copy what it hides from others")
async def test_binaries_in_a_home_that_only_root_can_enter_are_copied(
    private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = private.parent / "home"
    hidden.mkdir(mode=0o700)
    monkeypatch.setenv("DIGIS_POSTGRES_BIN", str(find_binaries().copy_to(hidden).directory))
    before = ours()
    postgres = LocalPostgres.launch(private, temporary=True)
    await postgres.ready()
    executable = Path(psutil.Process(postgres.pid).exe())
    postgres.stop()

    assert not executable.is_relative_to(hidden)
    assert ours() == before
