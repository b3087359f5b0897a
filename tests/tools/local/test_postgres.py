"""The embedded Postgres, wherever it has to live and however it was ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from tools.local.places import BASE, MEMORY
from tools.local.postgres import LocalPostgres
from tools.local.postgres_binaries import PostgresMissing, find_binaries
from tools.local.process import StartFailed
from tools.local.redis import LocalRedis, RedisMissing

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


@pytest.fixture
def private() -> Iterator[Path]:
    """A data directory with a space in its path, inside a directory that only its owner can enter."""
    with tempfile.TemporaryDirectory(prefix="digis-test-") as name:
        yield Path(name) / "data of mine"


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


def _ours() -> set[Path]:
    return {path for base in (BASE, MEMORY) if base.exists() for path in base.glob("digis-*")}


async def test_data_is_there_at_the_next_start_and_nothing_else_is_left(private: Path) -> None:
    before = _ours()
    postgres = LocalPostgres.launch(private)
    await postgres.ready()
    await _remember(postgres, "kept")
    url = postgres.url()
    postgres.stop()
    assert _ours() == before

    again = LocalPostgres.launch(private)
    await again.ready()
    try:
        assert await _recall(again) == "kept"
        assert again.url().split("@")[0] == url.split("@")[0], "the passwords stay the same"
    finally:
        again.stop()
    assert _ours() == before


async def test_temporary_cluster_is_gone_when_it_stops(private: Path) -> None:
    before = _ours()
    postgres = LocalPostgres.launch(private, temporary=True)
    await postgres.ready()
    await _remember(postgres, "not kept")
    postgres.stop()

    assert not (private / "postgres").exists()
    assert _ours() == before


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
    before = _ours()
    parent = subprocess.Popen([sys.executable, "-c", PARENT, private, "temporary"], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    parent.stdout.readline()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert _ours() > before

    redis = LocalRedis.launch(private)
    await redis.ready()
    redis.stop()
    assert _ours() == before


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
    before = _ours()
    postgres = LocalPostgres.launch(private, temporary=True)
    await postgres.ready()
    executable = Path(psutil.Process(postgres.pid).exe())
    postgres.stop()

    assert not executable.is_relative_to(hidden)
    assert _ours() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root keeps clusters where others may write")
async def test_what_is_in_the_way_and_not_ours_is_refused(private: Path) -> None:
    first = LocalPostgres.launch(private)
    await first.ready()
    running = first._home.cluster.parent
    first.stop()
    running.symlink_to("/etc")
    try:
        with pytest.raises(StartFailed, match="not ours"):
            LocalPostgres.launch(private)
    finally:
        running.unlink()


def test_missing_binaries_say_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DIGIS_POSTGRES_BIN", str(tmp_path))
    with pytest.raises(PostgresMissing, match=r"make setup.*DIGIS_POSTGRES_BIN"):
        LocalPostgres.launch(tmp_path)


def test_too_old_a_redis_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=7.0.15 sha=0'\n")
    old.chmod(0o755)
    monkeypatch.setenv("DIGIS_REDIS_SERVER", str(old))
    with pytest.raises(RedisMissing, match=r"8\.2 or later.*DIGIS_REDIS_SERVER"):
        LocalRedis.launch(tmp_path)


async def test_redis_keeps_its_data_only_when_told_to(private: Path) -> None:
    for persist, expected in ((False, b"$-1\r\n"), (True, b"$4\r\nkept\r\n")):
        for command in ("SET word kept", "GET word"):
            redis = LocalRedis.launch(private / str(persist), persist=persist)
            await redis.ready()
            answer = subprocess.run(
                [sys.executable, "-c", _ASK, redis.socket, command], capture_output=True, check=True, timeout=10
            ).stdout
            redis.stop()
        assert answer == expected


_ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect(sys.argv[1])
    asked.sendall(sys.argv[2].encode() + b"\\r\\n")
    sys.stdout.buffer.write(asked.recv(100))
"""


def test_broken_start_says_why_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "bin"
    broken.mkdir()
    for name, says in (("postgres", "echo 'postgres (PostgreSQL) 18.6'"), ("initdb", "echo broken >&2; exit 1")):
        (broken / name).write_text(f"#!/bin/sh\n{says}\n")
        (broken / name).chmod(0o755)
    monkeypatch.setenv("DIGIS_POSTGRES_BIN", str(broken))
    before = _ours()
    with pytest.raises(StartFailed, match="initdb failed: broken"):
        LocalPostgres.launch(tmp_path / "data")
    assert _ours() == before


async def test_interrupted_initdb_is_begun_anew(monkeypatch: pytest.MonkeyPatch, private: Path) -> None:
    half_made = private.parent / "bin"
    half_made.mkdir()
    killed = 'while [ "$1" != --pgdata ]; do shift; done; echo 18 > "$2/PG_VERSION"; kill -9 $$'
    for name, does in (("postgres", "echo 'postgres (PostgreSQL) 18.6'"), ("initdb", killed)):
        (half_made / name).write_text(f"#!/bin/sh\n{does}\n")
        (half_made / name).chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setenv("DIGIS_POSTGRES_BIN", str(half_made))
        with pytest.raises(StartFailed, match="initdb failed"):
            LocalPostgres.launch(private)

    postgres = LocalPostgres.launch(private)
    await postgres.ready()
    postgres.stop()
