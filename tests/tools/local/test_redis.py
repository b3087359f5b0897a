"""The embedded Redis."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools.local.redis import LocalRedis, RedisMissing


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
