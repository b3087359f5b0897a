"""`digis demo`: a large data set for a running `digis dev`, from the command line."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import httpx
import pytest

from tests.tools.cli.conftest import END_SECONDS, Running, digis
from tools.functions import ROOT
from tools.local.demo import demo_id
from tools.local.env_file import read_state

Start = Callable[..., Running]


def test_without_a_running_dev_it_says_so(tmp_path: Path) -> None:
    status, text = digis("demo", "--postings", "30", "--data", tmp_path, cwd=ROOT)
    assert (status, text) == (1, f"digis: no digis dev runs with the data directory {tmp_path}\n")


@pytest.mark.parametrize("postings", ["2", "10000001", "-3", "many"])
def test_number_that_is_out_of_range_is_refused(postings: str, tmp_path: Path) -> None:
    status, text = digis("demo", "--postings", postings, "--data", tmp_path, cwd=ROOT)
    assert status == 2
    assert "--postings" in text
    assert "Traceback" not in text


@pytest.mark.slow
def test_it_is_loaded_once_and_seen_at_once(dev: tuple[str, Path]) -> None:
    url, data = dev
    path = f"{url}/analytics/creator/{demo_id('luna')}/summary"
    operator = {"Authorization": "Bearer ops-local"}
    before = httpx.get(path, headers=operator, timeout=10).json()["summary"]
    status, text = digis("demo", "--postings", "30000", "--data", data, cwd=ROOT)
    assert status == 0, text
    assert re.search(r"loaded 10,000 charges in [\d.]+ s: 10,000 are there\n$", text), text
    after = httpx.get(path, headers=operator, timeout=10).json()["summary"]
    assert after["lifetime"] > before["lifetime"]
    assert after["supporters"] > before["supporters"] + 100
    status, text = digis("demo", "--postings", "30000", "--data", data, cwd=ROOT)
    assert (status, "nothing to load: 10,000 charges are there already" in text) == (0, True), text


@pytest.mark.slow
def test_interrupted_it_keeps_what_is_whole(dev: tuple[str, Path], start: Start) -> None:
    loading = start("demo", "--postings", "900000", "--data", dev[1])
    deadline = time.monotonic() + END_SECONDS
    first = asyncio.run(_charges(dev[1]))
    while asyncio.run(_charges(dev[1])) == first:
        assert time.monotonic() < deadline, loading.output
        time.sleep(0.05)
    assert loading.end(signal.SIGINT) == 130
    assert "each of them whole" in loading.output
    assert "Traceback" not in loading.output
    assert asyncio.run(_charges(dev[1])) % 10_000 == 0


async def _charges(data: Path) -> int:
    state = read_state(data)
    assert state is not None
    connection = await asyncpg.connect(state.owner_url, timeout=5)
    try:
        sql = "SELECT count(*) FROM charges g JOIN users u ON u.id = g.payer_id WHERE u.username LIKE 'demo\\_fan\\_%'"
        return int(await connection.fetchval(sql))
    finally:
        await connection.close(timeout=5)
