"""`digis upstash` in a process of its own, so that its CPU time is not the client's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tools.local.process import ENDS_WITH_PARENT


@contextmanager
def upstash_server() -> Iterator[str]:
    """Yield its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tools.cli.main", "upstash", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {ENDS_WITH_PARENT: "1"},
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith("ready on "):
                yield line.split()[-1]
                return
        raise RuntimeError("digis upstash ended before it was ready")
    finally:
        process.terminate()
        process.wait(timeout=10)
        process.stdout.close()
