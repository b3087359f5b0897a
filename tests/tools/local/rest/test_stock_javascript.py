"""Upstash's own JavaScript clients, unchanged and with their default settings."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tools.local.rest.server import RestServer

HERE = Path(__file__).parent / "sdk_js"
INSTALL_SECONDS = 120

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or shutil.which("npm") is None,
    reason="node is missing: the JavaScript clients need it",
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clients as the lock says, in a directory of this run."""
    place = tmp_path_factory.mktemp("sdk_js")
    for file in HERE.iterdir():
        if file.is_file():
            shutil.copy(file, place)
    subprocess.run(["npm", "ci", "--silent"], cwd=place, check=True, timeout=INSTALL_SECONDS)
    return place


async def _exercise(installed: Path, rest: RestServer) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *("node", "exercise.mjs", rest.url), cwd=installed, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    seen: dict[str, Any] = json.loads(out)
    return seen


async def test_javascript_clients_work_unchanged(installed: Path, rest: RestServer) -> None:
    seen = await _exercise(installed, rest)

    assert "not an integer" in seen.pop("error")
    assert seen == {
        "set": "OK",
        "get": "vé",
        "object": {"a": [1, "two", None]},
        "incr": 1,
        "hgetall": {"a": 1, "b": 2},
        "zrange": ["one", 1, "two", 2],
        "pipeline": ["OK", 2, 2],
        "transaction": ["OK", 2],
        "together": [1, "vé", 0],
        "eval": ["key", "argument"],
        "evalsha": "loaded",
        "limits": {name: [True, True, True, False, False] for name in ("fixed", "sliding", "bucket")},
    }


async def test_javascript_limiter_pays_for_its_script_once(installed: Path, rest: RestServer) -> None:
    await _exercise(installed, rest)

    stats = (await rest.command("INFO", "commandstats")).decode()
    calls = {
        line.split(":")[0].removeprefix("cmdstat_"): int(line.split("calls=")[1].split(",")[0])
        for line in stats.splitlines()
        if "calls=" in line
    }
    failed = {
        line.split(":")[0]: int(line.split("failed_calls=")[1]) for line in stats.splitlines() if "failed_calls" in line
    }
    assert calls["eval"] == 1 + 3, "one of its own, and one for each of three limiters"
    assert calls["evalsha"] == 1 + 3 * 5, "one of its own, and one for each call"
    assert failed["cmdstat_evalsha"] == 3, "NOSCRIPT once for each limiter"


def test_lock_names_no_addresses() -> None:
    lock = (HERE / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert "integrity" in lock
