"""`digis upstash` and `digis dev` in processes of their own, so that their CPU time is not the client's."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tools.local.process import ENDS_WITH_PARENT


def upstash_server() -> AbstractContextManager[str]:
    """Yield its URL."""
    return _running("upstash", "--port", "0")


def dev_server(data: Path, port: int) -> AbstractContextManager[str]:
    """Yield its URL."""
    return _running("dev", "--port", str(port), "--data", str(data))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def _running(*arguments: str) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tools.cli.main", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {ENDS_WITH_PARENT: "1"},
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith("ready on "):
                yield line.split()[-1]
                return
        raise RuntimeError(f"digis {arguments[0]} ended before it was ready")
    finally:
        process.terminate()
        process.wait(timeout=20)
        process.stdout.close()
