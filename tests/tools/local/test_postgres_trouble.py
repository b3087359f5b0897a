"""What the embedded Postgres says when it cannot start, and what it leaves."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.tools.local.places import ours
from tools.local.postgres import LocalPostgres
from tools.local.postgres_binaries import PostgresMissing
from tools.local.process import StartFailed

pytestmark = pytest.mark.slow  # a cluster of its own for each


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


def test_broken_start_says_why_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "bin"
    broken.mkdir()
    for name, says in (("postgres", "echo 'postgres (PostgreSQL) 18.6'"), ("initdb", "echo broken >&2; exit 1")):
        (broken / name).write_text(f"#!/bin/sh\n{says}\n")
        (broken / name).chmod(0o755)
    monkeypatch.setenv("DIGIS_POSTGRES_BIN", str(broken))
    before = ours()
    with pytest.raises(StartFailed, match="initdb failed: broken"):
        LocalPostgres.launch(tmp_path / "data")
    assert ours() == before


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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root keeps clusters elsewhere than in the data directory")
async def test_cluster_of_a_killed_run_whose_data_directory_is_gone_is_swept(private: Path) -> None:
    before = ours()
    killed = LocalPostgres.launch(private / "one")
    await killed.ready()
    os.kill(killed.pid, signal.SIGKILL)
    killed._child.stop()
    left = killed._home.cluster.parent
    assert left in ours()

    other = LocalPostgres.launch(private / "two")
    assert left in ours(), "its data directory is there still"
    other.stop()
    shutil.rmtree(private / "one")
    other = LocalPostgres.launch(private / "two")
    other.stop()
    killed._run.remove()
    assert ours() == before
