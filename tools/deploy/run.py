"""Other programs, run so that nothing of them is left when we are told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def ends_like_ctrl_c() -> None:
    """A SIGTERM is an interrupt from here on: temporary directories are removed, and what `run` runs is ended."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def run(command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str], seconds: float) -> tuple[int, str]:
    """Return its exit status and all that it printed. Raise TimeoutError; then, too, it and its children are ended."""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=seconds)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise TimeoutError from None
        raise
    return process.returncode, said
